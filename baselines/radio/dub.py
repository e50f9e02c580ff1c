"""`radio dub`: new speech for a video, picture by picture; nothing is held but one batch.

Aligned picture in, lower half out, blended back into the full frame with a soft border. Rate, size and everything
outside the mouth region stay; the given sound is written whole, mono, at its own rate (the next that AAC has in H.264 files).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.radio.align import Mask, align, face_mask, lower_mask, matrix_of, paste
from lipsync_eval.baselines.radio.files import LOSSLESS, check_destinations, crop_files, report_file
from lipsync_eval.baselines.radio.inference import Generator, face_track, reference_frame, reference_image
from lipsync_eval.baselines.radio.mel import mel_spectrogram, mel_window
from lipsync_eval.baselines.radio.native import Pictures, open_pictures, rate_that_fits, sound_for, sound_rate
from lipsync_eval.baselines.radio.tap import Tap
from lipsync_eval.baselines.radio.telling import Say, silent, told
from lipsync_eval.cache import Cache
from lipsync_eval.errors import AlignmentError, FaceError, InputError
from lipsync_eval.files import write_text
from lipsync_eval.media import write_video
from lipsync_eval.media.writer import Codec
from lipsync_eval.prefetch import prefetch
from lipsync_eval.types import RATE, Audio, Float, Frame, Track

Length = Literal["strict", "shortest"]
TOLERANCE = 1.5
"""Pictures by which sound and video may differ and still be called equally long."""
SILENT = 1e-4
"""Sound that never goes beyond this (full scale is 1) is called silent."""
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
    batch: int | None = None,
    crops: Path | None = None,
    cache: Cache | None = None,
    say: Say = silent,
) -> Report:
    """Dub one video.

    Args:
        video: the video whose mouth is replaced.
        audio: a file with the new speech; its first sample sounds at the first picture.
        out: .mkv (lossless) or .mp4, .mov, .m4v (H.264), replaced once the new one is whole. The report goes to the
            same name with .json added.
        generator: from `load_generator`.
        reference: image file, number of a picture of the video, or None for its first picture with a face.
        mask: 'lower' half of the aligned square, 'face' for the hull of jaw and nose in it, or a function.
        length: 'strict' refuses sound that is not as long as the video, 'shortest' stops with the shorter.
        batch: pictures at once; None: as many as suit the device and the model. It does not change the result.
        crops: folder that also gets gen/STEM.mkv and gt/STEM.mkv, the aligned pictures (lossless), for scoring.
        cache: where the face's track is kept; None keeps nothing.
        say: gets a line of progress every 10 seconds.

    Returns:
        the report.

    Raises:
        AlignmentError: sound and video differ in length, under 'strict'.
        FaceError: no face in the pictures to dub, or in the reference.
        OutputError: the output cannot be written there, or is an input.
        MediaError, InputError: a file or an argument cannot be used.
    """
    batch = generator.batch if batch is None else batch
    if batch < 1:
        raise InputError(f"batch is {batch}; give at least 1")
    pictures = open_pictures(video)
    inputs = [video, audio, *([Path(reference)] if reference else [])]
    check_destinations(out, crops, inputs, pictures.clip.size)
    speech = sound_for(audio, pictures)
    count = frames_to_make(pictures, len(speech.samples) / RATE, length, audio.name)
    given = reference_image(reference, pictures, generator.size)
    begun = time.perf_counter()
    track = face_track(pictures, cache, say)
    tracked = time.perf_counter() - begun
    if not track.valid[:count].any():
        raise FaceError(
            f"none of the first {count} pictures of {video.name!r}, which the sound lasts for, shows a face: nothing would be "
            "dubbed; give longer sound, or cut the video to where the face is"
        )
    picture, name = given or reference_frame(reference, pictures, track, generator.size)
    mel = mel_spectrogram(speech.samples)
    job = _Job(pictures, track, mel, generator, generator.reference(picture), mask, batch, count)
    begun, generator.seconds = time.perf_counter(), 0.0
    notes = [*pictures.notes, *track.notes, *_write(job, audio, speech, out, crops, say), *job.notes(crops is not None)]
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
        notes=tuple(notes),
    )
    write_text(report_file(out), json.dumps(asdict(report), indent=1) + "\n")
    return report


def _made_by(generator: Generator) -> dict[str, Any]:
    held = generator.checkpoint
    name = f"RADIO ({held.config.name}, variant {held.config.model.variant}, {generator.size} px)"
    return {"generator": name, "checkpoint": {"step": held.step, "sha256": dict(held.hashes)}}


def _write(job: _Job, audio: Path, speech: Audio, out: Path, crops: Path | None, say: Say) -> list[str]:
    """Make and write everything; what was done to the sound."""
    pictures = job.pictures
    codec: Codec = "lossless" if out.suffix.lower() == LOSSLESS else "h264"
    samples, rate, notes = _sound(job, audio, speech, codec)
    shown: dict[str, Any] = {"fps": pictures.fps, "times": pictures.seconds.tolist() if pictures.uneven else None}
    with ExitStack() as stack:
        taps: list[Tap] = []
        if crops is not None:
            beside = {"fps": pictures.fps} if job.missing else {**shown, "audio": speech.samples}
            taps = [stack.enter_context(Tap(path, **beside)) for path in crop_files(crops, out)]
        batches = stack.enter_context(prefetch(job.run(*taps)))  # the encoder works while the next batch is made
        made = told(chain.from_iterable(batches), job.count, "dubbed", say)
        write_video(out, made, audio=samples, rate=rate, codec=codec, **shown)
    return notes


def _sound(job: _Job, audio: Path, speech: Audio, codec: Codec) -> tuple[NDArray[np.float32], int, list[str]]:
    """Samples to write, their rate, and what was done to them."""
    own, seconds = sound_rate(audio), job.pictures.until(job.count)
    rate = rate_that_fits(own, codec)
    sound = speech if rate == RATE else sound_for(audio, job.pictures, rate)
    samples, notes = sound.samples, list(sound.notes)
    if rate != own:
        notes.append(f"sound of {own} Hz written at {rate} Hz, since AAC has no {own}; {LOSSLESS} keeps every rate")
    if len(samples) - (keep := round(seconds * rate)) > rate * 0.08:
        notes.append(f"{len(samples) / rate - seconds:.2f} s of sound after the last picture left out")
        samples = samples[:keep]
    if not np.abs(speech.samples).max(initial=0.0) > SILENT:
        notes.append("the sound is silent throughout: the mouth has nothing to follow")
    return samples, rate, notes


def frames_to_make(pictures: Pictures, heard: float, length: Length, name: str) -> int:
    """Pictures to dub for `heard` seconds of sound.

    Raises:
        AlignmentError: lengths differ by more than TOLERANCE pictures under 'strict'.
    """
    if abs(heard - pictures.length) <= TOLERANCE / float(pictures.fps):
        return pictures.clip.n_frames
    if length == "strict":
        what = "shorter" if heard < pictures.length else "longer"
        raise AlignmentError(
            f"the sound {name!r} ({heard:.2f} s) is {what} than the video ({pictures.length:.2f} s); "
            "give sound of the video's length, or --length shortest to stop with the shorter"
        )
    return pictures.before(heard)


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
            said.append(f"{self.missing} picture(s) without a face are the source's own")
        if self.missing and crops:
            said.append("the crops leave those pictures out and so have no sound")
        if (enlarged := self._enlarged()) > 2:
            said.append(
                f"the generated pictures are enlarged {enlarged:.1f} times to fit the face: the mouth is blurred"
            )
        if self.count < self.pictures.clip.n_frames:
            said.append(f"stops with the sound: {self.pictures.clip.n_frames - self.count} picture(s) left out")
        return said

    def _enlarged(self) -> float:
        """px of the video per px of the generated picture (median)."""
        matrices = matrix_of(self.track.points[self.track.valid], self.generator.size)
        return float(np.median(1 / np.hypot(matrices[:, 0, 0], matrices[:, 0, 1])))

    def run(self, *taps: Tap) -> Iterator[list[Frame]]:
        """Batches of dubbed pictures in order; the taps (gen, gt) get the aligned ones."""
        frames = enumerate(self.pictures.clip.frames(0, self.count))
        while waiting := list(islice(frames, self.batch)):
            yield list(self._dubbed(waiting, taps))

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
