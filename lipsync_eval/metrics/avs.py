"""AVS_u, AVS_m and AVS_v: how alike AV-HuBERT's features of lips and audio are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, InputError, MetricError
from lipsync_eval.features.mouth_mel import QUIETEST
from lipsync_eval.metrics.base import Failure, Family, Measurement, Pooled
from lipsync_eval.metrics.helpers.avs_specs import DTYPE, READINGS, ROI, ROW, SCORES, SPECS, AvsScore
from lipsync_eval.options import Option
from lipsync_eval.types import FPS, RATE, Audio, Float, Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.features.avhubert.cached import Memory, Mouth
    from lipsync_eval.features.avhubert.stream import MouthStream
    from lipsync_eval.weights import WeightFile

_DTYPES: Final = {"float32": "fp32", "bfloat16": "bf16"}
_Features = NDArray[np.float32]


def frame_cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> Float:
    """Cosine of every frame's features.

    Args:
        a: (T, D).
        b: (T, D).

    Returns:
        (T,) float64 in [-1, 1], 1 is best; float64 throughout.

    Raises:
        InputError: shapes differ.
    """
    if a.shape != b.shape or a.ndim != 2 or not len(a):
        raise InputError(f"features must be two arrays of one shape (T, D), got {a.shape} and {b.shape}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    out: Float = np.clip(np.einsum("td,td->t", x, y) / norms, -1.0, 1.0)
    return out


def frame_mean(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Mean over frames of `frame_cosine`: the default reading of the paper's equations 4 to 6."""
    return float(frame_cosine(a, b).mean())


def flat_cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """One cosine of the flattened (T * D) features."""
    return float(frame_cosine(a.reshape(1, -1), b.reshape(1, -1))[0])


