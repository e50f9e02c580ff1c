"""`personatalk fit`: geometry files beside clips, and training data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lipsync_eval.baselines.kit.data.layouts import find
from lipsync_eval.baselines.kit.progress import Say, silent
from lipsync_eval.baselines.personatalk.geometry.face import SUFFIX, FaceGeometry, load_geometry
from lipsync_eval.baselines.personatalk.geometry.provider import Provider, geometry_beside
from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, OutputError, ParseError


@dataclass(frozen=True)
class Written:
    """Which clips have a geometry file now."""

    files: dict[str, Path]
    """By the clip's name."""
    failures: dict[str, str]


@dataclass(frozen=True)
class Places:
    """Where a clip's geometry file goes; pickled by `--workers`."""

    root: Path
    folder: Path | None
    """None: beside the clip."""

    def __call__(self, video: Path) -> Path:
        """a.mp4 -> a.vertices.npz, beside it or at the same place below `folder`."""
        if self.folder is None:
            return geometry_beside(video)
        below = video.relative_to(self.root).with_suffix("")
        return self.folder / below.with_name(below.name + SUFFIX)


def places(videos: Path, folder: Path | None) -> Places:
    """Of the videos under a folder, or of one video."""
    return Places(videos if videos.is_dir() else videos.parent, folder)


def fit_clip(provider: Provider, path: Path, cache: Cache | None = None) -> FaceGeometry:
    """The face of one clip at 25 fps.

    Raises:
        ClipError: it cannot be read, or shows no face.
    """
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    clip = open_clip(path)
    return provider.fit(clip, track_faces(clip, cache=cache))


def fit_all(
    provider: Provider,
    videos: Path,
    place: Callable[[Path], Path],
    *,
    layout: str = "auto",
    again: bool = False,
    cache: Cache | None = None,
    say: Say = silent,
) -> Written:
    """Write the geometry file of every video that has none of this topology yet.

    Args:
        provider: who fits.
        videos: a folder, or one video.
        place: where a video's file goes.
        layout: as `prepare --layout`.
        again: fit those that have a file too.
        cache: where tracks are kept.
        say: gets a line per video.

    Raises:
        UsageError: no video.
        OutputError: a file cannot be written there.
    """
    _, sources = find(videos, layout)
    done, failed = {}, {}
    for source in sources:
        target = place(source.path)
        if not again and _held(target, provider):
            done[source.name] = target
            say(f"{source.name}: {target.name} is there")
            continue
        try:
            face = fit_clip(provider, source.path, cache)
            target.parent.mkdir(parents=True, exist_ok=True)
            face.save(target)
        except ClipError as error:
            failed[source.name] = str(error)
            continue
        except OSError as error:
            raise OutputError(f"cannot write {target} ({error.strerror or error}); give --vertices FOLDER") from error
        done[source.name] = target
        say(f"{source.name}: {len(face.valid)} frames, {int((~face.valid).sum())} without a face")
    return Written(done, failed)


def _held(path: Path, provider: Provider) -> bool:
    """Whether a file of this topology is there."""
    if not path.exists():
        return False
    try:
        load_geometry(path, provider.topology)
    except ParseError as error:
        raise OutputError(f"{error} It is not replaced unasked; add --again, or give --vertices FOLDER") from error
    return True
