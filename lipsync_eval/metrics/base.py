"""What a metric is: a spec that declares everything, and a family that measures clips.

A *family* is one file: pure functions on arrays, a MetricSpec for every id, and a class that the engine drives.
For every pair the engine calls `family.start(pair)`, then `meter.update(batch)` for all frames in order, then
`meter.finish()`. A family module must import quickly: torch and weights are touched in `start`, never at import and
never in `__init__`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import LipsyncError
from lipsync_eval.options import Option, signature_part, value_of
from lipsync_eval.types import Json, Pair, Settings

if TYPE_CHECKING:
    from lipsync_eval.metrics.helpers.real_stats import RealStats

Direction = Literal["up", "down", "zero"]
Pooling = Literal["clip-mean", "pooled"]
RealVideo = Literal["none", "set", "person", "content"]
"""What a metric needs of real videos. none: nothing (its own score of the real video may stand beside). set: some real
videos, whichever clip is whose. person: a real video of the person, whatever is said in it. content: the real video of
the same speech, moment by moment."""
Group = Literal["core", "weights", "user-file", "opt-in"]
"""core: runs with no download. weights: needs weights that can be pulled. user-file: needs a file only the user has
(left out of `all`). opt-in: legacy or special, only by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """All that is declared about one metric id. No field but `real` has a default: facts are stated, not assumed."""

    name: str
    title: str
    """Heading in tables, e.g. 'PSNR'."""
    direction: Direction | None
    """up: higher is better; down: lower is better; zero: nearest to zero is best; None: no value is better by itself (the
    real video's own value is the aim), so that nothing marks or gates it."""
    unit: str
    """'dB', 'px', 'frames', or '1' for none."""
    range: tuple[float, float]
    """A value outside raises."""
    decimals: int
    """Digits after the point in tables."""
    needs: frozenset[str]
    """Of: gen.crop gt.crop gen.points gt.points gen.frames gt.frames gen.audio gt.audio reference weights npz
    experiment (videos that an experiment of `compare` makes: a plain score refuses the metric)."""
    pooling: Pooling
    group: Group
    weights: tuple[str, ...]
    """Registry rows of the default definition."""
    summary: str
    """One or two sentences: what is computed, in which units, over what."""
    reads: str
    """What the number does and does not mean."""
    citation: str
    reference: str
    """package==version or repository@commit it is tested against; 'ours' where there is none."""
    tolerance: float
    """Parity bound against `reference`."""
    version: int
    """+1 whenever a number may move."""
    real: RealVideo | None = None
    """What it needs of real videos. None, in plug-ins that do not say: 'content' where `needs` names the real video or a
    file of the user's, else 'none'."""

    @property
    def real_video(self) -> RealVideo:
        """`real`, or what follows from `needs` where it is not stated."""
        if self.real is not None:
            return self.real
        return "content" if any(n.startswith("gt.") or n == "npz" for n in self.needs) else "none"


@dataclass(frozen=True, slots=True)
class Failure:
    """One metric that could not be computed on a clip."""

    metric: str
    error: str
    """Name of the exception class."""
    message: str


@dataclass(slots=True)
class Measurement:
    """What a meter found on one clip."""

    values: dict[str, float | None] = field(default_factory=dict)
    """metric -> the clip's value; None goes with a Failure of that metric. Pooled metrics are not in here."""
    gt_values: dict[str, float] = field(default_factory=dict)
    """metric -> the real video's own score, where a metric needs no reference."""
    frames: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """metric -> (n_frames,) per-frame values, NaN where a frame has none."""
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    """name -> any further array to keep in frames.npz, e.g. 'syncnet_distance' (rows, 31)."""
    notes: list[str] = field(default_factory=list)
    details: dict[str, Json] = field(default_factory=dict)
    """Counts and facts of this clip, e.g. {'psnr_identical_frames': 3}."""
    failures: list[Failure] = field(default_factory=list)
    states: dict[str, dict[str, NDArray[np.generic]]] = field(default_factory=dict)
    """pooled metric -> additive state of this clip."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pooled metric over all clips."""

    value: float | None
    notes: tuple[str, ...]
    details: Mapping[str, Json]


