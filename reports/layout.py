"""Which metrics a table shows, in which order and under which headings: built-in layouts, or a TOML file of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lipsync_eval.errors import ParseError
from lipsync_eval.files import read_toml
from lipsync_eval.registry import Registry


@dataclass(frozen=True, slots=True)
class Layout:
    """A table's shape."""

    title: str
    metrics: tuple[str, ...]
    headings: Mapping[str, str]
    """By metric; the metric's own title where there is none."""
    decimals: Mapping[str, int]
    """Digits after the point, by metric; the metric's own where there are none."""
    notes: tuple[str, ...]


_LMD = "LMD: normalised, as the paper says; by what it does not say, measured rows divide by the distance of the outer eye corners."

RADIO = Layout(
    "Visual quality and lip synchronisation",
    ("psnr", "ms_ssim", "lpips", "lse_c", "lse_d", "lmd_norm"),
    {"lse_c": "Sync-C", "lse_d": "Sync-D", "lmd_norm": "LMD"},
    {"psnr": 3, "ms_ssim": 3, "lpips": 3, "lse_c": 3, "lse_d": 3},
    (_LMD,),
)
RADIO_ABLATION = Layout(
    "Ablation: table 2 and the supplement's table 1",
    ("psnr", "lpips", "sync_cosine"),
    {"sync_cosine": "Sync"},
    {"psnr": 3, "lpips": 3, "sync_cosine": 3},
    ("Sync: mean cosine of eq. 4 with the sync discriminator of the run.",),
)
PERSONATALK = Layout(
    "Quality, synchronisation and persona",
    (
        "ssim",
        "psnr",
        "fid",
        "lmd_norm",
        "lse_c",
        "lpips",
        "csim",
        "csim_ref",
        "stylesim",
        "stylesim_vertices",
        "stylesim_vertices_ref",
        "stylesim_vertices_encoder",
        "stylesim_vertices_encoder_ref",
        "stylesim_points68",
        "stylesim_points68_ref",
    ),
    {"lmd_norm": "LMD", "lse_c": "SyncScore"},
    {"ssim": 3, "psnr": 3, "fid": 3},
    (_LMD,),
)
AVHUBERT_EXPERT = Layout(
    "Visual quality and AV-HuBERT synchronisation",
    ("ssim", "psnr", "fid", "lmd", "lse_c", "lse_d", "avs_u", "avs_m", "avs_v"),
    {},
    {"ssim": 3, "psnr": 3, "fid": 2, "lmd": 3, "lse_c": 3, "lse_d": 3},
    (),
)
STYLESYNC = Layout(
    "Reconstruction, synchronisation and identity",
    ("ssim", "psnr", "lmd", "lse_c", "csim"),
    {"lse_c": "Sync", "csim": "ID"},
    {"ssim": 2, "psnr": 2, "lmd": 2, "lse_c": 2, "csim": 2},
    (),
)

LAYOUTS: Final = Registry[Layout](
    "layout",
    {
        "radio": "lipsync_eval.reports.layout:RADIO",
        "radio-ablation": "lipsync_eval.reports.layout:RADIO_ABLATION",
        "personatalk": "lipsync_eval.reports.layout:PERSONATALK",
        "avhubert-expert": "lipsync_eval.reports.layout:AVHUBERT_EXPERT",
        "stylesync": "lipsync_eval.reports.layout:STYLESYNC",
    },
    group="lipsync_eval.layouts",
    also="or give the path of a .toml file that declares one",
)


def get_layout(name: str) -> Layout:
    """A layout by name (built-in, or a plug-in's of the entry point group `lipsync_eval.layouts`), or one from a TOML file.

    The file has `metrics = ["psnr", ...]` and, where wanted, `title`, `[headings]` and `[decimals]` by metric id.

    Raises:
        UsageError: neither a name nor a file.
        ParseError: the file is malformed; says where.
    """
    path = Path(name)
    if path.suffix != ".toml":
        return LAYOUTS.get(name)
    return _from_toml(path, read_toml(path, "--layout"))


def _from_toml(path: Path, data: dict[str, Any]) -> Layout:
    known = {"title": str, "metrics": list, "headings": dict, "decimals": dict}
    for key, value in data.items():
        if key not in known or not isinstance(value, known[key]):
            raise ParseError(
                f"--layout {path}: {key!r} is not expected or of the wrong type; expected metrics (a list), title, [headings], [decimals]"
            )
    metrics = data.get("metrics", [])
    if not metrics or not all(isinstance(m, str) for m in metrics):
        raise ParseError(f'--layout {path}: metrics: expected a list of metric ids, e.g. ["psnr", "lse_c"]')
    headings, digits = data.get("headings", {}), data.get("decimals", {})
    if not all(isinstance(v, str) for v in headings.values()) or not all(
        isinstance(v, int) and 0 <= v <= 10 for v in digits.values()
    ):
        raise ParseError(f"--layout {path}: [headings] takes texts, [decimals] whole numbers from 0 to 10")
    return Layout(data.get("title", ""), tuple(metrics), headings, digits, ())
