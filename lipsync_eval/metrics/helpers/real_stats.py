"""Files of --fid-stats and --fvd-stats: mean and covariance of real videos' features, written by one run, read by others.

One .npz holds, for every metric, NAME + 'mu' (D,), 'sigma' (D, D), 'n' and 'facts' (JSON: all that made the features).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.files import atomic, parse_json, read_npz
from lipsync_eval.options import Option
from lipsync_eval.types import FPS, Float, Settings

FID_STATS: Final = Option(
    name="fid_stats", heading="FID", kind="path", moves=True, key="", flag=True, written=True,
    help="Statistics of real crops (.npz): read if the file exists, else written.",
)  # fmt: skip
FVD_STATS: Final = Option(
    name="fvd_stats", heading="FVD", kind="path", moves=True, key="", flag=True, written=True,
    help="The same for FVD: statistics of real windows (.npz).",
)  # fmt: skip
PREFIX: Final[Mapping[str, str]] = {"fid": "", "fid_clean": "clean_"}
"""Start of a metric's names in the file; else its id. `fid` uses pytorch-fid's own names mu and sigma."""
Facts = Mapping[str, str]


def crop_facts(settings: Settings, *, crop: bool = True, box: bool = False) -> dict[str, str]:
    """What of a run's settings the regions of a real video hang on: `proto`, and `faces` and `face` where they are used.

    --crop-from is not among it: the real video is always cropped by its own landmarks.

    Args:
        settings: of the run.
        crop: the protocol's crop is used.
        box: the face box is used.
    """
    from lipsync_eval.faces import signature
    from lipsync_eval.features.speaker import face_key
    from lipsync_eval.protocols import get
    from lipsync_eval.weights import locate

    options = {key: value for key, value in settings.protocol_options.items() if key != "crop_from"}
    protocol = get(settings.protocol, options)
    facts = {"fps": str(FPS)}
    if crop:
        facts["proto"] = protocol.signature()
    if box or (crop and protocol.spec.needs_track):
        facts["faces"] = signature(settings.landmarks, settings.detector, lambda name: locate(settings, name).path)
        facts["face"] = face_key(settings)
    return facts


class RealStats:
    """One file: read where it exists when the run starts, else written at its end."""

    def __init__(self, option: Option, path: Path, dim: int, *, writes: bool = False) -> None:
        """
        Args:
            option: fid_stats or fvd_stats, for messages.
            path: the file.
            dim: numbers in a feature; 0: any.
            writes: it is this run's own, also where it exists by now.
        """
        self.flag, self.path, self.dim = f"--{option.name.replace('_', '-')}", path, dim
        self.reading = not writes and path.exists()
        """Whether the file gives the real side. Settled when the run starts: the file may appear while it works."""
        self.written: dict[str, str] = {}
        """metric -> digest of what this run has written."""
        self.settled: dict[str, Facts] = {}
        """metric -> what its features hang on, where a plan kept it."""

    def signature(self, metric: str) -> str:
        """'stats@1a2b3c4d': the content of a metric's statistics; '' where none are read, and before they are written."""
        if not self.reading:
            return self.written.get(metric, "")
        mean, cov, n = self.read(metric)
        return _digest(mean, cov, n)

    def check(self, facts: Mapping[str, Facts]) -> None:
        """Look at the file before any work.

        Args:
            facts: metric -> what this run's features hang on.

        Raises:
            UsageError: it cannot be read, lacks a metric, or was made otherwise; or, for a new file, its folder does not exist.
        """
        if not self.reading:
            if not self.path.parent.is_dir():
                raise UsageError(f"{self.flag} {self.path}: there is no such file and no folder to write it into")
            return
        for metric, own in facts.items():
            self.read(metric)
            held = self._facts(metric)
            if held is None:
                continue
            unlike = [k for k in sorted(held.keys() | own.keys()) if held.get(k) != own.get(k)]
            if unlike:
                told = "; ".join(f"{k}: {held.get(k, 'absent')} there, {own.get(k, 'absent')} here" for k in unlike)
                raise UsageError(
                    f"{self.flag} {self.path}: the statistics for {metric} were made otherwise ({told}); score in the same way, "
                    "or name a new file to have it written"
                )

    def read(self, metric: str) -> tuple[Float, Float, int | None]:
        """Mean (D,), covariance (D, D) and number of vectors (None where the file does not say).

        Raises:
            UsageError: as `check`.
        """
        held, prefix = self._held, _prefix(metric)
        lost = [name for name in (f"{prefix}mu", f"{prefix}sigma") if name not in held]
        if lost:
            raise UsageError(
                f"{self.flag} {self.path} has no {' and '.join(lost)} for {metric}; it holds: {', '.join(held) or 'nothing'}. "
                "Make it with the same --metrics"
            )
        try:
            mean, cov = (held[f"{prefix}{part}"].astype(np.float64) for part in ("mu", "sigma"))
            n = int(held[f"{prefix}n"]) if f"{prefix}n" in held else None
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{self.flag} {self.path}: mu, sigma and n for {metric} are no numbers ({error})"
            ) from error
        d = self.dim or (mean.shape[0] if mean.ndim == 1 else 0)
        if mean.shape != (d,) or cov.shape != (d, d) or not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise UsageError(
                f"{self.flag} {self.path}: {prefix}mu {mean.shape} and {prefix}sigma {cov.shape} should be finite, ({d},) and ({d}, {d})"
            )
        return mean, cov, n

    def told(self, metric: str) -> str:
        """The note of a score whose real side is read."""
        note = f"{metric}: real side: statistics of {self.path.name}"
        return note if self._facts(metric) is not None else f"{note}, which does not say how it was made"

    def write(self, metric: str, mean: Float, cov: Float, n: int, facts: Facts) -> str:
        """Add one metric's statistics to the file.

        Returns:
            a note on what was done, or why it could not be. Where the file holds statistics for the metric by now (another run
            wrote it meanwhile, or this one before it was killed), they stay as they are, and other ones are told.
        """
        prefix = _prefix(metric)
        arrays = dict(_load(self.flag, self.path)) if self.path.exists() else {}
        own = {f"{prefix}mu": mean, f"{prefix}sigma": cov, f"{prefix}n": np.array(n)}
        own[f"{prefix}facts"] = np.array(json.dumps(dict(facts), sort_keys=True))
        if own.keys() & arrays.keys() and not all(_same(arrays.get(name), value) for name, value in own.items()):
            return f"{metric}: the statistics were not written: {self.path.name} holds other ones by now"
        try:
            with atomic(self.path) as file:
                np.savez(file, **(arrays | own))
        except OSError as error:
            return f"{metric}: the statistics could not be written to {self.path} ({error.strerror or error})"
        self.written[metric] = _digest(mean, cov, n)
        return (
            f"{metric}: statistics of {n} real {'crops' if metric in PREFIX else 'windows'} written to {self.path.name}"
        )

    def _facts(self, metric: str) -> dict[str, Any] | None:
        """What made a metric's statistics; None where the file does not say (pytorch-fid's do not)."""
        held = self._held.get(f"{_prefix(metric)}facts")
        if held is None:
            return None
        try:
            return dict(parse_json(str(held)))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{self.flag} {self.path}: {_prefix(metric)}facts cannot be read ({error})") from error

    @cached_property
    def _held(self) -> Mapping[str, NDArray[np.generic]]:
        return _load(self.flag, self.path)


def opened(option: Option, settings: Settings, dim: int) -> RealStats | None:
    """The file that the settings name, if any."""
    named = settings.options.get(option.name)
    return None if named is None else RealStats(option, Path(named), dim, writes=option.name in settings.writes)


def _prefix(metric: str) -> str:
    return PREFIX.get(metric, f"{metric}_")


def _digest(mean: Float, cov: Float, n: int | None) -> str:
    digest = hashlib.sha256(repr((n, mean.shape)).encode())
    for array in (mean, cov):
        digest.update(np.ascontiguousarray(array, np.float64).tobytes())
    return f"stats@{digest.hexdigest()[:8]}"


def _same(there: NDArray[np.generic] | None, own: NDArray[np.generic]) -> bool:
    """Equal, up to what another number of threads rounds otherwise."""
    if there is None or there.shape != own.shape or there.dtype.kind != own.dtype.kind:
        return False
    return bool(np.allclose(there, own, rtol=1e-9, atol=1e-12) if own.dtype.kind == "f" else np.array_equal(there, own))


def _load(flag: str, path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        return read_npz(path)
    except ParseError as error:
        raise UsageError(
            f"{flag} {path} is no .npz file of numbers ({error}); give one that this option or pytorch-fid wrote"
        ) from error
