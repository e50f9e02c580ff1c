"""score() with the fields of Settings as keyword arguments, for tests that set one or two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lipsync_eval
from lipsync_eval.results.schema import Result
from lipsync_eval.types import Settings

_OF_SCORE = (
    "metrics",
    "out",
    "pairs",
    "workers",
    "threads",
    "resume",
    "overwrite",
    "skip_missing",
    "name",
    "resample",
    "warn",
)


def score(gen: Path | str, gt: Path | str | None = None, *, cache: Path | None = None, **how: Any) -> Result:
    """lipsync_eval.score; `cache` is the folder of Settings.cache_dir, None keeps nothing."""
    own: dict[str, Any] = {name: how.pop(name) for name in _OF_SCORE if name in how}
    return lipsync_eval.score(gen, gt, settings=Settings(cache_dir=cache, **how), **own)
