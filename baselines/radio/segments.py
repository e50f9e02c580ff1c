"""One talking video -> runs of aligned pictures with their landmarks and sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.radio import layouts
from lipsync_eval.baselines.radio.align import TRANSFORM, align, to_aligned
from lipsync_eval.baselines.radio.mel import WINDOW_FRAMES, mel_spectrogram, mel_window
from lipsync_eval.baselines.radio.shards import Entry, Segment
from lipsync_eval.errors import FaceError, LipsyncError, MediaError
from lipsync_eval.types import FPS, RATE, Audio, Clip, Track

VERSION = 2
"""+1 whenever a stored number may move."""
SEGMENT = 750
"""Longest entry, pictures (30 s)."""
PER_FRAME = RATE // FPS


@dataclass(frozen=True)
class Options:
    """How videos are prepared."""

    size: int = 192
    """px of the aligned pictures; training at a smaller size shrinks them."""
    layout: str = "auto"
    min_frames: int = 25
    """Shorter runs of pictures with a face are left out (and noted)."""
    landmarks: str = "dlib68"
    detector: str | None = None

    def preprocessing(self) -> dict[str, Any]:
        """What a second run into the same folder must agree on."""
        from lipsync_eval.faces import signature

        return {
            "version": VERSION,
            "size": self.size,
            "fps": FPS,
            "align": f"ffhq, transform {TRANSFORM}x",
            "faces": signature(self.landmarks, self.detector),
            "encoding": "png",
            "mel": "16000 Hz, FFT 1280 Hann, hop 160, 80 HTK bands 0-8000 Hz, power, dB of full scale -80..0 -> -1..1",
            "min_frames": self.min_frames,
        }


def segments(source: layouts.Source, options: Options) -> Iterator[Segment]:
    """Prepared runs of one video.

    Raises:
        ClipError: it cannot be decoded, has no sound, no face, or no run of `min_frames`.
    """
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    clip = open_clip(source.path, audio=source.audio)
    if clip.audio is None:
        raise MediaError(f"{source.name!r} has no sound; put a sound file with the same stem beside it")
    track = track_faces(clip, landmarks=options.landmarks, detector=options.detector)
    heard = min(clip.n_frames, -(-len(clip.audio.samples) // PER_FRAME))
    notes = [*clip.notes, *clip.audio.notes, *track.notes]
    if heard < clip.n_frames:
        notes.append(f"{clip.n_frames - heard} pictures after the end of the sound left out")
    runs = list(_runs(track.valid[:heard], options.min_frames))
    if not runs:
        raise FaceError(
            f"{source.name!r}: no {options.min_frames} consecutive pictures with a face and sound; see --min-frames"
        )
    left = heard - sum(stop - start for start, stop in runs)
    if left:
        notes.append(f"{left} pictures without a face, or in runs shorter than {options.min_frames}, left out")
    yield from _cut(source, options.size, clip, clip.audio, track, runs, tuple(notes))


def _runs(valid: NDArray[np.bool_], least: int) -> Iterator[tuple[int, int]]:
    """start, stop of runs of True that are at least `least` long, cut evenly to at most SEGMENT."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - start < least:
            continue
        pieces = -(-(stop - start) // SEGMENT)
        bounds = np.linspace(start, stop, pieces + 1).round().astype(int).tolist()
        yield from pairwise(bounds)


def _cut(
    source: layouts.Source,
    size: int,
    clip: Clip,
    audio: Audio,
    track: Track,
    runs: list[tuple[int, int]],
    notes: tuple[str, ...],
) -> Iterator[Segment]:
    """One pass over the pictures, one Segment per run."""
    mel = mel_spectrogram(audio.samples)
    sound = np.pad(audio.int16(), (0, PER_FRAME))  # the last picture's sound may be incomplete: silence follows it
    stem = source.name.rpartition(".")[0]
    pictures: list[bytes] = []
    number = 0
    for index, frame in enumerate(clip.frames(0, runs[-1][1])):
        start, stop = runs[number]
        if index < start:
            continue
        pictures.append(_png(align(frame, track.points[index], size)))
        if index + 1 < stop:
            continue
        entry = Entry(f"{stem}#{number}", source.name, source.group, source.split, start, stop - start, notes)
        landmarks = to_aligned(track.points[start:stop], size).astype(np.float32)
        around = 4 * (stop - start) + WINDOW_FRAMES - 4
        window = np.ascontiguousarray(mel_window(mel, start / FPS, around).T)
        yield Segment(entry, pictures, landmarks, window, sound[start * PER_FRAME : stop * PER_FRAME])
        pictures, number = [], number + 1


def _png(picture: NDArray[np.uint8]) -> bytes:
    import cv2

    ok, data = cv2.imencode(".png", picture[:, :, ::-1])
    if not ok:
        raise LipsyncError(f"cannot encode a picture of {picture.shape}")
    return bytes(data)
