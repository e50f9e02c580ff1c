"""Inputs for a generator: normalised without loss, under names that are safe in any shell."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.baselines.base import BaselineError
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.types import FPS, RATE, Frame


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a job's files hold."""

    n_frames: int
    """Frames of the video at 25 fps."""
    seconds: float
    """Length of the speech."""
    height: int
    width: int
    notes: tuple[str, ...]


def stage(entry: ManifestEntry, work: Path, *, reference: str) -> Inputs:
    """Write work/video.mkv, video.mp4, audio.wav and reference.png.

    Args:
        entry: the clip.
        work: an existing folder.
        reference: 'first' (RADIO's rule), 'random' (drawn from the clip's id), unless the manifest names one.

    Raises:
        BaselineError: the video, the speech or the picture cannot be read.
    """
    import cv2

    try:
        clip = open_clip(entry.video)
        speech = clip.audio if entry.audio == entry.video else open_audio(entry.audio)
        if speech is None:
            raise BaselineError(f"{entry.audio.name!r} holds no speech to dub with")
        write_video(work / "video.mkv", clip.frames(), codec="lossless")
        even = clip.height % 2 == 0 and clip.width % 2 == 0
        write_video(
            work / "video.mp4", clip.frames() if even else (_even(f) for f in clip.frames()), codec="h264", crf=4
        )
        picture = _reference(entry, reference, clip.n_frames)
        if isinstance(picture, int):
            frame = next(clip.frames(picture, picture + 1))
        else:
            read = cv2.imread(str(picture), cv2.IMREAD_COLOR)
            if read is None:
                raise BaselineError(f"the reference {picture.name!r} is no picture that can be read")
            frame = np.ascontiguousarray(read[..., ::-1])
    except MediaError as error:
        raise BaselineError(str(error)) from error
    if not cv2.imwrite(str(work / "reference.png"), frame[..., ::-1]):
        raise BaselineError("the reference picture cannot be written")
    _write_wav(work / "audio.wav", speech)
    notes = [f"video: {n}" for n in clip.notes]
    if not even:
        notes.append("video.mp4: an odd side was extended by one mirrored row or column, which H.264 needs")
    seconds = len(speech if isinstance(speech, np.ndarray) else speech.samples) / RATE
    return Inputs(clip.n_frames, seconds, clip.height, clip.width, tuple(notes))


def open_audio(path: Path) -> np.ndarray[tuple[int], np.dtype[np.float32]] | None:
    """(N,) float32 samples at 16 kHz mono of an audio file or of a video's own, from its first sample."""
    from fractions import Fraction

    from lipsync_eval.media.audio import read_audio

    found = read_audio(path, origin=None, seconds=Fraction(10**6))
    return None if found is None else found.samples


def _reference(entry: ManifestEntry, rule: str, n: int) -> int | Path:
    import zlib

    if entry.reference is not None:
        return entry.reference
    return 0 if rule == "first" else int(np.random.default_rng(zlib.crc32(entry.id.encode())).integers(0, n))


def _write_wav(path: Path, audio: object) -> None:
    samples = audio if isinstance(audio, np.ndarray) else audio.samples  # type: ignore[attr-defined]
    path.write_bytes(wav_bytes(samples))


def wav_bytes(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    """A .wav file, 16-bit: (N,) samples in [-1, 1], 16 kHz mono."""
    data = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(data.tobytes())
    return buffer.getvalue()


def _even(frame: Frame) -> Frame:
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def expected_frames(inputs: Inputs) -> int:
    """Frames that the result should have: the shorter of video and speech."""
    return min(inputs.n_frames, int(inputs.seconds * FPS))
