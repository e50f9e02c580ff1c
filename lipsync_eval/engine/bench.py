"""Everything one process needs to measure clips: protocol, metric families, cache. Built once, used for every pair."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lipsync_eval import __version__
from lipsync_eval.align import Align, parse_align
from lipsync_eval.cache import Cache
from lipsync_eval.errors import MissingWeights, UsageError
from lipsync_eval.faces import signature as faces_signature
from lipsync_eval.features import reference
from lipsync_eval.metrics.base import Family, MetricSpec
from lipsync_eval.metrics.registry import family_of, get_spec
from lipsync_eval.protocol import Protocol
from lipsync_eval.types import FPS, Settings
from lipsync_eval.weights import locate

_POINTS = frozenset({"gen.points", "gt.points"})
_CROPS = frozenset({"gen.crop", "gt.crop"})
_SOUND = frozenset({"gen.audio", "gt.audio"})


@dataclass(frozen=True)
class Bench:
    """A run's tools. `families` share their work over the metrics that the run wants."""

    settings: Settings
    metrics: tuple[str, ...]
    protocol: Protocol
    families: tuple[Family, ...]
    align: Align
    cache: Cache

    def wanted(self, family: Family) -> tuple[MetricSpec, ...]:
        """The family's specs that this run asked for."""
        return tuple(s for s in family.specs if s.name in self.metrics)

    @property
    def needs_faces(self) -> bool:
        """Whether any metric, or the protocol under a metric that crops, looks at landmarks."""
        return any(self.uses_faces(needs_of(f, s)) for f in self.families for s in self.wanted(f))

    @property
    def needs_crops(self) -> bool:
        """Whether any metric looks at the protocol's crop."""
        return any(_CROPS & needs_of(f, s) or _POINTS & needs_of(f, s) for f in self.families for s in self.wanted(f))

    @property
    def needs_sound(self) -> bool:
        """Whether any metric hears the sound."""
        return any(_SOUND & needs_of(f, s) for f in self.families for s in self.wanted(f))

    @cached_property
    def reference(self) -> str:
        """The content of --reference for the signature, as it is when first asked for: before the first clip.

        Raises:
            UsageError: none was given, or it does not exist.
        """
        return reference.content(self.settings)

    def uses_faces(self, needs: frozenset[str]) -> bool:
        """Whether a metric with these needs depends on landmarks under this protocol."""
        return bool(_POINTS & needs) or (bool(_CROPS & needs) and self.protocol.spec.needs_track)


def needs_of(family: Family, spec: MetricSpec) -> frozenset[str]:
    """What a metric needs in this run, under its options and protocol."""
    return family.needs(spec.name)


def open_bench(settings: Settings, metrics: Sequence[str]) -> Bench:
    """Bind the protocol and the metric families. Loads no weights and no network.

    Raises:
        UsageError: unknown protocol, option or metric.
    """
    names = frozenset(metrics)
    classes = dict.fromkeys(family_of(m) for m in metrics)
    families = tuple(c(settings, names & {s.name for s in c.specs}) for c in classes)
    shelf = importlib.import_module("lipsync_eval.protocols")
    protocol: Protocol = shelf.get(settings.protocol, settings.protocol_options)
    return Bench(settings, tuple(metrics), protocol, families, parse_align(settings.align), Cache(settings.cache_dir))


def check_weights(bench: Bench) -> dict[str, str]:
    """Metrics whose weights are not here -> why. Other things a family lacks raise at once.

    Raises:
        UsageError: e.g. a --reference that is needed and was not given, a refused checkpoint.
    """
    missing: dict[str, str] = {}
    for family in bench.families:
        try:
            family.check()
        except MissingWeights as error:
            missing |= {s.name: str(error) for s in bench.wanted(family)}
    return missing


def without(bench: Bench, metrics: Mapping[str, str]) -> Bench:
    """The same bench, leaving out some metrics."""
    kept = tuple(m for m in bench.metrics if m not in metrics)
    if not kept:
        raise UsageError("no metric is left: all of them lack their weights. " + next(iter(metrics.values())))
    return open_bench(bench.settings, kept)


def signature_parts(bench: Bench, metric: str) -> dict[str, str]:
    """Every key of one metric's signature except `n`."""
    spec = get_spec(metric)
    family = next(f for f in bench.families if any(s.name == metric for s in f.specs))
    needs = needs_of(family, spec)
    settings = bench.settings
    parts = {
        "agg": "pooled" if spec.pooling == "pooled" else "clip-mean",
        "align": bench.align.signature,
        "fps": str(FPS),
        "metric": f"{spec.name}.{spec.version}",
        "proto": bench.protocol.signature(),
        "v": __version__,
    }
    if bench.uses_faces(needs):
        parts["faces"] = faces_signature(
            settings.landmarks, settings.detector, lambda name: locate(settings, name).path
        )
        parts["face"] = settings.face
    if "gen.audio" in needs:
        parts["audio"] = settings.audio
    if "reference" in needs:
        parts["reference"] = bench.reference
    return parts | family.keys(metric)
