"""Which metrics there are. Built-ins are a literal table, so listing imports only the small family modules;
third parties add theirs through the entry point group `lipsync_eval.metrics`, named package/metric-family.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.base import Family, MetricSpec
from lipsync_eval.options import Option, united

_BUILT_IN: tuple[str, ...] = (
    # one line a family, in the order in which tables print them
    "lipsync_eval.metrics.psnr:PSNR",
    "lipsync_eval.metrics.ssim:SSIM",
    "lipsync_eval.metrics.lpips:Lpips",
    "lipsync_eval.metrics.quality.cpbd:Cpbd",
    "lipsync_eval.metrics.quality.niqe:Niqe",
    "lipsync_eval.metrics.quality.brisque:Brisque",
    "lipsync_eval.metrics.fid:Fid",
    "lipsync_eval.metrics.fvd.family:Fvd",
    "lipsync_eval.metrics.lmd:LMD",
    "lipsync_eval.metrics.mouth_audio:MouthAudio",
    "lipsync_eval.metrics.syncnet:SyncNet",
    "lipsync_eval.metrics.avs:Avs",
    "lipsync_eval.metrics.csim:Csim",
    "lipsync_eval.metrics.stylesim:StyleSimPoints68",
    "lipsync_eval.metrics.stylesim:StyleSimBlendshapes",
    "lipsync_eval.metrics.stylesim:StyleSimDiffPoseTalk",
    "lipsync_eval.metrics.stylesim:StyleSimVertices",
)
ENTRY_POINTS = "lipsync_eval.metrics"


@cache
def families() -> tuple[type[Family], ...]:
    """All metric families, built-in first, in table order.

    Raises:
        UsageError: a third party's family cannot be loaded or takes a name that is in use.
    """
    found: list[type[Family]] = [_load(path) for path in _BUILT_IN]
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        try:
            found.append(point.load())
        except Exception as error:
            raise UsageError(
                f"the metric plug-in {point.name!r} ({point.value}) cannot be loaded: {error!r}; uninstall or repair it"
            ) from error
    names: dict[str, str] = {}
    for family in found:
        if not (isinstance(family, type) and issubclass(family, Family)):
            raise UsageError(
                f"the metric plug-in {family!r} is no subclass of lipsync_eval.metrics.base.Family; derive it from that class"
            )
        for spec in family.specs:
            if spec.name in names:
                raise UsageError(
                    f"two metrics are called {spec.name!r} ({names[spec.name]} and {family.__module__}); rename one"
                )
            names[spec.name] = family.__module__
    return tuple(found)


@cache
def specs() -> dict[str, MetricSpec]:
    """All metric ids with their specs, in the order in which tables print them."""
    return {spec.name: spec for family in families() for spec in family.specs}


@cache
def declared_options() -> dict[str, Option]:
    """All options of all families by name.

    Raises:
        UsageError: two families declare one name in two ways.
    """
    return united((family.__qualname__, family.options) for family in families())


@cache
def family_of(metric: str) -> type[Family]:
    """The family that computes a metric id."""
    get_spec(metric)
    return next(f for f in families() if any(s.name == metric for s in f.specs))


def get_spec(metric: str) -> MetricSpec:
    """The spec of one id.

    Raises:
        UsageError: no such metric; near names and the whole list are in the message.
    """
    known = specs()
    if metric in known:
        return known[metric]
    near = difflib.get_close_matches(metric, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise UsageError(f"there is no metric {metric!r}.{hint} There are: {', '.join(known)}")


def select(text: str) -> tuple[str, ...]:
    """Metric ids for a --metrics value: `core`, `all` or names, comma separated; `-name` leaves one out.

    Returns:
        ids in registry order. `core` = group core; `all` = every group but opt-in and user-file.

    Raises:
        UsageError: unknown name, or nothing left.
    """
    groups = {"core": ("core",), "all": ("core", "weights")}
    chosen: set[str] = set()
    parts = [p.strip() for p in text.split(",") if p.strip()]
    if parts and all(p.startswith("-") for p in parts):
        parts.insert(0, "core")
    for part in parts:
        if part in groups:
            chosen |= {name for name, spec in specs().items() if spec.group in groups[part]}
        elif part.startswith("-"):
            chosen.discard(get_spec(part[1:]).name)
        else:
            chosen.add(get_spec(part).name)
    if not chosen:
        raise UsageError(f"--metrics {text!r} leaves no metric; give core, all, or names out of: {', '.join(specs())}")
    return tuple(name for name in specs() if name in chosen)


def _load(path: str) -> type[Family]:
    module, _, name = path.partition(":")
    family: type[Family] = getattr(import_module(module), name)
    return family
