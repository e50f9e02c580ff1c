"""lipsync-eval: every number a lip-sync paper prints, computed one way, with a signature that says how.

`score` is the main job; each metric is also a plain function on arrays. Importing this package imports no
numerical library: names load on first use.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "protocols" / "__init__.py").is_file():
    # An install puts the three shelves into this package. In a checkout they lie beside it: look there too.
    __path__.append(str(_CHECKOUT))

_LAZY = {
    "score": "lipsync_eval.engine.score",
    "Result": "lipsync_eval.results.schema",
    "open_clip": "lipsync_eval.media",
    "track_faces": "lipsync_eval.faces",
    "check_metric": "lipsync_eval.metrics.checks.contract",
    "psnr": "lipsync_eval.metrics.psnr",
    "ssim": "lipsync_eval.metrics.ssim",
    "ms_ssim": "lipsync_eval.metrics.ssim",
    "lmd": "lipsync_eval.metrics.lmd",
}
__all__ = ["LipsyncError", "__version__", *_LAZY]

from lipsync_eval.errors import LipsyncError  # noqa: E402  (after __version__, which errors must not need)

if TYPE_CHECKING:
    from lipsync_eval.engine.score import score as score
    from lipsync_eval.faces import track_faces as track_faces
    from lipsync_eval.media import open_clip as open_clip
    from lipsync_eval.metrics.checks.contract import check_metric as check_metric
    from lipsync_eval.metrics.lmd import lmd as lmd
    from lipsync_eval.metrics.psnr import psnr as psnr
    from lipsync_eval.metrics.ssim import ms_ssim as ms_ssim
    from lipsync_eval.metrics.ssim import ssim as ssim
    from lipsync_eval.results.schema import Result as Result


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'lipsync_eval' has no attribute {name!r}; it has {', '.join(__all__)}")
