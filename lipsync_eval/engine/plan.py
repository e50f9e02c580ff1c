"""What a run is going to do, settled and checked before any work."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lipsync_eval.engine.real_videos import check_settings, fitting
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.errors import MediaError, MissingWeights, UsageError
from lipsync_eval.media.fetch import LocalFiles
from lipsync_eval.media.pairing import Pairing, find_pairs
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.metrics.registry import family_of, get_spec, select
from lipsync_eval.results.paths import absolute
from lipsync_eval.results.signature import format_signature
from lipsync_eval.types import Settings
from lipsync_eval.urls import Place, Url
from lipsync_eval.weights import check_overrides

_LOOKS = 8
"""Videos by URL that are fetched to learn, before the run, that none has audio; beyond them it is taken that one may."""


@dataclass(frozen=True)
class Plan:
    """A run, before it runs."""

    gen: Place
    gt: Place | None
    """None: the run has no real videos."""
    settings: Settings
    pairs: tuple[PairPaths, ...]
    """In the order of ids; unmatched clips are in here, with one side None."""
    metrics: tuple[str, ...]
    """All ids asked for, in registry order."""
    tools: MeasuringTools
    """For the metrics that can run."""
    missing: Mapping[str, str]
    """Metrics left out by --skip-missing -> why."""
    warnings: tuple[str, ...]
    pairing: Pairing
    forced: frozenset[str] = frozenset()
    """Metrics that were named although the setting does not suit them."""

    def signature(self, metric: str, n_scored: int, cropped: Iterable[str] | None = None) -> str:
        """The signature of one score of this run; `cropped`: see MeasuringTools.signature_parts."""
        if metric in self.missing:
            spec = get_spec(metric)
            parts = {"metric": f"{spec.name}.{spec.version}", "feat": "missing"}
        else:
            parts = self.tools.signature_parts(metric, cropped)
        return format_signature(parts | {"n": f"{n_scored}of{len(self.pairs)}"})

    def fingerprint(self) -> dict[str, Any]:
        """What must agree for a journal to be continued: signatures, clips (with size and time of their files), seed."""
        digest = hashlib.sha256()
        for pair in self.pairs:
            row = [pair.id, *(_stamp(p) for p in (pair.gen, pair.gt, pair.audio, pair.gt_audio))]
            digest.update(json.dumps(row).encode())
        found: dict[str, Any] = {
            "signatures": [self.signature(m, 0) for m in self.metrics],
            "pairs": digest.hexdigest(),
            "seed": self.settings.seed,
        }
        if self.settings.writes:
            found["writes"] = {name: _mark(self.settings.options[name]) for name in sorted(self.settings.writes)}
        return found


def make_plan(
    gen: Place,
    gt: Place | None,
    metrics: str,
    settings: Settings,
    *,
    pairs_csv: Path | None = None,
    skip_missing: bool = False,
    earlier: Mapping[str, Any] | None = None,
) -> Plan:
    """Match the videos, choose the metrics, bind the protocol, look for the weights.

    Args:
        gen: folder or file of generated videos.
        gt: folder or file of real ones; None: there are none.
        metrics: a --metrics value.
        settings: everything else that can move a number.
        pairs_csv: matches by table instead of by stem.
        skip_missing: leave out metrics whose weights are not here (failure rows) instead of raising.
        earlier: fingerprint of the run that is to be resumed: a file that it writes is its own, though it exists by now.

    Raises:
        UsageError: anything that stops the run before work: names, options, weights.
    """
    check_overrides(settings.weights)
    real = gt is not None
    check_settings(settings, real=real)
    if real:
        settings = replace(settings, writes=_writes(settings, select(metrics), earlier or {}))
    fit = fitting(select(metrics), metrics, settings, real=real)
    pairing = find_pairs(gen, gt, pairs_csv=pairs_csv, offline=settings.offline)
    chosen, warnings = _without_audio(fit.metrics, metrics, pairing.pairs, settings)
    warnings = (*fit.warnings, *warnings)
    if real and pairing.unmatched:
        warnings = (*warnings, f"{pairing.unmatched} (each is a failure row)")
    tools = open_tools(settings, chosen, real=real)
    missing = tools.check_weights()
    for metric in tools.metrics:
        if metric not in missing:
            tools.signature_parts(metric)  # a backend or an option that does not exist stops the run here
    if missing and not skip_missing:
        raise MissingWeights(_missing_message(missing))
    if missing:
        tools = tools.without(missing)
        warnings = (*warnings, f"left out for lack of weights: {', '.join(missing)}")
    return Plan(gen, gt, settings, pairing.pairs, chosen, tools, missing, warnings, pairing, fit.forced)


def _without_audio(
    chosen: tuple[str, ...], text: str, pairs: Sequence[PairPaths], settings: Settings
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop core metrics that need audio when no pair has any and the user named only a group.

    A file that cannot be opened says nothing about audio: it stays, and becomes a failure row.

    Raises:
        UsageError: nothing would be left to measure.
    """
    named = {p.strip() for p in text.split(",")}
    audio = tuple(
        m for m in chosen if "gen.audio" in get_spec(m).needs and get_spec(m).group == "core" and m not in named
    )
    if not audio:
        return chosen, ()
    fetches = 0
    for pair in pairs:
        source, beside = (pair.gt, pair.gt_audio) if settings.audio == "gt" else (pair.gen, pair.audio)
        fetches += isinstance(source, Url) and not beside
        if source is not None and (beside or fetches > _LOOKS or _has_audio(source) is not False):
            return chosen, ()
    kept = tuple(m for m in chosen if m not in audio)
    why = f"no pair has audio to score (--audio {settings.audio})"
    if not kept:
        raise UsageError(
            f"{why}, and all that is left of --metrics {text!r} needs it: {', '.join(audio)}; give the videos audio (a track, "
            "or an audio file beside each), or choose other metrics"
        )
    return kept, (f"{why}: {', '.join(audio)} left out",)


def _has_audio(video: Place) -> bool | None:
    """Whether a video has audio; None where it cannot be opened."""
    from lipsync_eval.media import has_audio

    try:
        with LocalFiles() as files:
            return has_audio(files.of(video))
    except MediaError:
        return None


def _writes(settings: Settings, metrics: Iterable[str], earlier: Mapping[str, Any]) -> frozenset[str]:
    """Options of these metrics whose file is not here yet, or was written by the run that is resumed."""
    own = earlier.get("writes")
    own = own if isinstance(own, dict) else {}
    named = {o.name for m in metrics for o in family_of(m).options if o.written and o.name in settings.options}
    files = {name: settings.options[name] for name in named}
    return frozenset(n for n, file in files.items() if not Path(file).exists() or own.get(n) == _mark(file))


def _mark(file: str) -> str:
    """A short name of a path; no path of this machine stands in results.json."""
    return hashlib.sha256(os.fsencode(Path(file).absolute())).hexdigest()[:16]


def _missing_message(missing: Mapping[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for metric, why in missing.items():
        reasons.setdefault(why, []).append(metric)
    lines = [f"  {', '.join(names)}: {why}" for why, names in reasons.items()]
    return "weights are missing, nothing was done:\n" + "\n".join(lines) + "\nOr score the rest with --skip-missing."


def _stamp(path: Place | None) -> list[Any] | None:
    if path is None:
        return None
    if isinstance(path, Url):
        return [str(path), path.size, path.mark]
    try:
        stat = path.stat()
        return [absolute(str(path)), stat.st_size, stat.st_mtime_ns]
    except OSError:
        return [absolute(str(path)), None, None]
