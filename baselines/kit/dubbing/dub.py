"""`dub`: new speech for a video, frame by frame; nothing is held but one batch.

Crop in, generated crop out, blended back into the full frame with a soft border. Rate, size and everything outside the
mask stay; the given audio is written whole, mono, at its own rate (the next that AAC has in H.264 files).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.alignment import track_matrices
from lipsync_eval.baselines.kit.dubbing.destinations import LOSSLESS, check_destinations, crop_files, report_file
from lipsync_eval.baselines.kit.dubbing.generator import Generator, Material, Session
from lipsync_eval.baselines.kit.dubbing.own_rate import TimedFrames, audio_for, audio_rate, open_frames, rate_that_fits
from lipsync_eval.baselines.kit.dubbing.pasting import MASKS, Mask, Masker, paste
from lipsync_eval.baselines.kit.dubbing.reference import face_track, reference_frame, reference_image
from lipsync_eval.baselines.kit.dubbing.side_video import SideVideo
from lipsync_eval.baselines.kit.progress import Say, silent, told
from lipsync_eval.cache import Cache
from lipsync_eval.errors import AlignmentError, FaceError, InputError
from lipsync_eval.files import write_text
from lipsync_eval.media import write_video
from lipsync_eval.media.writer import Codec
from lipsync_eval.prefetch import prefetch
from lipsync_eval.types import RATE, Audio, Frame
from lipsync_eval.warp import apply

Length = Literal["strict", "shortest"]
TOLERANCE = 1.5
"""Frames by which audio and video may differ and still be called equally long."""
SILENT = 1e-4
"""Audio that never goes beyond this (full scale is 1) is called silent."""


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
    own_frames: bool = False,
    mask: Mask | Masker = "lower",
    cubic: bool = False,
    length: Length = "strict",
    batch: int | None = None,
    crops: Path | None = None,
    cache: Cache | None = None,
    say: Say = silent,
) -> Report:
    """Dub one video.

    Args:
        video: the video whose mouth is replaced.
        audio: a file with the new speech; its first sample belongs to the first frame.
        out: .mkv (lossless) or .mp4, .mov, .m4v (H.264), replaced once the new one is whole. The report goes to the
            same name with .json added.
        generator: what makes the crops.
        reference: image file, number of a frame of the video, or None for its first frame with a face.
        own_frames: tell the generator to take every frame as its own reference (see `Material`); only for generators
            that read it.
        mask: 'lower' half of the aligned square, 'face' for the hull of jaw and nose in it, 'box' for all of it, or a function.
        cubic: enlarge the crop by bicubic interpolation when it is pasted.
        length: 'strict' refuses audio that is not as long as the video, 'shortest' stops with the shorter.
        batch: frames at once; None: as many as suit the device and the model. It does not change the result.
        crops: folder that also gets gen/STEM.mkv and gt/STEM.mkv, the crops (lossless), for scoring.
        cache: where the face's track is kept; None keeps nothing.
        say: gets a line of progress every 10 seconds.

    Returns:
        the report.

    Raises:
        AlignmentError: audio and video differ in length, under 'strict'.
        FaceError: no face in the frames to dub, or in the reference.
        OutputError: the output cannot be written there, or is an input.
        MediaError, InputError: a file or an argument cannot be used.
    """
    batch = generator.batch if batch is None else batch
    if batch < 1:
        raise InputError(f"batch is {batch}; give at least 1")
    frames = open_frames(video)
    inputs = [video, audio, *([Path(reference)] if reference else [])]
    check_destinations(out, crops, inputs, frames.clip.size)
    speech = audio_for(audio, frames)
    count = frames_to_make(frames, len(speech.samples) / RATE, length, audio.name)
    alignment, size = generator.alignment, generator.size
    given = reference_image(reference, frames, alignment, size)
    begun = time.perf_counter()
    track = face_track(frames, cache, say)
    tracked = time.perf_counter() - begun
    if not track.valid[:count].any():
        raise FaceError(
            f"none of the first {count} frames of {video.name!r}, which the audio lasts for, shows a face: nothing would be "
            "dubbed; give longer audio, or cut the video to where the face is"
        )
    crop, name = given or reference_frame(reference, frames, track, alignment, size)
    matrices = track_matrices(alignment, track.points, track.valid, size)
    if own_frames:
        name = "every frame itself, with its true mouth"
    material = Material(frames, track, matrices, speech.samples, crop, count, own_frames)
    job = _Job(
        material, generator, generator.begin(material), MASKS[mask] if isinstance(mask, str) else mask, batch, cubic
    )
    begun = time.perf_counter()
    written = _write(job, audio, speech, out, crops, say)
    notes = [*frames.notes, *track.notes, *written, *job.notes(crops is not None), *material.notes]
    seconds = time.perf_counter() - begun
    report = Report(
        synthetic=True,
        generator=generator.name,
        checkpoint=dict(generator.made_by),
        video=video.name,
        audio=audio.name,
        reference=name,
        fps=float(frames.fps),
        size=frames.clip.size,
        frames=count,
        frames_without_face=job.missing,
        seconds=round(seconds, 3),
        tracking_seconds=round(tracked, 3),
        frames_per_second=round(count / seconds, 2),
        network_share=round(job.seconds / seconds, 3),
        notes=tuple(notes),
    )
    write_text(report_file(out), json.dumps(asdict(report), indent=1) + "\n")
    return report


def _write(job: _Job, audio: Path, speech: Audio, out: Path, crops: Path | None, say: Say) -> list[str]:
    """Make and write everything; what was done to the audio."""
    frames = job.material.video
    codec: Codec = "lossless" if out.suffix.lower() == LOSSLESS else "h264"
    samples, rate, notes = _audio(job, audio, speech, codec)
    shown: dict[str, Any] = {"fps": frames.fps, "times": frames.seconds.tolist() if frames.uneven else None}
    with ExitStack() as stack:
        sides: list[SideVideo] = []
        if crops is not None:
            beside = {"fps": frames.fps} if job.missing else {**shown, "audio": speech.samples}
            sides = [stack.enter_context(SideVideo(path, **beside)) for path in crop_files(crops, out)]
        batches = stack.enter_context(prefetch(job.run(*sides)))  # the encoder works while the next batch is made
        made = told(chain.from_iterable(batches), job.material.count, "dubbed", say)
        write_video(out, made, audio=samples, rate=rate, codec=codec, **shown)
    return notes


def _audio(job: _Job, audio: Path, speech: Audio, codec: Codec) -> tuple[NDArray[np.float32], int, list[str]]:
    """Samples to write, their rate, and what was done to them."""
    own, seconds = audio_rate(audio), job.material.video.until(job.material.count)
    rate = rate_that_fits(own, codec)
    written = speech if rate == RATE else audio_for(audio, job.material.video, rate)
    samples, notes = written.samples, list(written.notes)
    if rate != own:
        notes.append(f"audio of {own} Hz written at {rate} Hz, since AAC has no {own}; {LOSSLESS} keeps every rate")
    if len(samples) - (keep := round(seconds * rate)) > rate * 0.08:
        notes.append(f"{len(samples) / rate - seconds:.2f} s of audio after the last frame left out")
        samples = samples[:keep]
    if not np.abs(speech.samples).max(initial=0.0) > SILENT:
        notes.append("the audio is silent throughout: the mouth has nothing to follow")
    return samples, rate, notes


def frames_to_make(frames: TimedFrames, heard: float, length: Length, name: str) -> int:
    """Frames to dub for `heard` seconds of audio.

    Raises:
        AlignmentError: lengths differ by more than TOLERANCE frames under 'strict'.
    """
    if abs(heard - frames.length) <= TOLERANCE / float(frames.fps):
        return frames.clip.n_frames
    if length == "strict":
        what = "shorter" if heard < frames.length else "longer"
        raise AlignmentError(
            f"the audio {name!r} ({heard:.2f} s) is {what} than the video ({frames.length:.2f} s); "
            "give audio of the video's length, or --length shortest to stop with the shorter"
        )
    return frames.before(heard)


@dataclass
class _Job:
    material: Material
    generator: Generator
    session: Session
    mask: Masker
    batch: int
    cubic: bool = False
    seconds: float = 0.0
    """Spent in the network, transfers included."""

    @property
    def missing(self) -> int:
        """Frames without a face among those to make."""
        return int(np.count_nonzero(~self.material.track.valid[: self.material.count]))

    def notes(self, crops: bool) -> list[str]:
        """What is not dubbed, and what the crops lack."""
        said = []
        if self.missing:
            said.append(f"{self.missing} frame(s) without a face are the source's own")
        if self.missing and crops:
            said.append("the crops leave those frames out and so have no audio")
        if (enlarged := self._enlarged()) > 2:
            said.append(f"the generated crops are enlarged {enlarged:.1f} times to fit the face: the mouth is blurred")
        if self.material.count < (total := self.material.video.clip.n_frames):
            said.append(f"stops with the audio: {total - self.material.count} frame(s) left out")
        return said

    def _enlarged(self) -> float:
        """px of the video per px of the generated crop (median)."""
        matrices = self.material.matrices[self.material.track.valid]
        return float(np.median(1 / np.hypot(matrices[:, 0, 0], matrices[:, 0, 1])))

    def run(self, *sides: SideVideo) -> Iterator[list[Frame]]:
        """Batches of dubbed frames in order; the side videos (gen, gt) get the crops."""
        frames = enumerate(self.material.video.clip.frames(0, self.material.count))
        while waiting := list(islice(frames, self.batch)):
            yield list(self._dubbed(waiting, sides))

    def _dubbed(self, items: list[tuple[int, Frame]], sides: tuple[SideVideo, ...]) -> Iterator[Frame]:
        material, size, alignment = self.material, self.generator.size, self.generator.alignment
        points, matrices = material.track.points, material.matrices
        faces = [(i, frame) for i, frame in items if material.track.valid[i]]
        crops = {i: alignment.crop(frame, points[i], matrices[i], size) for i, frame in faces}
        made = self._made(crops) if crops else {}
        for i, frame in items:
            if i not in made:
                yield frame
                continue
            for side, crop in zip(sides, (made[i], crops[i]), strict=False):
                side.put(crop)
            alpha = self.mask(crops[i], apply(matrices[i], points[i]))
            yield paste(frame, made[i], matrices[i], alpha, self.cubic)

    def _made(self, crops: dict[int, Frame]) -> dict[int, Frame]:
        begun = time.perf_counter()
        made = self.session(list(crops), list(crops.values()))
        self.seconds += time.perf_counter() - begun
        return dict(zip(crops, made, strict=True))
