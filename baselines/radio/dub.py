"""`radio dub`: new speech for a video, picture by picture; nothing is held but one batch.

Aligned picture in, lower half out, blended back into the full frame with a soft border. Rate, size and everything
outside the mouth region stay; the given sound is written whole, mono, at its own rate.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Full, Queue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.radio.align import Mask, align, face_mask, lower_mask, matrix_of, paste
from lipsync_eval.baselines.radio.inference import Generator, face_track, reference_picture, speech
from lipsync_eval.baselines.radio.mel import mel_spectrogram, mel_window
from lipsync_eval.baselines.radio.native import Pictures, native_sound, open_pictures
from lipsync_eval.cache import Cache
from lipsync_eval.errors import AlignmentError
from lipsync_eval.files import write_text
from lipsync_eval.media import write_video
from lipsync_eval.types import RATE, Float, Frame, Track

Length = Literal["strict", "shortest"]
TOLERANCE = 1.5
"""Pictures by which sound and video may differ under --length strict."""
Masker = Callable[[Frame, Float], NDArray[np.float32]]
"""Own mask, e.g. from face parsing: aligned source picture and its landmarks (68, 2) -> (size, size) weights 0..1."""


@dataclass(frozen=True)
class Report:
    """What was done; written beside the output as JSON."""

    synthetic: bool
    """Always true: the mouth in this video was generated."""
    generator: str
    checkpoint: dict[str, Any]
    video: str
    audio: str
    reference: str
    fps: float
    size: tuple[int, int]
    frames: int
    frames_without_face: int
    seconds: float
    """Wall time after tracking."""
    tracking_seconds: float
    frames_per_second: float
    network_share: float
    notes: tuple[str, ...]


def dub(
    video: Path,
    audio: Path,
    out: Path,
    generator: Generator,
    *,
    reference: str | None = None,
    mask: Mask | Masker = "lower",
    length: Length = "strict",
    batch: int = 16,
    crops: Path | None = None,
    cache: Cache | None = None,
) -> Report:
    """Dub one video.

    Args:
        video: the video whose mouth is replaced.
        audio: a file with the new speech; its first sample sounds at the first picture.
        out: .mkv (lossless) or .mp4, .mov, .m4v (H.264). The report goes to the same name with .json added.
        generator: from `load_generator`.
        reference: image file, number of a picture of the video, or None for its first picture with a face.
        mask: 'lower' half of the aligned square, 'face' for the hull of jaw and nose in it, or a function.
        length: 'strict' refuses sound that is not as long as the video, 'shortest' stops with the shorter.
        batch: pictures at once.
        cache: where the face's track is kept; None keeps nothing.
        crops: folder that also gets gen/STEM.mkv and gt/STEM.mkv, the aligned pictures (lossless), for scoring.

    Returns:
        the report.

    Raises:
        AlignmentError: sound and video differ in length, under 'strict'.
        FaceError: no face in the video, or in the reference.
        MediaError, OutputError, InputError: a file cannot be read or written.
    """
    pictures = open_pictures(video)
    heard = speech(audio, pictures)
    count = frames_to_make(pictures, len(heard) / RATE, length, audio.name)
    begun = time.perf_counter()
    track = face_track(pictures, cache)
    tracked = time.perf_counter() - begun
    picture, name = reference_picture(reference, pictures, track, generator.size)
    job = _Job(pictures, track, mel_spectrogram(heard), generator, generator.reference(picture), mask, batch, count)
    own = audio.resolve() == video.resolve()
    sound, rate, notes = _output_sound(audio, heard, float(count / pictures.fps), own=own)
    begun, generator.seconds = time.perf_counter(), 0.0
    with ExitStack() as stack:
        beside = None if job.missing else heard
        taps = [stack.enter_context(tap) for tap in _taps(crops, out.stem, pictures, beside)]
        codec: Literal["lossless", "h264"] = "lossless" if out.suffix.lower() == ".mkv" else "h264"
        write_video(out, job.run(*taps), fps=pictures.fps, audio=sound, rate=rate, codec=codec)
    seconds = time.perf_counter() - begun
    report = Report(
        synthetic=True,
        **_made_by(generator),
        video=video.name,
        audio=audio.name,
        reference=name,
        fps=float(pictures.fps),
        size=pictures.clip.size,
        frames=count,
        frames_without_face=job.missing,
        seconds=round(seconds, 3),
        tracking_seconds=round(tracked, 3),
        frames_per_second=round(count / seconds, 2),
        network_share=round(generator.seconds / seconds, 3),
        notes=(*pictures.notes, *track.notes, *notes, *job.notes(crops is not None)),
    )
    write_text(out.with_name(out.name + ".json"), json.dumps(asdict(report), indent=1) + "\n")
    return report


def _made_by(generator: Generator) -> dict[str, Any]:
    held = generator.checkpoint
    name = f"RADIO ({held.config.name}, variant {held.config.model.variant}, {generator.size} px)"
    return {"generator": name, "checkpoint": {"step": held.step, "sha256": dict(held.hashes)}}


def _output_sound(
    audio: Path, heard: NDArray[np.float32], seconds: float, *, own: bool
) -> tuple[NDArray[np.float32], int, list[str]]:
    """Sound to write: the file's own rate, or 16 kHz where only that was placed by timestamps."""
    sound, rate = (heard, RATE) if own else native_sound(audio)
    notes: list[str] = []
    if abs(len(sound) / rate - len(heard) / RATE) > 0.02:
        sound, rate = heard, RATE
        notes.append("sound with gaps in its timestamps: written at 16 kHz")
    keep = round(seconds * rate)
    if len(sound) - keep > rate * 0.08:
        notes.append(f"{len(sound) / rate - seconds:.2f} s of sound after the last picture left out")
        sound = sound[:keep]
    return sound, rate, notes


