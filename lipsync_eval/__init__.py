"""lipsync-eval: every number a lip-sync paper prints, computed one way, with a signature that says how.

`score` is the main job; each metric is also a plain function on arrays. Importing this package imports no
numerical library: names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsync_eval.errors import LipsyncError
from lipsync_eval.version import __version__

_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "protocols" / "__init__.py").is_file():
    # An install puts the three shelves into this package. In a checkout they lie beside it: look there too.
    __path__.append(str(_CHECKOUT))

_LAZY = {
    "score": "lipsync_eval.engine.score",
    "score_shard": "lipsync_eval.engine.score_shard",
    "merge": "lipsync_eval.engine.merge",
    "Result": "lipsync_eval.results.schema",
    "Settings": "lipsync_eval.types",
    "list_metrics": "lipsync_eval.api.listing",
    "get_metric": "lipsync_eval.api.listing",
    "list_protocols": "lipsync_eval.api.listing",
    "correlate": "lipsync_eval.api.reporting",
    "figure": "lipsync_eval.api.figures",
    "gate": "lipsync_eval.api.reporting",
    "table": "lipsync_eval.api.reporting",
    "open_clip": "lipsync_eval.media",
    "track_faces": "lipsync_eval.faces",
    "check_metric": "lipsync_eval.metrics.checks.contract",
    "psnr": "lipsync_eval.metrics.psnr",
    "psnr_pooled": "lipsync_eval.metrics.psnr",
    "ssim": "lipsync_eval.metrics.ssim",
    "ms_ssim": "lipsync_eval.metrics.ssim",
    "lmd": "lipsync_eval.metrics.lmd",
    "lmd_centered": "lipsync_eval.metrics.lmd",
    "lmd_norm": "lipsync_eval.metrics.lmd",
    "f_lmd": "lipsync_eval.metrics.lmd",
    "lmd_atvg_sum": "lipsync_eval.metrics.lmd",
    "lpips": "lipsync_eval.api.perception",
    "fid": "lipsync_eval.api.perception",
    "lse": "lipsync_eval.api.sync",
    "avs": "lipsync_eval.api.sync",
    "csim": "lipsync_eval.api.identity",
    "stylesim": "lipsync_eval.api.identity",
}
__all__ = ["LipsyncError", "__version__", *_LAZY]

if TYPE_CHECKING:
    from lipsync_eval.api.figures import figure as figure
    from lipsync_eval.api.identity import csim as csim
    from lipsync_eval.api.identity import stylesim as stylesim
    from lipsync_eval.api.listing import get_metric as get_metric
    from lipsync_eval.api.listing import list_metrics as list_metrics
    from lipsync_eval.api.listing import list_protocols as list_protocols
    from lipsync_eval.api.perception import fid as fid
    from lipsync_eval.api.perception import lpips as lpips
    from lipsync_eval.api.reporting import correlate as correlate
    from lipsync_eval.api.reporting import gate as gate
    from lipsync_eval.api.reporting import table as table
    from lipsync_eval.api.sync import avs as avs
    from lipsync_eval.api.sync import lse as lse
    from lipsync_eval.engine.merge import merge as merge
    from lipsync_eval.engine.score import score as score
    from lipsync_eval.engine.score_shard import score_shard as score_shard
    from lipsync_eval.faces import track_faces as track_faces
    from lipsync_eval.media import open_clip as open_clip
    from lipsync_eval.metrics.checks.contract import check_metric as check_metric
    from lipsync_eval.metrics.lmd import f_lmd as f_lmd
    from lipsync_eval.metrics.lmd import lmd as lmd
    from lipsync_eval.metrics.lmd import lmd_atvg_sum as lmd_atvg_sum
    from lipsync_eval.metrics.lmd import lmd_centered as lmd_centered
    from lipsync_eval.metrics.lmd import lmd_norm as lmd_norm
    from lipsync_eval.metrics.psnr import psnr as psnr
    from lipsync_eval.metrics.psnr import psnr_pooled as psnr_pooled
    from lipsync_eval.metrics.ssim import ms_ssim as ms_ssim
    from lipsync_eval.metrics.ssim import ssim as ssim
    from lipsync_eval.results.schema import Result as Result
    from lipsync_eval.types import Settings as Settings


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        found = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return found
    raise AttributeError(f"module 'lipsync_eval' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
