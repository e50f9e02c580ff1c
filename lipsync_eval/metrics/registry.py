"""Which metrics there are. Built-ins are a literal table, so listing imports only the small family modules;
third parties add theirs through the entry point group `lipsync_eval.metrics`, named package/metric-family.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.base import Family, MetricSpec
from lipsync_eval.options import Option, united
from lipsync_eval.registry import Registry, no_such


def _ids(family: type[Family]) -> list[str]:
    """A family's metric ids; a plug-in that is none is refused in words."""
    if not (isinstance(family, type) and issubclass(family, Family)):
        raise UsageError(
            f"the metric plug-in {family!r} is no subclass of lipsync_eval.metrics.base.Family; derive it from that class"
        )
    return [spec.name for spec in family.specs]


FAMILIES: Final = Registry[type[Family]](
    "metric",
    {
        # one line a family, in the order in which tables print them
        "psnr": "lipsync_eval.metrics.psnr:PSNR",
        "ssim": "lipsync_eval.metrics.ssim:SSIM",
        "lpips": "lipsync_eval.metrics.lpips:Lpips",
        "cpbd": "lipsync_eval.metrics.quality.cpbd:Cpbd",
        "niqe": "lipsync_eval.metrics.quality.niqe:Niqe",
        "brisque": "lipsync_eval.metrics.quality.brisque:Brisque",
        "fid": "lipsync_eval.metrics.fid:Fid",
        "fvd": "lipsync_eval.metrics.fvd.family:Fvd",
        "lmd": "lipsync_eval.metrics.lmd:LMD",
        "landmark_errors": "lipsync_eval.metrics.motion.landmarks:LandmarkErrors",
        "mouth_mel": "lipsync_eval.metrics.mouth_mel:MouthMel",
        "mouth_audio": "lipsync_eval.metrics.mouth_audio:MouthAudio",
        "syncnet": "lipsync_eval.metrics.syncnet:SyncNet",
        "leakage": "lipsync_eval.metrics.leakage:Leakage",
        "sync_cosine": "lipsync_eval.baselines.radio.metric:SyncCosine",
        "lip_expert": "lipsync_eval.baselines.avhubert_expert.metric:LipExpertScores",
        "avs": "lipsync_eval.metrics.avs:Avs",
        "soft_dtw_avhubert": "lipsync_eval.metrics.motion.timing_avhubert:SoftDtwAvhubert",
        "timing": "lipsync_eval.metrics.motion.timing:Timing",
        "slcc": "lipsync_eval.metrics.motion.slcc:Slcc",
        "theval": "lipsync_eval.metrics.motion.theval:Theval",
        "blinks": "lipsync_eval.metrics.motion.blinks:Blinks",
        "action_units": "lipsync_eval.metrics.motion.files:ActionUnits",
        "vertex_errors": "lipsync_eval.metrics.motion.files:VertexErrors",
        "efid_blendshapes": "lipsync_eval.metrics.motion.efid:EfidBlendshapes",
        "efid_deep3d": "lipsync_eval.metrics.motion.efid:EfidDeep3d",
        "csim": "lipsync_eval.metrics.csim:Csim",
        "stylesim_points68": "lipsync_eval.metrics.stylesim:StyleSimPoints68",
        "stylesim_blendshapes": "lipsync_eval.metrics.stylesim:StyleSimBlendshapes",
        "stylesim_diffposetalk": "lipsync_eval.metrics.stylesim:StyleSimDiffPoseTalk",
        "stylesim_vertices": "lipsync_eval.metrics.stylesim:StyleSimVertices",
        "stylesim_vertices_encoder": "lipsync_eval.metrics.stylesim:StyleSimVerticesEncoder",
    },
    group="lipsync_eval.metrics",
    names_of=_ids,
)
"""Families by metric id."""


@cache
def families() -> tuple[type[Family], ...]:
    """All metric families, built-in first, in table order.

    Raises:
        UsageError: a third party's family cannot be loaded or takes a name that is in use.
    """
    return tuple(dict.fromkeys(FAMILIES.load().values()))


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
    """The family that computes a metric id.

    Raises:
        UsageError: no such metric.
    """
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
    raise UsageError(no_such("metric", metric, known))


def uses_networks(metrics: Iterable[str]) -> bool:
    """Whether any of these metrics has weights."""
    return any("weights" in get_spec(metric).needs for metric in metrics)


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
