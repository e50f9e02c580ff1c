"""Graded damage to a clip: Clip -> Clip with a reader that damages frames as they stream. Nothing here is random."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MediaError, UsageError
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.types import FPS, RATE, Audio, Clip, Float, Frame
from lipsync_eval.warp import render

Damage = Callable[[Frame], Frame]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One kind of damage and its default grades."""

    name: str
    unit: str
    grades: tuple[float, ...]
    """Default strengths, growing."""
    low: float
    high: float
    """Strengths that make sense, inclusive."""
    summary: str


PERTURBATIONS: Final[Mapping[str, Perturbation]] = {
    p.name: p
    for p in (
        Perturbation("shift", "px", (1, 2, 4, 8, 16), -1e4, 1e4, "frames moved to the right; mirrored at the border"),
        Perturbation("rotate", "degrees", (1, 2, 4, 8, 16), -180, 180, "frames turned clockwise about their centre"),
        Perturbation("scale", "%", (1, 2, 5, 10, 20), -90, 900, "frames enlarged about their centre, size kept"),
        Perturbation("blur", "px sigma", (0.5, 1, 2, 4, 8), 0, 1e3, "Gaussian blur"),
        Perturbation("jitter", "px", (0.5, 1, 2, 4, 8), -1e4, 1e4, "frames moved to the right and to the left in turn"),
        Perturbation("jpeg", "100 - quality", (10, 30, 50, 70, 90), 0, 99, "every frame through JPEG"),
        Perturbation(
            "recode",
            "crf",
            (18, 23, 28, 33, 38),
            0,
            51,
            "frames through H.264 (x264, yuv420p) at a constant rate factor",
        ),
        Perturbation(
            "delay", "frames of 40 ms", (1, 2, 3, 5, 10), -1e4, 1e4, "audio later than the frames, silence before it"
        ),
        Perturbation("silence", "% of the audio", (25, 50, 75, 100), 0, 100, "audio silent from its start"),
    )
}


def parse_perturbations(names: str, grades: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """What to do: a --perturb value and --grades NAME=A,B,... -> strengths by perturbation.

    Raises:
        UsageError: an unknown name, a strength that is no number or makes no sense, grades of something not asked for.
    """
    chosen = list(dict.fromkeys(n.strip() for n in names.split(",") if n.strip()))
    unknown = [n for n in (*chosen, *grades) if n not in PERTURBATIONS]
    if unknown or not chosen:
        raise UsageError(
            f"--perturb {names!r}: there is no {unknown[0] if unknown else 'name in it'!r}; choose out of: {', '.join(PERTURBATIONS)}"
        )
    idle = [n for n in grades if n not in chosen]
    if idle:
        raise UsageError(f"--grades {idle[0]}=...: {idle[0]} is not among --perturb {names}")
    return {
        name: _strengths(PERTURBATIONS[name], grades[name]) if name in grades else PERTURBATIONS[name].grades
        for name in chosen
    }


def _strengths(kind: Perturbation, text: str) -> tuple[float, ...]:
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(kind.low <= x <= kind.high for x in found):
        raise UsageError(
            f"--grades {kind.name}={text}: give numbers from {kind.low:g} to {kind.high:g} ({kind.unit}), comma separated"
        )
    return tuple(sorted(found))


@contextmanager
def perturbed(clip: Clip, name: str, strength: float) -> Iterator[Clip]:
    """A damaged copy of a clip, readable inside the `with` block.

    Its digest is its own, so no cache mixes it up with the clip it was made from.

    Args:
        clip: the original.
        name: one of PERTURBATIONS.
        strength: in its unit.

    Raises:
        MediaError: delay or silence, and the clip has no audio; recode, and the frames cannot be encoded.
    """
    digest = hashlib.sha256(f"{clip.digest}|{name}|{strength!r}".encode()).hexdigest()
    note = f"perturbed: {name} {strength:g} {PERTURBATIONS[name].unit}"
    copy = replace(clip, digest=digest, notes=(*clip.notes, note))
    if name in ("delay", "silence"):
        yield (_delayed if name == "delay" else _silenced)(copy, strength)
    elif name == "jitter":
        yield replace(copy, read=_jittered(clip, strength))
    elif name == "recode":
        with tempfile.TemporaryDirectory(prefix="lipsync-eval-") as folder:
            yield replace(copy, read=_recoded(clip, round(strength), Path(folder)))
    else:
        yield replace(copy, read=_through(clip, damage(name, strength, clip.size)))


def damage(name: str, strength: float, size: tuple[int, int]) -> Damage:
    """What a perturbation does to one frame (H, W, 3) uint8 RGB of a given (height, width).

    shift, rotate and scale sample as the crops do (lipsync_eval.warp): whole pixels move byte for byte.
    """
    if name == "blur":
        return lambda frame: _blur(frame, strength)
    if name == "jpeg":
        return lambda frame: _jpeg(frame, round(100 - strength))
    matrix = _about_centre(name, strength, size)
    return lambda frame: render(frame, matrix, size)


def _about_centre(name: str, strength: float, size: tuple[int, int]) -> Float:
    """(2, 3) source pixel -> pixel of the damaged frame."""
    angle = np.deg2rad(strength) if name == "rotate" else 0.0
    factor = 1 + strength / 100 if name == "scale" else 1.0
    linear = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    shift = np.array([strength if name == "shift" else 0.0, 0.0])
    return np.column_stack([linear, centre - linear @ centre + shift])


def _blur(frame: Frame, sigma: float) -> Frame:
    import cv2

    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8) if sigma > 0 else frame


