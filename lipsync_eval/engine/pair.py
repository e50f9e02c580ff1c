"""One pair of videos, from files to numbers. Whatever goes wrong becomes a failure row of this clip."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice, zip_longest

from lipsync_eval.batch import Batch
from lipsync_eval.engine.align import common_length
from lipsync_eval.engine.findings import Findings, clip_facts, track_counts
from lipsync_eval.engine.follow_faces import WORDS, Face, follow_faces
from lipsync_eval.engine.near_files import open_place, real_digest, with_urls
from lipsync_eval.engine.real_crops import RealCrops, real_crops
from lipsync_eval.engine.tools import Ask, MeasuringTools
from lipsync_eval.errors import ClipError, LipsyncError, MediaError, UsageError
from lipsync_eval.media.fetch import LocalFiles
from lipsync_eval.media.pairs import PairPaths
from lipsync_eval.metrics.base import Measurement, Meter, looks_at
from lipsync_eval.prefetch import prefetch
from lipsync_eval.progress import SPENT, Progress, silent
from lipsync_eval.protocol import View
from lipsync_eval.results.journal import Outcome
from lipsync_eval.results.signature import CROP_FROM
from lipsync_eval.types import FPS, RATE, Audio, Clip, Crop, Frame, Pair, Side, Track

log = logging.getLogger("lipsync_eval")

_BATCH_BYTES = 24_000_000
_BATCH_MOST = 16
_KEPT_BYTES = 128_000_000
"""Of decoded frames that are kept of each video, else it is decoded again for faces and metrics: 13 s of 512x512."""


def measure_pair(tools: MeasuringTools, paths: PairPaths, progress: Progress = silent) -> Outcome:
    """Open, align, track, crop and measure one pair.

    Args:
        tools: from open_tools.
        paths: the pair; a side that is None gives a failure row.
        progress: told (clip id, stage, share).

    Returns:
        the outcome; every metric asked for has a number, or None and a failure row.

    Raises:
        UsageError: the run cannot go on at all (a refused checkpoint...). Everything else is kept in the outcome.
    """
    gen, gt = (None if path is None else str(path) for path in (paths.gen, paths.gt))
    return _ClipRun(tools, Outcome(id=paths.id, gen=gen, gt=gt), progress).from_files(paths)


def measure_clips(tools: MeasuringTools, name: str, gen: Clip, gt: Clip | None, progress: Progress = silent) -> Outcome:
    """The same for clips that are open already (perturbed ones, for instance)."""
    outcome = Outcome(id=name, gen=str(gen.path), gt=None if gt is None else str(gt.path))
    return _ClipRun(tools, outcome, progress).from_clips(gen, gt)


class _Stop(Exception):
    """The clip as a whole cannot go on."""

    def __init__(self, stage: str, error: BaseException) -> None:
        super().__init__(str(error))
        self.stage, self.error = stage, error


class _ClipRun:
    """The way of one clip, top to bottom."""

    def __init__(self, tools: MeasuringTools, outcome: Outcome, progress: Progress) -> None:
        self.tools, self.outcome, self.progress = tools, outcome, progress
        self.findings = Findings(outcome, tools.asks)
        self.spent: dict[str, float] = {}
        """Seconds by part of the work."""
        self.asks: tuple[Ask, ...] = tools.asks
        """Those of the pass under way."""
        self.faces: dict[str, Face | ClipError] = {}
        """The face of each video, or why there is none."""

    def from_files(self, paths: PairPaths) -> Outcome:
        """Open both videos, then as from_clips."""
        with LocalFiles() as files:
            with self._stopping():
                with self._timed("open"):
                    gen, gt = self._open(paths, files)
                self._measure(gen, gt)
            if not self.outcome.digests[1]:
                with suppress(ClipError):
                    self.outcome.digests = "", real_digest(paths, files)
            outcome = self._close()
        return with_urls(outcome, files) if files.used else outcome

    def from_clips(self, gen: Clip, gt: Clip | None) -> Outcome:
        """Measure, and turn what stops the clip into failures."""
        with self._stopping():
            self._measure(gen, gt)
        return self._close()

    def _close(self) -> Outcome:
        for part, seconds in self.spent.items():
            self._tell(SPENT + part, seconds)
        return self.findings.close()

    def _open(self, paths: PairPaths, files: LocalFiles) -> tuple[Clip, Clip | None]:
        if paths.gen is None or (paths.gt is None and self.tools.real):
            side, other = ("generated", "real") if paths.gen is None else ("real", "generated")
            message = f"there is no {side} video for this {other} one; a score over the others alone would hide it"
            raise _Stop("pair", ClipError(message))
        self._tell("decode", 0.0)
        with self._stage("decode"):
            opening = partial(open_place, files, keep=_KEPT_BYTES, cache=self.tools.cache)
            gt = None if paths.gt is None else opening(paths.gt, paths.gt_audio)
            return opening(paths.gen, paths.audio), gt

    def _measure(self, gen: Clip, gt: Clip | None) -> None:
        """Each pass of the run: most runs have one."""
        self._describe(gen, gt)
        for asks in self.tools.passes:
            self.asks = asks
            with self._stopping():
                self._pass(gen, gt)

    def _pass(self, gen: Clip, gt: Clip | None) -> None:
        """Measure the asks of one pass."""
        paired = self.asks[0].paired
        n = self._align(gen, gt) if paired and gt is not None else gen.n_frames
        if self.outcome.n_frames is None:
            self.outcome.n_frames = n
        sides = {"gen": gen} | ({} if gt is None else {"gt": gt})
        lengths = {"gen": n, "gt": n if paired or gt is None else gt.n_frames}
        tracks = self._track(sides, lengths)
        if paired and gt is not None:
            crops = self._crop(gen, gt, tracks, n)
        else:
            crops = self._crop_alone(sides, tracks, lengths)
        pair = self._pair(sides, lengths, tracks, crops, paired=paired)
        meters = self._start(pair)
        if meters:
            with self._stage("decode"):
                self._stream(pair, meters)
        for meter, asks in meters:
            self._finish(meter, asks)

    def _describe(self, gen: Clip, gt: Clip | None) -> None:
        """What the files are, and what was done on the way in."""
        self.outcome.digests = gen.digest, "" if gt is None else gt.digest
        for side, clip in (("gen", gen), ("gt", gt)):
            if clip is None:
                continue
            self._note(side, (*clip.notes, *self._audio_notes(side, clip)))
            self.outcome.details[side] = clip_facts(clip)

    def _audio_notes(self, side: str, clip: Clip) -> tuple[str, ...]:
        """Where a clip's audio comes from and what was done to it, where a metric of this run hears it."""
        unheard = not self.tools.needs_audio or (side == "gen" and self.tools.settings.audio == "gt")
        if clip.audio is None or unheard:
            return ()
        own = clip.audio.source == clip.path
        return (() if own else (f"audio taken from the file {clip.audio.source.name!r}",)) + clip.audio.notes

    def _align(self, gen: Clip, gt: Clip) -> int:
        """The common length in frames."""
        with self._stage("align"):
            n, cut = common_length(gen.n_frames, gt.n_frames, self.tools.align)
        if cut:
            self.outcome.notes.append(cut)
        return n

    def _track(self, sides: Mapping[str, Clip], lengths: Mapping[str, int]) -> dict[str, Track]:
        """The faces that could be followed, by side; where one could not, the metrics that need it fail."""
        tracks: dict[str, Track] = {}
        if not any(self.tools.uses_faces(ask) for ask in self.asks):
            return tracks
        errors: list[ClipError] = []
        if not self.faces:
            with self._stage("faces"), self._timed("faces"):
                self.faces = follow_faces(self.tools, sides, lambda side: self._tell(f"faces ({side})", 0.0))
        for side, found in self.faces.items():
            if isinstance(found, ClipError):
                errors.append(found)
                continue
            tracks[side] = track = found.track.cut(lengths[side])
            self._note(side, track.notes)
            self.outcome.details[side]["faces"] = track_counts(track)
            if found.people is not None:
                self.outcome.details[side]["people"] = found.people
        strict = self.tools.settings.face != "largest"
        lost = [
            ask.name
            for ask in self.asks
            if (strict and self.tools.uses_faces(ask))
            or any(f"{side}.points" in ask.needs and side not in tracks for side in sides)
        ]
        for problem in errors:
            self.findings.fail("faces", problem, lost)
        return tracks

    def _crop(self, gen: Clip, gt: Clip, tracks: Mapping[str, Track], n: int) -> dict[str, Crop]:
        """The protocol's crops, where any metric asks for them; without, the metrics that need them fail."""
        if not self.tools.needs_crops:
            return {}
        views = [View(c.height, c.width, n, tracks.get(side)) for side, c in (("gen", gen), ("gt", gt))]
        try:
            crops = self.tools.protocol.crops(views[0], views[1])
        except ClipError as error:
            lost = [ask.name for ask in self.asks if ask.needs & {"gen.crop", "gt.crop"}]
            self.findings.fail("crop", error, lost)
            return {}
        for side, crop in zip(("gen", "gt"), crops, strict=True):
            self._note(side, crop.notes)
            self.outcome.details[side]["frames_cropped"] = int(crop.valid.sum())
        if crops[0].crop_from:
            self.outcome.details[CROP_FROM] = crops[0].crop_from
        return {"gen": crops[0], "gt": crops[1]}

    def _crop_alone(
        self, sides: Mapping[str, Clip], tracks: Mapping[str, Track], lengths: Mapping[str, int]
    ) -> dict[str, Crop]:
        """The protocol's crop of each video by itself; where one has none, the metrics that need it fail."""
        found: dict[str, Crop] = {}
        for side, clip in sides.items() if self.tools.needs_crops else ():
            view = View(clip.height, clip.width, lengths[side], tracks.get(side), WORDS[side])
            try:
                found[side] = crop = self.tools.protocol.crops(view, view)[0]
            except ClipError as error:
                self.findings.fail("crop", error, [ask.name for ask in self.asks if f"{side}.crop" in ask.needs])
                continue
            self._note(side, crop.notes)
            self.outcome.details[side]["frames_cropped"] = int(crop.valid.sum())
            if crop.crop_from:
                found[side] = crop = replace(crop, crop_from="own")
            if side == "gen" and crop.crop_from:
                self.outcome.details.setdefault(CROP_FROM, crop.crop_from)
        return found

    def _pair(
        self,
        sides: Mapping[str, Clip],
        lengths: Mapping[str, int],
        tracks: Mapping[str, Track],
        crops: Mapping[str, Crop],
        *,
        paired: bool,
    ) -> Pair:
        """What the metrics see."""
        gen, gt = sides["gen"], sides.get("gt")
        heard = gt if gt is not None and self.tools.settings.audio == "gt" else gen
        scored = heard.audio
        length = lengths["gen"] * RATE // FPS
        if scored is not None and len(scored.samples) < length - RATE // FPS:
            short = (length - len(scored.samples)) / RATE
            self._note("gen", [f"the scored audio ends {short:.2f} s before the video"])
        real = None
        if gt is not None:
            own = _first(gt.audio, lengths["gt"] * RATE // FPS)
            real = Side(gt, own, tracks.get("gt"), crops.get("gt"), gt.no_audio)
        return Pair(
            self.outcome.id,
            Side(gen, _first(scored, length), tracks.get("gen"), crops.get("gen"), heard.no_audio),
            real,
            lengths["gen"],
            self.tools.protocol.signature(),
            paired,
        )

    def _start(self, pair: Pair) -> list[tuple[Meter, tuple[Ask, ...]]]:
        """A meter for each family that still has a metric to measure, with all its asks."""
        meters = []
        mine = {ask.name for ask in self.asks}
        for family, asks in self.tools.by_family:
            if mine.isdisjoint(ask.name for ask in asks):
                continue
            if any(ask.name in self.findings.open for ask in asks):
                with self._failing(asks):
                    meters.append((family.start(pair), asks))
        return meters

    def _stream(self, pair: Pair, meters: list[tuple[Meter, tuple[Ask, ...]]]) -> None:
        """Every frame that a meter looks at once through all meters; one that fails leaves the list."""
        wanted = frozenset[str]().union(*(looks_at(meter) for meter, _ in meters))
        kept = real_crops(self.tools.cache, pair, wanted) if self.tools.settings.cache_crops else None
        batches = _batches(pair, wanted, kept)
        while (batch := self._next(batches)) is not None:
            self._tell("metrics", min(batch.start / pair.n_frames, 1.0))
            working = []
            for meter, asks in meters:
                with self._failing(asks), self._timed(_called(asks)):
                    meter.update(batch)
                    working.append((meter, asks))
            meters[:] = working
            if kept is not None and not kept.known:
                kept.take(batch.gt_own, batch.start + len(batch.gt))

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        with self._timed("wait for frames"):
            return next(batches, None)

    def _finish(self, meter: Meter, asks: tuple[Ask, ...]) -> None:
        found: Measurement | None = None
        with self._failing(asks), self._timed(_called(asks)):
            found = meter.finish()
        if found is not None:
            self.findings.take(found, asks)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[part] = self.spent.get(part, 0.0) + time.perf_counter() - began

    def _note(self, side: str, notes: Iterable[str]) -> None:
        told = (f"{side}: {note}" for note in notes)
        self.outcome.notes += [note for note in told if note not in self.outcome.notes]

    def _tell(self, stage: str, share: float) -> None:
        self.progress(self.outcome.id, stage, share)

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """What stops the clip fails every metric of the pass that is still open."""
        try:
            yield
        except _Stop as stop:
            self.findings.fail(stop.stage, stop.error, [ask.name for ask in self.asks])

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """What goes wrong inside stops the clip at this stage."""
        try:
            yield
        except UsageError:
            raise
        except LipsyncError as error:
            raise _Stop(name, error) from error
        except Exception as error:
            log.warning("unexpected %s at stage %s", type(error).__name__, name, exc_info=True)
            raise _Stop(name, error) from error

    @contextmanager
    def _failing(self, asks: Sequence[Ask]) -> Iterator[None]:
        """What goes wrong inside fails these metrics; the clip goes on."""
        names = [ask.name for ask in asks]
        try:
            yield
        except UsageError:
            raise
        except LipsyncError as error:
            self.findings.fail("metric", error, names)
        except Exception as error:
            family = type(asks[0].family).__name__
            log.warning("%s failed on clip %r with an unexpected error", family, self.outcome.id, exc_info=True)
            self.findings.fail("metric", error, names)


def _called(asks: Sequence[Ask]) -> str:
    """A family in the list of where time went."""
    return ", ".join(ask.name for ask in asks)


def _batches(pair: Pair, wanted: frozenset[str], kept: RealCrops | None) -> Iterator[Batch]:
    """Frames of the wanted videos in lockstep, decoded one batch ahead; a video that is longer goes on alone."""
    largest = max(side.clip.height * side.clip.width for side in (pair.gen, pair.gt) if side is not None) * 3
    size = max(1, min(_BATCH_MOST, _BATCH_BYTES // largest))

    def chunks(side: Side | None, n: int) -> Iterator[list[Frame]]:
        frames: Iterator[Frame] = iter(()) if side is None else side.clip.frames(0, n)
        while chunk := list(islice(frames, size)):
            yield chunk

    start = 0
    stored = kept.between if kept is not None and kept.known else None
    wanted -= {"gt.crop"} if stored else set()
    together = wanted >= {"gen.crop", "gt.crop"}
    seen = {name.partition(".")[0] for name in wanted}
    gens = chunks(pair.gen if "gen" in seen else None, pair.n_frames)
    gts = chunks(pair.gt if "gt" in seen else None, pair.gt_frames)
    with prefetch(gens) as ahead, prefetch(gts) as real_ahead:
        both: Iterator[tuple[list[Frame], list[Frame]]] = zip_longest(ahead, real_ahead, fillvalue=[])
        for gen, gt in both:
            if pair.paired and pair.gt is not None and len(seen) == 2 and len(gen) != len(gt):
                raise MediaError(f"the videos gave {start + len(gen)} and {start + len(gt)} frames of {pair.n_frames}")
            yield Batch(pair, start, gen, gt, stored, together)
            start += max(len(gen), len(gt))


def _first(audio: Audio | None, length: int) -> Audio | None:
    """The first `length` samples."""
    return None if audio is None else replace(audio, samples=audio.samples[:length])
