"""One line of a run: which files are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PairPaths:
    """One line of the run: a generated video and the real one."""

    id: str
    gen: Path | None
    """None: there is no generated video of this name (a failure row)."""
    gt: Path | None
    """None: there is no real video of this name (a failure row; not so in a run without real videos)."""
    audio: Path | None
    """Audio file that replaces the generated video's own track; None: its own track."""
    gt_audio: Path | None = None
    """Audio file beside the real video; None: its own track."""
    speaker: str | None = None
    """Who speaks, where the table of --pairs has a column `speaker`."""