def timepool_cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Cosine of the means over time."""
    return float(frame_cosine(a.mean(axis=0, dtype=np.float64)[None], b.mean(axis=0, dtype=np.float64)[None])[0])


_READING: Final[Mapping[str, Callable[[_Features, _Features], float]]] = {
    "": frame_mean, "_flat": flat_cosine, "_timepool": timepool_cosine,
}  # fmt: skip


class Avs(Family):
    """All AVS metrics: up to five passes of the transformer, one of each video through the front end."""

    specs = SPECS
    options: ClassVar[tuple[Option, ...]] = (ROI, DTYPE)

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.roi = self.option(ROI.name)
        self.dtype = self.option(DTYPE.name) or {"fp32": "float32", "bf16": "bfloat16"}[settings.precision]
        self._memory: Memory | None = None

    def needs(self, metric: str) -> frozenset[str]:
        """What a metric needs under this run's ROI: landmarks only for the alignment."""
        needs = super().needs(metric)
        return needs if self.roi == "align" else needs - {"gen.points", "gt.points"}

    def check(self) -> None:
        """The checkpoint is read here, so that a refused one ends the run before any work; its licence is told once."""
        from lipsync_eval.features.avhubert.checkpoint import tell_licence
        from lipsync_eval.features.avhubert.extract import kept

        file = self._file()
        kept(file.path, file.sha256)
        tell_licence()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the checkpoint with its hash. dtype: the number format."""
        return {"feat": self._file().signature, "dtype": _DTYPES[self.dtype]}

    def start(self, pair: Pair) -> AvsMeter:
        """A meter for one pair; loads the network.

        Raises:
            MetricError: the generated video has no mouth to cut.
        """
        return AvsMeter(self, pair)

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """The frame-weighted readings: the mean over all frames of all clips."""
        total = sum(float(state["sum"][()]) for _, state in states)
        frames = sum(int(state["frames"][()]) for _, state in states)
        return Pooled(total / frames if frames else None, (), {"frames": frames})

    def memory(self) -> Memory:
        """The loaded network on the run's device, with the run's cache."""
        if self._memory is None:
            from lipsync_eval.features.avhubert import extract
            from lipsync_eval.features.avhubert.cached import Memory
            from lipsync_eval.networks import find

            file = self._file()
            extractor = find(
                extract.Extractor, f"{extract.__name__}:load", file.path, file.sha256, self.settings.device, self.dtype
            )
            self._memory = Memory(extractor, Cache(self.settings.cache_dir), file.sha256)
        return self._memory

    def notes(self) -> list[str]:
        """What is to be known about the checkpoint."""
        return [note] if (note := self._file().note) else []

    def _file(self) -> WeightFile:
        from lipsync_eval.weights import locate

        return locate(self.settings, ROW, role="avhubert")


class AvsMeter:
    """One pair: mouth crops while the frames pass, features at the end."""

    def __init__(self, family: Avs, pair: Pair) -> None:
        family.memory()
        self.family, self.pair = family, pair
        self.found = Measurement(notes=family.notes())
        self.gen = self._stream(pair.gen, "gen", pair.n_frames)
        self.gt: MouthStream | None = None
        self.gt_error = MetricError("")
        try:
            self.gt = self._stream(pair.real, "gt", pair.gt_frames)
        except MetricError as error:
            self.gt_error = error
        self._branches = _Branches(self)
        self.shows_real = self.gt is not None and not self._branches.real_known(self.family.metrics)

    @property
    def looks_at(self) -> frozenset[str]:
        """The real frames only where the cache lacked one of the features that are compared."""
        return frozenset({"gen.frames", "gt.frames"} if self.shows_real else {"gen.frames"})

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        self.gen.take(batch.start, batch.gen)
        if self.gt is not None and self.shows_real:
            self.gt.take(batch.start, batch.gt)

    def finish(self) -> Measurement:
        """The clip's numbers; a score without audio or without the real video's mouth is a failure of its own."""
        branches = self.branches()
        for score in SCORES:
            wanted = [score + reading for reading in READINGS if score + reading in self.family.metrics]
            if not wanted:
                continue
            try:
                a, b = branches.of(score)
            except ClipError as error:
                self.found.failures += [Failure(metric, type(error).__name__, str(error)) for metric in wanted]
                continue
            real = branches.real() if score == "avs_u" else None
            for metric in wanted:
                self._put(score, metric.removeprefix(score), a, b, real)
        self._hush()
        return self.found

    def branches(self) -> _Branches:
        """The features that scores compare, once all frames have passed."""
        return self._branches

    def _hush(self) -> None:
        """Silent audio has a score, which says nothing; that is noted."""
        from lipsync_eval.features.mfcc import loudness

        audio, scored = self.pair.gen.audio, self.found.values.keys() | self.found.states.keys()
        heard = sorted(m for m in scored if not m.startswith("avs_v"))
        if not heard or audio is None or len(audio.samples) < RATE // FPS:
            return
        if loudness(audio.int16(), self.pair.n_frames).max(initial=-np.inf) < QUIETEST:
            text = (
                f"the audio is silent (nowhere above {QUIETEST:g} dBFS); {' and '.join(heard)} were made with silence"
            )
            self.found.notes.append(f"avs: {text}")

    def _put(
        self, score: AvsScore, reading: str, a: _Features, b: _Features, real: tuple[_Features, _Features] | None
    ) -> None:
        metric, found = score + reading, self.found
        curve = frame_cosine(a, b)
        if reading == "_frameweighted":
            found.states[metric] = {"sum": np.array(curve.sum()), "frames": np.array(len(curve))}
            return
        found.values[metric] = _READING[reading](a, b)
        if real is not None:
            found.gt_values[metric] = _READING[reading](*real)
        if not reading:
            found.frames[metric] = curve
            if real is not None:
                found.arrays[f"{metric}_gt"] = frame_cosine(*real)

    def _stream(self, side: Side, name: str, total: int) -> MouthStream:
        from lipsync_eval.features.avhubert.stream import MouthStream

        roi = self.family.roi
        points = None if side.track is None else side.track.points[:total]
        try:
            stream = MouthStream(roi, side.clip.size, total, points)  # type: ignore[arg-type]
        except (ClipError, InputError) as error:
            raise MetricError(f"{'generated' if name == 'gen' else 'real'} video: {error}") from error
        lost = [] if stream.mouths is None else stream.mouths.interpolated.tolist()
        if lost:
            text = f"{len(lost)} of {total} frames have no face ({_ranges(lost)}); their landmarks are interpolated"
            self.found.notes.append(f"avs: {name}: {text}, as in AV-HuBERT's own preparation")
        self.found.details[f"avs_{name}_interpolated"] = len(lost)
        return stream


class _Branches:
    """The two features that each score compares, every one computed at most once."""

    def __init__(self, meter: AvsMeter) -> None:
        from lipsync_eval.features.avhubert.cached import Mouth

        self.memory, self.pair, self.meter = meter.family.memory(), meter.pair, meter
        self.gen, self.gt = (
            None
            if stream is None or side is None
            else Mouth(self.memory.extractor, stream.crops, stream.digest(side.clip.digest))
            for stream, side in ((meter.gen, meter.pair.gen), (meter.gt, meter.pair.gt))
        )
        self.heard: dict[int, NDArray[np.float32]] = {}
        self.known: dict[tuple[int, bytes], _Features] = {}

    def real_known(self, metrics: frozenset[str]) -> bool:
        """Whether the cache has every feature of the real video's mouth that these metrics compare."""
        wanted: list[NDArray[np.float32] | None] = []
        if any(m.startswith(("avs_v", "softdtw")) for m in metrics):
            wanted.append(None)
        own = None if self.pair.gt is None else self.pair.gt.audio
        if any(m.startswith("avs_u") for m in metrics) and own is not None and len(own.samples):
            wanted.append(None)
        heard = self.pair.gen.audio
        if any(m.startswith("avs_m") for m in metrics) and heard is not None and len(heard.samples):
            wanted.append(self._audio())
        for audio in wanted:
            held = self.memory.held(self.gt, audio)
            if held is None:
                return False
            self.known[_named(self.gt, audio)] = held
        return True

    def of(self, score: AvsScore) -> tuple[_Features, _Features]:
        """(T, D) twice.

        Raises:
            ClipError: no audio, or no mouth in the real video.
        """
        if score == "avs_u":
            return self._features(self.gen, None), self._features(None, self._audio())
        if self.gt is None:
            raise self.meter.gt_error
        audio = self._audio() if score == "avs_m" else None
        return self._features(self.gen, audio), self._features(self.gt, audio)

    def real(self) -> tuple[_Features, _Features] | None:
        """What AVS_u compares in the real video with its own audio; None where it has no face or no audio."""
        own = None if self.pair.gt is None else self.pair.gt.audio
        if self.gt is None or own is None or not len(own.samples):
            return None
        return self._features(self.gt, None), self._features(None, self._input(own, self.pair.gt_frames))

    def _features(self, mouth: Mouth | None, audio: NDArray[np.float32] | None) -> _Features:
        """(T, D); all but what the generated video shows may come again in another run and goes through the cache."""
        key = _named(mouth, audio)
        if key not in self.known:
            self.known[key] = self.memory.features(mouth, audio, keep=mouth is not self.gen)
        return self.known[key]

    def _audio(self) -> NDArray[np.float32]:
        return self._input(self.pair.gen.heard(), self.pair.n_frames)

    def _input(self, audio: Audio, n_frames: int) -> NDArray[np.float32]:
        from lipsync_eval.features.avhubert.audio import audio_input

        if id(audio) not in self.heard:
            self.heard[id(audio)] = audio_input(audio.int16(), n_frames, self.memory.extractor.normalize)
        return self.heard[id(audio)]


def _named(mouth: Mouth | None, audio: NDArray[np.float32] | None) -> tuple[int, bytes]:
    return id(mouth), b"" if audio is None else audio.tobytes()


def _ranges(numbers: Sequence[int], most: int = 6) -> str:
    """'0-1, 5-7, 13' (the first `most` ranges)."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and n == parts[-1][1] + 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in parts[:most]]
    return ", ".join(texts + ["..."] * (len(parts) > most))
