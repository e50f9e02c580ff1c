"""Landmarks for generators whose own detector is not to run: lipsync-eval's 68 points, handed over as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipsync_eval.baselines.base import BaselineError, Job
from lipsync_eval.baselines.patches import read_prepared
from lipsync_eval.errors import LipsyncError
from lipsync_eval.types import MISSING

if TYPE_CHECKING:
    from lipsync_eval.types import Track


def points(job: Job, video: Path) -> Track:
    """The face of a video by the backend that the option `points` names.

    Raises:
        BaselineError: the repository is no prepared copy, whose patches read the points; no face, an unknown backend.
    """
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    if read_prepared(job.repo) is None:
        raise BaselineError(
            f"the option 'points' needs a copy made by `lipsync-eval baselines prepare`: the code at {job.repo} would not read them"
        )
    try:
        return track_faces(open_clip(video), landmarks=job.option("points"))
    except LipsyncError as error:
        raise BaselineError(f"points: {error}") from error


def write_points(job: Job, video: Path, file: Path) -> list[str]:
    """Write one (68, 2) float64 array of px a picture into an .npz, named by the picture's number from 0; pictures without a face have none.

    Returns:
        notes on what was written.
    """
    track = points(job, video)
    found = np.flatnonzero(track.status != MISSING)
    np.savez(file, **{str(i): track.points[i] for i in found.tolist()})
    return [
        f"landmarks of {len(found)} of {len(track.status)} pictures by {track.backend}, instead of its own detector"
    ]


def write_picture_points(job: Job, file: Path) -> Track:
    """Write the (68, 2) float64 px of the face in job.reference into an .npy; returns the Track of that one picture."""
    import shutil

    folder = job.work / "picture"
    folder.mkdir()
    shutil.copyfile(job.reference, folder / "0.png")
    track = points(job, folder)
    np.save(file, track.points[0])
    return track
