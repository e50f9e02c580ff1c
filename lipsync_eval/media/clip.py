"""File -> Clip: the facts of a scan, and a reader that streams frames at 25 fps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from lipsync_eval.cache import NO_CACHE, Cache
from lipsync_eval.errors import MediaError
from lipsync_eval.files import sha256
from lipsync_eval.media.audio import read_audio
from lipsync_eval.media.container import check_file
from lipsync_eval.media.known import Facts, LateReader, facts_of, load, store
from lipsync_eval.media.reader import Reader
from lipsync_eval.media.sampling import sample
from lipsync_eval.media.scan import scan
from lipsync_eval.types import FPS, Audio, Clip


def open_clip(path: Path, *, audio: Path | None = None, keep: int = 0, cache: Cache = NO_CACHE) -> Clip:
    """Open a video file, or a folder of numbered images, as a Clip at 25 fps with audio at 16 kHz.

    The file is decoded once without conversion to find what is in it; frames are decoded again, as a stream, by
    `Clip.frames()`, unless they could be kept. What was done on the way in is in the notes of the clip and of its audio.

    Args:
        path: the video or folder.
        audio: an audio file that replaces the video's own track; its first sample sounds at the first frame.
        keep: bytes of memory that all frames of the file, as decoded, may take for as long as the clip is there, so that
            `Clip.frames()` need not decode again; where they take more none is kept. The frames are the same.
        cache: where the facts of video files are kept: one that was seen before is decoded when its frames are asked for.

    Raises:
        MediaError: the file cannot be used; the message says what was found and what to do.
    """
    path = Path(path)
    audio = None if audio is None else Path(audio)
    if path.is_dir():
        from lipsync_eval.media.images import open_images

        return open_images(path, audio)
    if audio is not None:
        check_file(audio)
    facts, read, digest = _video(path, keep, cache)
    own, useless = _audio(path, audio, facts.origin, facts.n_frames)
    return Clip(
        path=path,
        n_frames=facts.n_frames,
        height=facts.height,
        width=facts.width,
        source_fps=facts.source_fps,
        digest=digest if audio is None else sha256(path, audio),
        audio=own,
        read=read,
        notes=(*facts.notes, *([useless] if useless else [])),
        no_audio=useless,
    )


def _video(path: Path, keep: int, cache: Cache) -> tuple[Facts, Reader | LateReader, str]:
    """What is in a video file, what reads its frames, and the file's sha256."""
    before = ""
    if cache.folder is not None:
        check_file(path)
        before = sha256(path)
        known = load(cache, path, before)
        if known is not None:
            return known, LateReader(path, known, keep), before
    found = scan(path, keep)
    picks = sample(found.times)
    facts = facts_of(found, picks)
    digest = sha256(path)
    if digest == before:  # not while somebody writes it
        store(cache, path, digest, facts)
    return facts, Reader(path, found, picks), digest


def _audio(path: Path, audio: Path | None, origin: Fraction, n: int) -> tuple[Audio | None, str]:
    """The clip's audio, and why its own track is of no use."""
    seconds = Fraction(n, FPS)
    if audio is not None:
        given = read_audio(audio, origin=None, seconds=seconds)
        if given is None:
            raise MediaError(
                f"{audio.name!r} has no audio track; give an audio file, or none to use the video's own track"
            )
        return given, ""
    try:
        return read_audio(path, origin=origin, seconds=seconds), ""
    except MediaError as error:
        return None, str(error)
