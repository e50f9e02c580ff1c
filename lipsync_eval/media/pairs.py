"""One line of a run: which files are compared."""

from __future__ import annotations

from dataclasses import dataclass

from lipsync_eval.urls import Place


@dataclass(frozen=True, slots=True)
class PairPaths:
    """One line of the run: a generated video and the real one."""

    id: str
    gen: Place | None
    """None: there is no generated video of this name (a failure row)."""
    gt: Place | None
    """None: there is no real video of this name (a failure row; not so in a run without real videos)."""
    audio: Place | None
    """Audio file that replaces the generated video's own track; None: its own track."""
    gt_audio: Place | None = None
    """Audio file beside the real video; None: its own track."""
    speaker: str | None = None
    """Who speaks, where the table of --pairs has a column `speaker`."""
