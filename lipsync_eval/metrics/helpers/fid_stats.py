"""The file of --fid-stats: mean and covariance of the real crops, written by one run and read by the next."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError
from lipsync_eval.files import atomic, sha256
from lipsync_eval.options import Option
from lipsync_eval.types import Float, Settings

STATS: Final = Option(
    name="fid_stats",
    heading="FID",
    help="Statistics of the real crops (.npz): read if the file exists, else written.",
    kind="path",
    moves=True,
    key="",
    flag=True,
)
PREFIX: Final[Mapping[str, str]] = {"fid": "", "fid_clean": "clean_"}
"""`fid` uses pytorch-fid's own names mu and sigma, so its files can be read here and ours there."""
_DIM: Final = 2048


@dataclass(frozen=True)
class StatsFile:
    """--fid-stats FILE: read where it exists when the run starts, else written at its end."""

    path: Path
    crops: str
    """The protocol of this run as in signatures: statistics of other crops are refused. (--crop-from moves no real crop.)"""

    @classmethod
    def from_settings(cls, settings: Settings) -> StatsFile | None:
        """The file that the settings name, if any."""
        named = settings.options.get(STATS.name)
        if named is None:
            return None
        from lipsync_eval.protocols import get

        stats = cls(Path(named), get(settings.protocol, settings.protocol_options).signature())
        _ = stats.reading  # settled now: the file may appear while the run works
        return stats

    @cached_property
    def reading(self) -> bool:
        """Whether the file is there, and so gives the real side."""
        return self.path.exists()

    @cached_property
    def signature(self) -> str:
        """'stats@1a2b3c4d': the hash of the file that is read."""
        return f"stats@{sha256(self.path)[:8]}"

    def check(self, metrics: Sequence[str], weights: str) -> None:
        """Look at the file before any work.

        Raises:
            UsageError: it cannot be read, lacks a metric, or was made from other crops or weights; or, for a new file, its
                folder does not exist.
        """
        if not self.reading:
            if not self.path.parent.is_dir():
                raise UsageError(f"--fid-stats {self.path}: there is no such file and no folder to write it into")
            return
        held = self._load()
        for metric in metrics:
            self._pick(held, metric)
        for key, own, what in (("crops", self.crops, "crops (protocol)"), ("weights", weights, "weights")):
            if key in held and str(held[key]) != own:
                raise UsageError(
                    f"--fid-stats {self.path} was made with other {what}: {held[key]}, and this run has {own}; give another file"
                )

    def read(self, metric: str) -> tuple[Float, Float, int | None]:
        """Mean (2048,), covariance (2048, 2048) and number of frames (None where the file does not say)."""
        held = self._load()
        mean, cov = self._pick(held, metric)
        n = held.get(f"{PREFIX[metric]}n")
        return mean, cov, None if n is None else int(n)

    def write(self, metric: str, mean: Float, cov: Float, n: int, weights: str) -> str:
        """Add one metric's statistics to the file.

        Returns:
            a note on what was done, or why it could not be.
        """
        prefix = PREFIX[metric]
        arrays = self._load() if self.path.exists() else {}
        arrays |= {f"{prefix}mu": mean, f"{prefix}sigma": cov, f"{prefix}n": np.array(n)}
        arrays |= {"crops": np.array(self.crops), "weights": np.array(weights)}
        try:
            with atomic(self.path) as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            return f"{metric}: the statistics could not be written to {self.path} ({error.strerror or error})"
        return f"{metric}: statistics of the {n} real crops written to {self.path.name}"

    def _load(self) -> dict[str, NDArray[np.generic]]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
            raise UsageError(
                f"--fid-stats {self.path} is no .npz file of numbers ({error}); give one that this option or pytorch-fid wrote"
            ) from error

    def _pick(self, held: Mapping[str, NDArray[np.generic]], metric: str) -> tuple[Float, Float]:
        names = [f"{PREFIX[metric]}{part}" for part in ("mu", "sigma")]
        lost = [name for name in names if name not in held]
        if lost:
            raise UsageError(
                f"--fid-stats {self.path} has no {' and '.join(lost)} for {metric}; it holds: {', '.join(held)}. Make it with the same --metrics"
            )
        mean, cov = (held[name].astype(np.float64) for name in names)
        if (
            mean.shape != (_DIM,)
            or cov.shape != (_DIM, _DIM)
            or not (np.isfinite(mean).all() and np.isfinite(cov).all())
        ):
            raise UsageError(
                f"--fid-stats {self.path}: {names[0]} {mean.shape} and {names[1]} {cov.shape} should be finite, ({_DIM},) and ({_DIM}, {_DIM})"
            )
        return mean, cov
