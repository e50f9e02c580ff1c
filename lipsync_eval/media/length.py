"""How long videos are by their headers: enough to share out work, not to score by."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.errors import ClipError
from lipsync_eval.media.container import opened
from lipsync_eval.media.images import numbered
from lipsync_eval.types import FPS


def header_seconds(path: Path) -> float | None:
    """Seconds of a video by its header, or of a folder of images by their number; no frame is decoded.

    Returns:
        None where the header does not tell, or the file cannot be opened.
    """
    try:
        if path.is_dir():
            return len(numbered(path)) / FPS
        with opened(path) as container:
            duration = container.duration
    except (ClipError, OSError, ValueError):
        return None
    return duration / 1e6 if duration is not None and duration > 0 else None
