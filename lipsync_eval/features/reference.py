"""What `--reference` names, for the `_ref` metrics: one image or video for all clips, or a folder of them by clip id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from lipsync_eval.cache import Cache
from lipsync_eval.errors import MediaError, MetricError, UsageError
from lipsync_eval.features.speaker import track_one
from lipsync_eval.files import sha256
from lipsync_eval.media import open_clip
from lipsync_eval.media.names import is_hidden, is_image, is_video, key
from lipsync_eval.types import FPS, Clip, Frame, Settings, Track


def check(settings: Settings) -> Path:
    """The path that was given.

    Raises:
        UsageError: none was given, or it does not exist.
    """
    if settings.reference is None:
        raise UsageError(
            "the _ref metrics compare with a reference: give --reference FILE (an image or a video), or a folder of them named by clip id"
        )
    if not settings.reference.exists():
        raise UsageError(f"--reference {settings.reference}: there is no such file or folder")
    return settings.reference


def content(settings: Settings) -> str:
    """First 8 hex digits of a sha256 over what --reference names, for the signature: a file's bytes and those of the .npz files that
    belong to it, or names and bytes of a folder's images, videos and .npz files.

    Raises:
        UsageError: none was given, or it does not exist.
    """
    given = check(settings)
    if given.is_file():
        return sha256(
            given, *sorted(p for p in given.parent.glob("*.npz") if p != given and p.name.startswith(f"{given.stem}."))
        )[:8]
    files = sorted((key(p.relative_to(given).as_posix()), p) for p in given.rglob("*") if _counts(p) and p.is_file())
    stamps = tuple((name, str(p), p.stat().st_size, p.stat().st_mtime_ns) for name, p in files)
    return _folder_content(stamps)


def _counts(path: Path) -> bool:
    return not is_hidden(path) and (is_image(path) or is_video(path) or path.suffix == ".npz")


@lru_cache(maxsize=8)
def _folder_content(stamps: tuple[tuple[str, str, int, int], ...]) -> str:
    """(name, path, size, time of change) of each file; the last two say when a file must be read again."""
    lines = "".join(f"{sha256(Path(path))} {name}\n" for name, path, _, _ in stamps)
    return hashlib.sha256(lines.encode()).hexdigest()[:8]


def find(settings: Settings, clip_id: str) -> Path:
    """The reference of one clip.

    Raises:
        UsageError: no --reference.
        MetricError: a folder that has none for this clip, or several.
    """
    given = check(settings)
    if given.is_file():
        return given
    wanted = given / clip_id
    if not wanted.resolve().is_relative_to(given.resolve()):
        raise MetricError(f"the clip id {clip_id!r} leads out of the reference folder {given}")
    beside = sorted(wanted.parent.iterdir()) if wanted.parent.is_dir() else []
    found = [p for p in beside if key(p.stem) == wanted.name and (is_image(p) or is_video(p))]
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise MetricError(
            f"the reference folder {given} must hold one image or video named {clip_id!r}; it holds: {names}"
        )
    return found[0]


def open_reference(path: Path) -> Clip:
    """An image or a video as a Clip; an image is a clip of one image.

    Raises:
        MediaError: it cannot be decoded.
    """
    return _image(path) if is_image(path) else open_clip(path)


def track_reference(settings: Settings, clip: Clip) -> Track:
    """The face of a reference, found as the run finds all others.

    Raises:
        FaceError: no face in it.
    """
    return track_one(settings, clip, Cache(settings.cache_dir))


def _image(path: Path) -> Clip:
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error) as error:
        raise MediaError(f"the reference {path} cannot be read: {error}") from error
    if decoded is None:
        raise MediaError(f"the reference {path} is no picture that OpenCV can decode")
    image: Frame = np.ascontiguousarray(decoded[..., ::-1])

    def read(start: int, stop: int) -> Iterator[Frame]:
        for _ in range(start, min(stop, 1)):
            yield image.copy()

    return Clip(path, 1, image.shape[0], image.shape[1], float(FPS), sha256(path), None, read)
