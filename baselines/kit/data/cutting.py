"""One talking video -> runs of crops with their landmarks and audio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data import layouts
from lipsync_eval.baselines.kit.data.alignment import Alignment, runs
from lipsync_eval.baselines.kit.data.inputs import StoredArray, named
from lipsync_eval.baselines.kit.data.quality import Quality, face_height, sampled, sharpness
from lipsync_eval.baselines.kit.data.shards import Segment, ShardEntry
from lipsync_eval.errors import FaceError, LipsyncError, MediaError
from lipsync_eval.types import FPS, RATE, Audio, Clip, Track
from lipsync_eval.warp import apply

VERSION = 2
"""+1 whenever a stored number may move."""
SEGMENT = 750
"""Longest entry, frames (30 s)."""
PER_FRAME = RATE // FPS


@dataclass(frozen=True)
class Options:
    """How videos are prepared."""

    alignment: Alignment
    size: int
    """px of the crops; training at a smaller size shrinks them."""
    arrays: tuple[StoredArray, ...] = ()
    """What is stored beside frames, landmarks and audio."""
    layout: str = "auto"
    min_frames: int = 25
    """Shorter runs of frames with a face are left out (and noted)."""
    min_face: float = 0.0
    """Runs whose face is less high in the source (landmarks' box, px) are left out (and noted); 0: none."""
    min_sharpness: float = 0.0
    """Runs whose crops are less sharp (variance of the Laplacian) are left out (and noted); 0: none, not measured."""
    landmarks: str = "dlib68"
    detector: str | None = None

    def preprocessing(self) -> dict[str, Any]:
        """What a second run into the same folder must agree on."""
        from lipsync_eval.faces import signature

        return {
            "version": VERSION,
            "size": self.size,
            "fps": FPS,
            "align": self.alignment.description,
            "faces": signature(self.landmarks, self.detector),
            "encoding": "png",
            **{array.name: array.description for array in self.arrays},
            "min_frames": self.min_frames,
            **({"min_face": self.min_face} if self.min_face else {}),
            **({"min_sharpness": self.min_sharpness} if self.min_sharpness else {}),
        }


def segments(source: layouts.Source, options: Options) -> Iterator[Segment]:
    """Prepared runs of one video.

    Raises:
        ClipError: it cannot be decoded, has no audio, no face, no run of `min_frames`, or none of the quality asked for.
    """
    from lipsync_eval.faces import track_faces
    from lipsync_eval.media import open_clip

    clip = open_clip(source.path, audio=source.audio)
    if clip.audio is None:
        raise MediaError(f"{source.name!r} has no audio; put an audio file with the same stem beside it")
    track = track_faces(clip, landmarks=options.landmarks, detector=options.detector)
    heard = min(clip.n_frames, -(-len(clip.audio.samples) // PER_FRAME))
    notes = [*clip.notes, *clip.audio.notes, *track.notes]
    if heard < clip.n_frames:
        notes.append(f"{clip.n_frames - heard} frames after the end of the audio left out")
    found = list(_runs(track.valid[:heard], options.min_frames))
    if not found:
        raise FaceError(
            f"{source.name!r}: no {options.min_frames} consecutive frames with a face and audio; see --min-frames"
        )
    left = heard - sum(stop - start for start, stop in found)
    if left:
        notes.append(f"{left} frames without a face, or in runs shorter than {options.min_frames}, left out")
    good: dict[tuple[int, int], Quality] = {}
    for run, quality in _qualities(options, clip, track, found):
        if reason := quality.wrong(options.min_face, options.min_sharpness):
            notes.append(f"frames {run[0]} to {run[1] - 1} left out: {reason}")
        else:
            good[run] = quality
    if not good:
        raise FaceError(f"{source.name!r} is not good enough: {'; '.join(notes[-len(found) :])}")
    yield from _cut(source, options, clip, clip.audio, track, good, tuple(notes))


def _qualities(
    options: Options, clip: Clip, track: Track, found: list[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], Quality]]:
    """Every run with its quality; the video is decoded once more where sharpness is asked for."""
    wanted = {run: sampled(*run) for run in found} if options.min_sharpness else {}
    chosen = {i for run in wanted.values() for i in run}
    frames = enumerate(clip.frames(0, found[-1][1])) if chosen else iter(())
    for start, stop in found:
        points = track.points[start:stop]
        sharp = None
        if run := wanted.get((start, stop)):
            matrices = options.alignment.matrices(points, options.size)
            crops = []
            for index, frame in frames:
                if index in chosen:
                    at = index - start
                    crops.append(options.alignment.crop(frame, points[at], matrices[at], options.size))
                if index == run[-1]:
                    break
            sharp = sharpness(crops)
        yield (start, stop), Quality(face_height(points), sharp)


def _runs(valid: NDArray[np.bool_], least: int) -> Iterator[tuple[int, int]]:
    """start, stop of runs of True that are at least `least` long, cut evenly to at most SEGMENT."""
    for start, stop in runs(valid):
        if stop - start < least:
            continue
        pieces = -(-(stop - start) // SEGMENT)
        bounds = np.linspace(start, stop, pieces + 1).round().astype(int).tolist()
        yield from pairwise(bounds)


def _cut(
    source: layouts.Source,
    options: Options,
    clip: Clip,
    audio: Audio,
    track: Track,
    found: Mapping[tuple[int, int], Quality],
    notes: tuple[str, ...],
) -> Iterator[Segment]:
    """One pass over the frames, one Segment per run."""
    alignment, size = options.alignment, options.size
    arrays = {array.name: array.of_video(clip, track) for array in options.arrays}
    samples = np.pad(audio.int16(), (0, PER_FRAME))  # the last frame's audio may be incomplete: silence follows it
    stem = source.name.rpartition(".")[0]
    frames = enumerate(clip.frames(0, max(stop for _, stop in found)))
    for number, ((start, stop), quality) in enumerate(found.items()):
        points = track.points[start:stop]
        matrices = alignment.matrices(points, size)
        inside = (frame for index, frame in frames if index >= start)
        crops = map(alignment.crop, islice(inside, stop - start), points, matrices, repeat(size))
        png = [_png(crop) for crop in crops]
        yield Segment(
            entry=ShardEntry(
                f"{stem}#{number}",
                source.name,
                source.group,
                source.split,
                start,
                stop - start,
                notes,
                round(quality.face, 1),
                None if quality.sharpness is None else round(quality.sharpness, 1),
            ),
            png=png,
            landmarks=apply(matrices, points).astype(np.float32),
            audio=samples[start * PER_FRAME : stop * PER_FRAME],
            arrays={
                key: array
                for name, of_entry in arrays.items()
                for key, array in named(name, of_entry(start, stop)).items()
            },
        )


def _png(crop: NDArray[np.uint8]) -> bytes:
    import cv2

    ok, data = cv2.imencode(".png", crop[:, :, ::-1])
    if not ok:
        raise LipsyncError(f"cannot encode a crop of {crop.shape}")
    return bytes(data)
