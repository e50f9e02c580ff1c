"""One pair of videos, from files to numbers. Whatever goes wrong becomes a failure row of this clip."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from lipsync_eval.engine.ahead import ahead
from lipsync_eval.engine.align import common_length
from lipsync_eval.engine.bench import Bench, needs_of
from lipsync_eval.errors import ClipError, LipsyncError, UsageError
from lipsync_eval.faces import track_faces
from lipsync_eval.media import open_clip
from lipsync_eval.media.pairing import PairPaths
from lipsync_eval.metrics.base import Family, Measurement, Meter, MetricSpec
from lipsync_eval.protocol import View
from lipsync_eval.results.journal import Outcome
from lipsync_eval.types import FOUND, FPS, MISSING, RATE, Audio, Batch, Clip, Crop, Frame, Pair, Side, Track
from lipsync_eval.weights import locate

log = logging.getLogger("lipsync_eval")
Report = Callable[[str, float], None]
"""report(stage, share of the stage that is done, 0..1)"""

_BATCH_BYTES = 24_000_000
_BATCH_MOST = 16


@dataclass
class _Work:
    """A clip under way: the outcome that grows, and which metrics are out of the race."""

    outcome: Outcome
    open: dict[str, MetricSpec]
    failed: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(stage, metric, error class, message)"""

    def fail(self, stage: str, error: BaseException, metrics: Sequence[str]) -> None:
        for name in metrics:
            if self.open.pop(name, None) is not None:
                self.failed.append((stage, name, type(error).__name__, str(error) or type(error).__name__))


class _Stop(Exception):
    """The clip as a whole cannot go on."""

    def __init__(self, stage: str, error: BaseException) -> None:
        super().__init__(str(error))
        self.stage, self.error = stage, error


def measure_pair(bench: Bench, paths: PairPaths, report: Report = lambda stage, share: None) -> Outcome:
    """Open, align, track, crop and measure one pair.

    Args:
        bench: from open_bench.
        paths: the pair; a side that is None gives a failure row.
        report: told about progress.

    Returns:
        the outcome; every metric of the bench has a number, or None and a failure row.

    Raises:
        UsageError: the run cannot go on at all (a refused checkpoint...). Everything else is kept in the outcome.
    """
    work = _start(bench, paths.id, str(paths.gen) if paths.gen else None, str(paths.gt) if paths.gt else None)
    try:
        if paths.gen is None or paths.gt is None:
            side, other = ("generated", "real") if paths.gen is None else ("real", "generated")
            raise _Stop(
                "pair",
                ClipError(
                    f"there is no {side} video for this {other} one; a score over the others alone would hide it"
                ),
            )
        report("decode", 0.0)
        gen = _guard("decode", lambda: open_clip(paths.gen, audio=paths.audio))  # type: ignore[arg-type]
        gt = _guard("decode", lambda: open_clip(paths.gt, audio=paths.gt_audio))  # type: ignore[arg-type]
        _measure(bench, work, gen, gt, report)
    except _Stop as stop:
        work.fail(stop.stage, stop.error, list(work.open))
    if not work.outcome.digests[1]:
        work.outcome.digests = "", _digest(paths)
    return _close(bench, work)


def _digest(paths: PairPaths) -> str:
    """Content of the real video, also where the generated one failed: runs are compared by it."""
    try:
        return "" if paths.gt is None else open_clip(paths.gt, audio=paths.gt_audio).digest
    except ClipError:
        return ""


def measure_clips(bench: Bench, name: str, gen: Clip, gt: Clip, report: Report = lambda stage, share: None) -> Outcome:
    """The same for clips that are open already (perturbed ones, for instance)."""
    work = _start(bench, name, str(gen.path), str(gt.path))
    try:
        _measure(bench, work, gen, gt, report)
    except _Stop as stop:
        work.fail(stop.stage, stop.error, list(work.open))
    return _close(bench, work)


def _start(bench: Bench, name: str, gen: str | None, gt: str | None) -> _Work:
    return _Work(Outcome(id=name, gen=gen, gt=gt), {s.name: s for f in bench.families for s in bench.wanted(f)})


