"""The face of a video, and the reference that a generator is given: an image file, or a frame of the video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.kit.data.alignment import Alignment, one_crop
from lipsync_eval.baselines.kit.dubbing.own_rate import TimedFrames
from lipsync_eval.baselines.kit.progress import Say, silent, telling
from lipsync_eval.cache import Cache
from lipsync_eval.errors import FaceError, MediaError, UsageError
from lipsync_eval.types import Clip, Float, Frame, Track


def face_track(video: TimedFrames, cache: Cache | None = None, say: Say = silent) -> Track:
    """The largest face through the video, kept in `cache` by the video's content.

    Raises:
        FaceError: there is none.
    """
    from lipsync_eval.faces import track_faces

    return track_faces(telling(video.clip, "face followed", say), cache=cache)


def reference_image(
    choice: str | None, video: TimedFrames, alignment: Alignment, size: int
) -> tuple[Frame, str] | None:
    """The reference crop where it is an image file; None where it is a frame of the video. Needs no track.

    Args:
        choice: an image file, the number of a frame of the video, or None for the first frame with a face.
        video: the video.
        alignment: of the generator.
        size: px of the result.

    Returns:
        (size, size, 3) uint8 RGB, and words for the report.

    Raises:
        FaceError: no face in the image.
        MediaError: it is no image.
        UsageError: neither a file nor a number of a frame.
    """
    if choice is None:
        return None
    if re.fullmatch(r"-?[0-9]+", choice):
        if not 0 <= int(choice) < video.clip.n_frames:
            raise UsageError(f"reference {choice}: the video has the frames 0 to {video.clip.n_frames - 1}")
        return None
    path = Path(choice)
    frame = read_image(path)
    return one_crop(alignment, frame, face_of(frame, path.name), size), path.name


def reference_frame(
    choice: str | None, video: TimedFrames, track: Track, alignment: Alignment, size: int
) -> tuple[Frame, str]:
    """The reference crop where it is a frame of the video: as `reference_image`, with the video's face.

    Raises:
        FaceError: no face in that frame.
    """
    index = int(np.flatnonzero(track.valid)[0]) if choice is None else int(choice)
    if not track.valid[index]:
        raise FaceError(f"reference: frame {index} of {video.clip.path.name!r} shows no face; choose another")
    frame = next(video.clip.frames(index, index + 1))
    return one_crop(alignment, frame, track.points[index], size), f"frame {index}"


def read_image(path: Path) -> Frame:
    """(H, W, 3) uint8 RGB of an image file.

    Raises:
        UsageError: there is no such file.
        MediaError: it is no image.
    """
    import cv2

    if not path.is_file():
        raise UsageError(f"reference {str(path)!r} is neither a file nor a number of a frame")
    data = np.fromfile(path, np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if bgr is None:
        raise MediaError(f"reference {path.name!r} is no image that can be read; give a PNG or JPEG file")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def face_of(frame: Frame, name: str) -> Float:
    """(68, 2) landmarks of the largest face of an image.

    Raises:
        FaceError: there is none.
    """
    from lipsync_eval.faces import track_faces

    def read(start: int, stop: int) -> Iterator[Frame]:
        """The image as often as it is asked for."""
        yield from [frame.copy()] * (stop - start)

    clip = Clip(Path(name), 1, frame.shape[0], frame.shape[1], 25.0, "", None, read)
    try:
        points: Float = track_faces(clip).points[0]
    except FaceError as error:
        raise FaceError(
            f"reference {name!r} shows no face; give an image with one face, well lit, at least 80 px wide"
        ) from error
    return points