def _jpeg(frame: Frame, quality: int) -> Frame:
    import cv2

    _, data = cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1].copy()


def _through(clip: Clip, change: Damage) -> Callable[[int, int], Iterator[Frame]]:
    def read(start: int, stop: int) -> Iterator[Frame]:
        return (change(frame) for frame in clip.read(start, stop))

    return read


def _recoded(clip: Clip, crf: int, folder: Path) -> Callable[[int, int], Iterator[Frame]]:
    """Frames of the clip after H.264, which wants even sides: odd ones are mirrored by a pixel and cut off again."""
    odd = ((0, clip.height % 2), (0, clip.width % 2), (0, 0))
    path = folder / "recoded.mp4"
    write_video(path, (np.pad(f, odd, "edge") for f in clip.frames()), codec="h264", crf=crf)
    coded = open_clip(path)
    if coded.n_frames != clip.n_frames:
        raise MediaError(f"{clip.path.name}: {clip.n_frames} frames became {coded.n_frames} in H.264; please report it")
    return _through(coded, lambda frame: frame[: clip.height, : clip.width].copy())


def _jittered(clip: Clip, by: float) -> Callable[[int, int], Iterator[Frame]]:
    """Even frames to the right, odd ones to the left."""
    ways = [damage("shift", way * by, clip.size) for way in (1, -1)]

    def read(start: int, stop: int) -> Iterator[Frame]:
        return (ways[i % 2](frame) for i, frame in enumerate(clip.read(start, stop), start))

    return read


def _delayed(clip: Clip, frames: float) -> Clip:
    audio = _audio(clip, "delay")
    samples = audio.samples
    moved: NDArray[np.float32] = np.zeros_like(samples)
    by = round(frames * RATE / FPS)
    if abs(by) < len(samples):
        moved[max(by, 0) : len(samples) + min(by, 0)] = samples[max(-by, 0) : len(samples) - max(by, 0)]
    return replace(clip, audio=replace(audio, samples=moved))


def _silenced(clip: Clip, percent: float) -> Clip:
    audio = _audio(clip, "silence")
    samples = audio.samples.copy()
    samples[: round(len(samples) * percent / 100)] = 0
    return replace(clip, audio=replace(audio, samples=samples))


def _audio(clip: Clip, name: str) -> Audio:
    if clip.audio is None:
        raise MediaError(f"{clip.path.name} has no audio; leave {name} or this clip out")
    return clip.audio