def _guard(stage: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except UsageError:
        raise
    except LipsyncError as error:
        raise _Stop(stage, error) from error
    except Exception as error:
        log.warning("unexpected %s at stage %s", type(error).__name__, stage, exc_info=True)
        raise _Stop(stage, error) from error


def _measure(bench: Bench, work: _Work, gen: Clip, gt: Clip, report: Report) -> None:
    outcome = work.outcome
    outcome.digests = (gen.digest, gt.digest)
    outcome.notes += [
        f"{side}: {note}"
        for side, clip in (("gen", gen), ("gt", gt))
        for note in (*clip.notes, *_heard(bench, side, clip))
    ]
    outcome.details |= {"gen": _facts(gen), "gt": _facts(gt)}
    n, cut = _guard("align", lambda: common_length(gen.n_frames, gt.n_frames, bench.align))
    outcome.n_frames = n
    if cut:
        outcome.notes.append(cut)
    pair = _pair(bench, work, gen, gt, n, report)
    meters = _meters(bench, work, pair)
    if any(m for _, m in meters):
        _guard("decode", lambda: _stream(bench, work, pair, meters, report))
    for family, meter in meters:
        if meter is not None:
            _finish(bench, work, family, meter)


def _heard(bench: Bench, side: str, clip: Clip) -> tuple[str, ...]:
    """Where a clip's sound comes from and what was done to it, where a metric of this run hears it."""
    if clip.audio is None or not bench.needs_sound or (side == "gen" and bench.settings.audio == "gt"):
        return ()
    own = clip.audio.source == clip.path
    return (() if own else (f"sound taken from the file {clip.audio.source.name!r}",)) + clip.audio.notes


def _pair(bench: Bench, work: _Work, gen: Clip, gt: Clip, n: int, report: Report) -> Pair:
    tracks: list[Track | None] = [None, None]
    if bench.needs_faces:
        errors: list[LipsyncError] = []
        for i, (side, clip) in enumerate((("gen", gen), ("gt", gt))):
            report(f"faces ({side})", 0.0)
            tracks[i] = _track(bench, work, side, clip, n, errors)
        for error in errors:
            lost = [s.name for f in bench.families for s in bench.wanted(f) if _blocked(bench, f, s, tracks)]
            work.fail("faces", error, list(work.open) if bench.settings.face == "single" else lost)
    sound = gt.audio if bench.settings.audio == "gt" else gen.audio
    crops = _crops(bench, work, gen, gt, tracks, n)
    return Pair(
        work.outcome.id,
        Side(gen, _cut_audio(sound, n, "gen", work), tracks[0], crops[0]),
        Side(gt, _cut_audio(gt.audio, n, "gt", None), tracks[1], crops[1]),
        n,
        bench.protocol.signature(),
    )


def _track(bench: Bench, work: _Work, side: str, clip: Clip, n: int, errors: list[LipsyncError]) -> Track | None:
    settings = bench.settings
    try:
        track = track_faces(
            clip,
            landmarks=settings.landmarks,
            detector=settings.detector,
            face=settings.face,
            cache=bench.cache,
            weights=lambda name: locate(settings, name).path,
            device=settings.device,
        )
    except ClipError as error:
        errors.append(type(error)(f"{'generated' if side == 'gen' else 'real'} video: {error}"))
        return None
    except UsageError:
        raise
    except Exception as error:
        raise _Stop("faces", error) from error
    track = track.cut(n)
    count = {"found": int((track.status == FOUND).sum()), "missing": int((track.status == MISSING).sum())}
    count["filled"] = len(track.status) - count["found"] - count["missing"]
    work.outcome.details[side]["faces"] = count
    work.outcome.notes += [f"{side}: {note}" for note in track.notes]
    return track


def _blocked(bench: Bench, family: Family, spec: MetricSpec, tracks: list[Track | None]) -> bool:
    needs = needs_of(family, spec)
    return ("gen.points" in needs and tracks[0] is None) or ("gt.points" in needs and tracks[1] is None)


def _crops(
    bench: Bench, work: _Work, gen: Clip, gt: Clip, tracks: list[Track | None], n: int
) -> tuple[Crop | None, Crop | None]:
    if not bench.needs_crops:
        return None, None
    views = [View(c.height, c.width, n, t) for c, t in zip((gen, gt), tracks, strict=True)]
    try:
        crops = bench.protocol.crops(views[0], views[1])
    except ClipError as error:
        lost = [s.name for f in bench.families for s in bench.wanted(f) if needs_of(f, s) & {"gen.crop", "gt.crop"}]
        work.fail("crop", error, lost)
        return None, None
    for side, crop in zip(("gen", "gt"), crops, strict=True):
        work.outcome.notes += [f"{side}: {note}" for note in crop.notes]
        work.outcome.details[side]["frames_cropped"] = int(crop.valid.sum())
    return crops


def _cut_audio(audio: Audio | None, n: int, side: str, work: _Work | None) -> Audio | None:
    if audio is None:
        return None
    length = n * RATE // FPS
    if work is not None and len(audio.samples) < length - RATE // FPS:
        short = (length - len(audio.samples)) / RATE
        work.outcome.notes.append(f"{side}: the scored sound ends {short:.2f} s before the picture")
    return replace(audio, samples=audio.samples[:length])


def _meters(bench: Bench, work: _Work, pair: Pair) -> list[tuple[Family, Meter | None]]:
    meters: list[tuple[Family, Meter | None]] = []
    for family in bench.families:
        names = [s.name for s in bench.wanted(family) if s.name in work.open]
        meters.append((family, _try(work, family, names, lambda f=family: f.start(pair)) if names else None))  # type: ignore[misc]
    return meters


def _try(work: _Work, family: Family, names: Sequence[str], call: Callable[[], Any]) -> Any:
    try:
        return call()
    except UsageError:
        raise
    except LipsyncError as error:
        work.fail("metric", error, names)
    except Exception as error:
        log.warning(
            "%s failed on clip %r with an unexpected error", type(family).__name__, work.outcome.id, exc_info=True
        )
        work.fail("metric", error, names)
    return None


def _stream(bench: Bench, work: _Work, pair: Pair, meters: list[tuple[Family, Meter | None]], report: Report) -> None:
    largest = max(pair.gen.clip.height * pair.gen.clip.width, pair.gt.clip.height * pair.gt.clip.width) * 3
    size = max(1, min(_BATCH_MOST, _BATCH_BYTES // largest))
    for batch in _batches(pair, size):
        report("metrics", batch.start / pair.n_frames)
        for i, (family, meter) in enumerate(meters):
            if meter is None:
                continue
            names = [s.name for s in bench.wanted(family)]
            if _try(work, family, names, lambda m=meter, b=batch: (m.update(b), True)) is None:  # type: ignore[misc]
                meters[i] = (family, None)


def _batches(pair: Pair, size: int) -> Iterator[Batch]:
    """Pictures of both videos in lockstep, decoded one batch ahead."""

    def chunks(clip: Clip) -> Iterator[list[Frame]]:
        frames = clip.frames(0, pair.n_frames)
        while chunk := list(islice(frames, size)):
            yield chunk

    start = 0
    with ahead(chunks(pair.gen.clip)) as gens, ahead(chunks(pair.gt.clip)) as gts:
        for gen, gt in zip(gens, gts, strict=True):
            yield Batch(pair, start, gen, gt)
            start += len(gen)


def _finish(bench: Bench, work: _Work, family: Family, meter: Meter) -> None:
    specs = [s for s in bench.wanted(family) if s.name in work.open]
    found: Measurement | None = _try(work, family, [s.name for s in specs], meter.finish)
    if found is None:
        return
    outcome = work.outcome
    for failure in found.failures:
        if work.open.pop(failure.metric, None) is not None:
            work.failed.append(("metric", failure.metric, failure.error, failure.message))
    for spec in specs:
        if spec.name in work.open:
            _take(work, spec, found)
    outcome.notes += [note for note in found.notes if note not in outcome.notes]
    outcome.details |= found.details
    outcome.frames |= {name: np.asarray(values) for name, values in (found.frames | found.arrays).items()}


def _take(work: _Work, spec: MetricSpec, found: Measurement) -> None:
    if spec.pooling == "pooled":
        if spec.name in found.states:
            work.outcome.states[spec.name] = found.states[spec.name]
        else:
            work.fail("metric", ClipError("the clip gave nothing to pool"), [spec.name])
        return
    value = found.values.get(spec.name)
    low, high = spec.range
    if value is None or not math.isfinite(value):
        work.fail("metric", ClipError(f"no value came out ({value})"), [spec.name])
    elif not low <= value <= high:
        work.fail(
            "metric",
            ClipError(f"the value {value!r} lies outside the declared range {low}..{high}; please report it"),
            [spec.name],
        )
    else:
        work.outcome.values[spec.name] = float(value)
    own = found.gt_values.get(spec.name)
    if own is not None and math.isfinite(own):
        work.outcome.gt_values[spec.name] = float(own)


def _close(bench: Bench, work: _Work) -> Outcome:
    outcome = work.outcome
    pooled = {s.name for f in bench.families for s in bench.wanted(f) if s.pooling == "pooled"}
    outcome.values = {m: outcome.values.get(m) for m in bench.metrics if m not in pooled}
    reasons = {(stage, error, message) for stage, _, error, message in work.failed}
    if len(reasons) == 1 and {m for _, m, _, _ in work.failed} == set(bench.metrics):
        stage, error, message = next(iter(reasons))
        outcome.failures = [{"id": outcome.id, "stage": stage, "metric": None, "error": error, "message": message}]
    else:
        order = {m: i for i, m in enumerate(bench.metrics)}
        outcome.failures = [
            {"id": outcome.id, "stage": stage, "metric": metric, "error": error, "message": message}
            for stage, metric, error, message in sorted(work.failed, key=lambda row: order[row[1]])
        ]
    return outcome


def _facts(clip: Clip) -> dict[str, Any]:
    beside = clip.audio is not None and clip.audio.source != clip.path
    return {
        "sound_file": str(clip.audio.source) if clip.audio is not None and beside else None,
        "n_frames": clip.n_frames,
        "height": clip.height,
        "width": clip.width,
        "source_fps": round(clip.source_fps, 3),
        "sound_seconds": None if clip.audio is None else round(len(clip.audio.samples) / RATE, 3),
        "sha256": clip.digest,
    }