class Meter(Protocol):
    """One family at work on one pair."""

    def update(self, batch: Batch) -> None:
        """Take the next frames. Batches come in order and cover 0..n_frames-1 once; their length is arbitrary.

        A batch holds no frames of a video that no meter of the run looks at (see `looks_at`).
        """
        ...

    def finish(self) -> Measurement:
        """The clip's numbers. May raise ClipError: every metric of the family then fails on this clip."""
        ...


ALL_FRAMES: Final = frozenset({"gen.frames", "gen.crop", "gt.frames", "gt.crop"})
NO_FRAMES: Final[frozenset[str]] = frozenset()


def looks_at(meter: Meter) -> frozenset[str]:
    """What a meter reads of batches, of ALL_FRAMES: source frames, or the protocol's crops. A video is decoded only as far as
    some meter looks at it.

    A meter says so by an attribute or property `looks_at`, which holds from `start` on (features that the cache knew need
    no frames); a meter without it gets everything.
    """
    found: frozenset[str] = getattr(meter, "looks_at", ALL_FRAMES)
    return found


class Family(ABC):
    """A group of metrics that share their work. The class itself is what is registered.

    A family states `specs`, writes `start`, and overrides what its metrics need beyond that.
    """

    specs: ClassVar[tuple[MetricSpec, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    """What a user may choose (Settings.options). The engine puts those that move a number into the signature."""
    stats: RealStats | None = None
    """The file of statistics of real videos that this run reads or writes; None where it has none."""
    has_network: bool = False
    """Whether --precision applies: the metrics run a network in the format of device.computing."""

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        """Cheap: no weights, no torch. `metrics` are the ids of this family that the run wants."""
        self.settings = settings
        self.metrics = metrics

    def option(self, name: str) -> str:
        """The value of one of the family's options in this run; '' where nothing is given and it has no default."""
        return value_of(self.options, self.settings.options, name)

    def check(self) -> None:  # noqa: B027  (most families need nothing)
        """Raise MissingWeights (or UsageError) if this family cannot run here: called before any work."""

    def needs(self, metric: str) -> frozenset[str]:
        """What a metric needs in this run; fewer than its spec says, where an option or protocol makes something needless."""
        return next(spec.needs for spec in self.specs if spec.name == metric)

    @property
    def brings_real(self) -> bool:
        """Whether this run's options bring what the metrics need of real videos: `stats` is a file that is there."""
        return self.stats is not None and self.stats.reading

    def facts(self, metric: str) -> Mapping[str, str]:
        """All that the features of real videos hang on, as `stats` keeps it. Only for families that have `stats`."""
        raise LipsyncError(f"{metric} keeps no statistics of real videos")

    def real_facts(self, metric: str) -> Mapping[str, str]:
        """The same; of a run that is put together where its weights are not, as its plan kept it."""
        settled = None if self.stats is None else self.stats.settled.get(metric)
        return self.facts(metric) if settled is None else settled

    def signature(self, metric: str) -> Mapping[str, str]:
        """Keys that this metric adds beside those of the options: {'feat': 'syncnet@961e8696'}.

        With them stands everything of the family that can move a number.
        """
        return {}

    def keys(self, metric: str) -> dict[str, str]:
        """All keys that this metric adds to a signature: those of the options, and the family's own.

        real: the statistics of real videos that are read, or were written by this run. dtype: see `number_format`.
        """
        keys = signature_part(self.options, self.settings.options) | dict(self.signature(metric))
        real = "" if self.stats is None else self.stats.signature(metric)
        keys |= self.number_format
        return keys | ({"real": real} if real else {})

    @property
    def number_format(self) -> dict[str, str]:
        """What signatures and cache keys say of the networks' number format: nothing where it is float32."""
        return {"dtype": self.settings.precision} if self.has_network and self.settings.precision != "fp32" else {}

    @abstractmethod
    def start(self, pair: Pair) -> Meter:
        """A meter for one pair. May raise ClipError (all of the family's metrics fail on this clip)."""

    def pool(self, metric: str, states: Sequence[tuple[str, Mapping[str, NDArray[np.generic]]]]) -> Pooled:
        """Combine the states of all clips, given in clip order as (clip id, state). Only for pooled metrics."""
        raise LipsyncError(f"{metric} is a mean over clips; it is not pooled")


def mean_of(frames: NDArray[np.float64]) -> float | None:
    """Mean over the frames that have a value (float64); None when none has."""
    good = np.isfinite(frames)
    return float(np.mean(frames[good], dtype=np.float64)) if good.any() else None
