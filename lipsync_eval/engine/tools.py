"""What one process needs to measure clips: protocol, metric families, cache. Made once, used for every pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lipsync_eval.align import Align, parse_align
from lipsync_eval.cache import Cache
from lipsync_eval.errors import MissingWeights, UsageError
from lipsync_eval.faces import signature as faces_signature
from lipsync_eval.features import reference
from lipsync_eval.features.speaker import face_key, track_one
from lipsync_eval.metrics.base import Family, MetricSpec
from lipsync_eval.metrics.registry import family_of, get_spec
from lipsync_eval.options import value_of
from lipsync_eval.protocol import Protocol
from lipsync_eval.results.signature import CROP_FROM
from lipsync_eval.types import FPS, Clip, Settings, Track
from lipsync_eval.version import READING, __version__
from lipsync_eval.weights import locate

_POINTS = frozenset({"gen.points", "gt.points"})
_CROPS = frozenset({"gen.crop", "gt.crop"})
_AUDIO = frozenset({"gen.audio", "gt.audio"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One metric that a run asks for."""

    spec: MetricSpec
    family: Family
    """Shared by all asks of the family."""
    needs: frozenset[str]
    """As in MetricSpec.needs, under this run's options and protocol."""
    paired: bool = True
    """Whether it is measured on videos that are paired frame by frame (see Pair.paired)."""

    @property
    def name(self) -> str:
        """The metric's id."""
        return self.spec.name

    @property
    def pooled(self) -> bool:
        """Whether the metric is one number over all clips."""
        return self.spec.pooling == "pooled"


