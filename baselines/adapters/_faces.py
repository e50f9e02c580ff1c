"""Landmarks for generators whose own detector is not to run: lipsync-eval's 68 points, handed over as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsync_eval.baselines.base import BaselineError, Job, Record
from lipsync_eval.baselines.patches import prepared_facts, read_prepared
from lipsync_eval.errors import LipsyncError
from lipsync_eval.types import MISSING

if TYPE_CHECKING:
    from lipsync_eval.types import Track


def points(record: Record, job: Job, video: Path) -> Track:
    """The face of a video by the backend that the option `points` names.

    Raises:
        BaselineError: the repository is no copy with the record's patches, which read the points; no face, an unknown backend.
    """
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    if read_prepared(job.repo) != prepared_facts(record):
        raise BaselineError(
            f"the option 'points' needs a copy made by `lipsync-eval baselines prepare {record.name}` with this adapter's patches: "
            f"the code at {job.repo} would not read them"
        )
    try:
        return track_faces(open_clip(video), landmarks=job.option("points"))
    except LipsyncError as error:
        raise BaselineError(f"points: {error}") from error


def write_points(record: Record, job: Job, video: Path, file: Path) -> list[str]:
    """Write one (68, 2) float64 array of px a frame into an .npz, named by the frame's number from 0; frames without a face have none.

    Returns:
        notes on what was written.
    """
    track = points(record, job, video)
    found = np.flatnonzero(track.status != MISSING)
    file.unlink(missing_ok=True)  # a link to one in the user's checkout would be written through
    np.savez(file, **{str(i): track.points[i] for i in found.tolist()})
    return [f"landmarks of {len(found)} of {len(track.status)} frames by {track.backend}, instead of its own detector"]


def write_picture_points(record: Record, job: Job, file: Path) -> Track:
    """Write the (68, 2) float64 px of the face in job.reference into an .npy; returns the Track of that one picture."""
    import shutil

    folder = job.work / "picture"
    folder.mkdir()
    shutil.copyfile(job.reference, folder / "0.png")
    track = points(record, job, folder)
    file.unlink(missing_ok=True)
    np.save(file, track.points[0])
    return track