def frames_to_make(pictures: Pictures, heard: float, length: Length, name: str) -> int:
    """Pictures to dub for `heard` seconds of sound.

    Raises:
        AlignmentError: lengths differ by more than TOLERANCE pictures under 'strict'.
    """
    fps = float(pictures.fps)
    if length == "strict" and abs(heard - pictures.length) > TOLERANCE / fps:
        what = "shorter" if heard < pictures.length else "longer"
        raise AlignmentError(
            f"the sound {name!r} ({heard:.2f} s) is {what} than the video ({pictures.length:.2f} s); "
            "give sound of the video's length, or --length shortest to stop with the shorter"
        )
    return pictures.clip.n_frames if length == "strict" else max(1, min(pictures.clip.n_frames, int(heard * fps + 0.5)))


@dataclass
class _Job:
    pictures: Pictures
    track: Track
    mel: NDArray[np.float32]
    generator: Generator
    reference: Any
    mask: Mask | Masker
    batch: int
    count: int

    @property
    def missing(self) -> int:
        """Pictures without a face among those to make."""
        return int(np.count_nonzero(~self.track.valid[: self.count]))

    def notes(self, crops: bool) -> list[str]:
        """What is not dubbed, and what the crops lack."""
        said = []
        if self.missing:
            said.append(f"{self.missing} pictures without a face are the source's own")
        if self.missing and crops:
            said.append("the crops leave those pictures out and so have no sound")
        if self.count < self.pictures.clip.n_frames:
            said.append(f"stops with the sound: {self.pictures.clip.n_frames - self.count} pictures left out")
        return said

    def run(self, *taps: Tap) -> Iterator[Frame]:
        """Dubbed pictures in order; the taps (gen, gt) get the aligned ones."""
        waiting: list[tuple[int, Frame]] = []
        for item in enumerate(self.pictures.clip.frames(0, self.count)):
            waiting.append(item)
            if len(waiting) == self.batch:
                yield from self._dubbed(waiting, taps)
                waiting = []
        if waiting:
            yield from self._dubbed(waiting, taps)

    def _dubbed(self, items: list[tuple[int, Frame]], taps: tuple[Tap, ...]) -> Iterator[Frame]:
        size = self.generator.size
        faces = [(i, frame) for i, frame in items if self.track.valid[i]]
        aligned = {i: align(frame, self.track.points[i], size) for i, frame in faces}
        made: dict[int, Frame] = {}
        if aligned:
            mels = [mel_window(self.mel, float(self.pictures.seconds[i])) for i in aligned]
            made = dict(zip(aligned, self.generator(list(aligned.values()), mels, self.reference), strict=True))
        for i, frame in items:
            if i not in made:
                yield frame
                continue
            for tap, picture in zip(taps, (made[i], aligned[i]), strict=False):
                tap.put(picture)
            matrix = matrix_of(self.track.points[i], size)
            yield paste(frame, made[i], matrix, self._alpha(aligned[i], self.track.points[i], matrix))

    def _alpha(self, aligned: Frame, points: Float, matrix: Float) -> NDArray[np.float32]:
        from lipsync_eval.warp import apply

        if self.mask == "lower":
            return lower_mask(self.generator.size)
        inside = apply(matrix, points)
        return face_mask(inside, self.generator.size) if self.mask == "face" else self.mask(aligned, inside)


class Tap:
    """A second video written beside the first, by a thread of its own; at most 32 pictures wait."""

    def __init__(self, path: Path, fps: Any, audio: NDArray[np.float32] | None) -> None:
        self.path, self.fps, self.audio = path, fps, audio
        self._queue: Queue[Frame | None] = Queue(32)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, daemon=True)

    def put(self, picture: Frame) -> None:
        """Hand over a picture.

        Raises:
            LipsyncError: the writer failed before.
        """
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(picture, timeout=0.5)
                return
            except Full:
                continue

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.5)
                break
            except Full:
                continue
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _pictures(self) -> Iterator[Frame]:
        while (picture := self._queue.get()) is not None:
            yield picture

    def _write(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_video(self.path, self._pictures(), fps=self.fps, audio=self.audio)
        except BaseException as error:
            self._error = error


def _taps(crops: Path | None, stem: str, pictures: Pictures, heard: NDArray[np.float32] | None) -> list[Tap]:
    if crops is None:
        return []
    return [Tap(crops / side / f"{stem}.mkv", pictures.fps, heard) for side in ("gen", "gt")]