@dataclass(frozen=True)
class MeasuringTools:
    """A run's tools."""

    settings: Settings
    asks: tuple[Ask, ...]
    """One for each metric that is measured."""
    protocol: Protocol
    align: Align
    cache: Cache
    real: bool = True
    """Whether the run has real videos."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The ids asked for."""
        return tuple(ask.name for ask in self.asks)

    @cached_property
    def by_family(self) -> tuple[tuple[Family, tuple[Ask, ...]], ...]:
        """Each family with its asks."""
        families = {id(ask.family): ask.family for ask in self.asks}
        return tuple((f, tuple(ask for ask in self.asks if ask.family is f)) for f in families.values())

    @cached_property
    def passes(self) -> tuple[tuple[Ask, ...], ...]:
        """Asks that share one pass over the frames: those of videos of their own length, then those of paired ones."""
        groups = (tuple(ask for ask in self.asks if ask.paired is paired) for paired in (False, True))
        return tuple(group for group in groups if group)

    @cached_property
    def needs_crops(self) -> bool:
        """Whether any metric looks at the protocol's crop."""
        return any(_CROPS & ask.needs for ask in self.asks)

    @cached_property
    def needs_audio(self) -> bool:
        """Whether any metric hears the audio."""
        return any(_AUDIO & ask.needs for ask in self.asks)

    @cached_property
    def reference(self) -> str:
        """The content of --reference for the signature, as it is when first asked for: before the first clip.

        Raises:
            UsageError: none was given, or it does not exist.
        """
        return reference.content(self.settings)

    def ask(self, metric: str) -> Ask:
        """The ask of one metric of this run."""
        return next(ask for ask in self.asks if ask.name == metric)

    def uses_faces(self, ask: Ask) -> bool:
        """Whether a metric depends on landmarks under this protocol."""
        return bool(_POINTS & ask.needs) or (bool(_CROPS & ask.needs) and self.protocol.spec.needs_track)

    def track(self, clip: Clip) -> Track:
        """The face that this run follows through a clip by itself, from the cache where it is there.

        Raises:
            FaceError: no face at all, several with face='single', nobody who surely speaks with face='speaking'.
            MediaError: the clip cannot be read to its end.
        """
        return track_one(self.settings, clip, self.cache)

    def check_weights(self) -> dict[str, str]:
        """Metrics whose weights are not here -> why. Other things that a family lacks raise at once.

        Raises:
            UsageError: e.g. a --reference that is needed and was not given, a refused checkpoint.
        """
        missing: dict[str, str] = {}
        for family, asks in self.by_family:
            try:
                family.check()
            except MissingWeights as error:
                missing |= {ask.name: str(error) for ask in asks}
        return missing

    def without(self, metrics: Mapping[str, str]) -> MeasuringTools:
        """The same tools, leaving out some metrics (id -> why)."""
        kept = tuple(m for m in self.metrics if m not in metrics)
        if not kept:
            raise UsageError("no metric is left: all of them lack their weights. " + next(iter(metrics.values())))
        return open_tools(self.settings, kept, real=self.real)

    def signature_parts(self, metric: str, cropped: Iterable[str] | None = None) -> dict[str, str]:
        """Every key of one metric's signature except `n`.

        Args:
            metric: id.
            cropped: for each clip in the score, whose landmarks cropped it (Crop.crop_from). None: before any clip is measured,
                when the signature says what was asked for.
        """
        ask = self.ask(metric)
        parts = {
            "agg": "pooled" if ask.pooled else "clip-mean",
            "fps": str(FPS),
            "media": str(READING),
            "metric": f"{ask.spec.name}.{ask.spec.version}",
            "v": __version__,
        }
        if _CROPS & ask.needs:
            parts["proto"] = self.protocol.signature()
            if whose := self.crop_from(ask, cropped):
                parts[CROP_FROM] = whose
        if ask.paired:
            parts["align"] = self.align.signature
        if not self.real:
            parts["gt"] = "none"
        elif self.settings.setting != "self":
            parts["setting"] = self.settings.setting
        if self.uses_faces(ask):
            parts["faces"] = faces_signature(self.settings.landmarks, self.settings.detector, self._weights)
            parts["face"] = face_key(self.settings)
        if "gen.audio" in ask.needs:
            parts["audio"] = self.settings.audio
        if "reference" in ask.needs:
            parts["reference"] = self.reference
        return parts | ask.family.keys(metric)

    def crop_from(self, ask: Ask, cropped: Iterable[str] | None) -> str:
        """Whose landmarks cropped, or were asked to crop; '' where the protocol leaves no choice, and where it was to choose
        ('auto') and no clip is in the score.
        """
        declared = self.protocol.spec.options
        if not any(option.name == CROP_FROM for option in declared):
            return ""
        if not ask.paired:
            return "own"
        asked = value_of(declared, self.settings.protocol_options, CROP_FROM)
        if cropped is None:
            return asked
        return "+".join(sorted(set(cropped))) or ("" if asked == "auto" else asked)

    def _weights(self, name: str) -> Path:
        return locate(self.settings, name).path


def open_tools(settings: Settings, metrics: Sequence[str], *, real: bool = True) -> MeasuringTools:
    """Bind the protocol and the metric families. Loads no weights and no network.

    Args:
        settings: of the run.
        metrics: ids.
        real: whether the run has real videos.

    Raises:
        UsageError: unknown protocol, option or metric.
    """
    from lipsync_eval.protocols import get

    def paired(metric: str) -> bool:
        return real and (settings.setting == "self" or get_spec(metric).real_video == "content")

    members: dict[tuple[type[Family], bool], set[str]] = {}
    for metric in metrics:
        members.setdefault((family_of(metric), paired(metric)), set()).add(metric)
    families = {key: key[0](settings, frozenset(names)) for key, names in members.items()}
    asks = []
    for metric in metrics:
        together = paired(metric)
        family = families[family_of(metric), together]
        asks.append(Ask(get_spec(metric), family, family.needs(metric), together))
    protocol, align = get(settings.protocol, settings.protocol_options), parse_align(settings.align)
    return MeasuringTools(settings, tuple(asks), protocol, align, Cache(settings.cache_dir), real)
