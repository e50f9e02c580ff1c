"""Attention of the ViT blocks as an image (figure 5 of the paper): which part of the reference a patch looks at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.data.alignment import one_crop, to_crops
from lipsync_eval.baselines.kit.data.mel import mel_spectrogram, mel_window
from lipsync_eval.baselines.kit.data.windows import to_tensor
from lipsync_eval.baselines.kit.dubbing.own_rate import audio_for, open_frames
from lipsync_eval.baselines.kit.dubbing.reference import face_track, reference_frame, reference_image
from lipsync_eval.baselines.kit.progress import Say, silent
from lipsync_eval.baselines.radio.dubbing.generator import RadioGenerator
from lipsync_eval.cache import Cache
from lipsync_eval.errors import FaceError, UsageError
from lipsync_eval.types import Float, Frame

SIDE = 192
"""px of one tile of the figure."""
GREEN = (0, 255, 0)
LANDMARKS = {"mouth corner": (48,), "lips": (62, 66), "chin": (8,), "cheek": (4, 48), "jaw": (12,)}
"""Patches shown: where these landmarks (their mean) lie in the generated crop; a background corner is added."""


def patches_of(points: Float, size: int, grid: tuple[int, int]) -> list[int]:
    """Numbers of the patches (row by row in the lower half) that hold the landmarks of the figure.

    Args:
        points: (68, 2) px in the crop.
        size: its side.
        grid: rows and columns of patches in the lower half.
    """
    rows, columns = grid
    places = [points[list(which)].mean(axis=0) / size for which in LANDMARKS.values()] + [np.array([0.02, 0.98])]
    chosen = []
    for x, y in places:
        row = int(np.clip((y - 0.5) * 2 * rows, 0, rows - 1))
        chosen.append(row * columns + int(np.clip(x * columns, 0, columns - 1)))
    return list(dict.fromkeys(chosen))


def figure(
    generated: Frame, reference: Frame, weights: NDArray[np.float32], grid: tuple[int, int], patches: Sequence[int]
) -> Frame:
    """Upper row: the generated crop with one patch framed green. Lower row: the reference under its attention.

    Args:
        generated: (size, size, 3) uint8 RGB crop.
        reference: (size, size, 3) uint8 RGB crop.
        weights: (heads, N, N) attention of one layer; heads are averaged.
        grid: rows and columns, N = rows * columns.
        patches: columns of the figure.

    Returns:
        (2 * 192, len(patches) * 192, 3) uint8 RGB. Brightness is relative to the patch's own maximum.
    """
    import cv2

    rows, columns = grid
    mean = weights.mean(axis=0)
    tiles = []
    for patch in patches:
        top = np.asarray(cv2.resize(generated, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
        row, column = divmod(patch, columns)
        height, width = SIDE / 2 / rows, SIDE / columns
        first = (round(column * width), round(SIDE / 2 + row * height))
        last = (round((column + 1) * width), round(SIDE / 2 + (row + 1) * height))
        cv2.rectangle(top, first, last, GREEN, 1)
        heat = mean[patch].reshape(rows, columns)
        heat = heat / max(float(heat.max()), 1e-12)
        field = np.zeros((SIDE, SIDE), np.float32)
        field[SIDE // 2 :] = cv2.resize(heat.astype(np.float32), (SIDE, SIDE // 2), interpolation=cv2.INTER_LINEAR)
        below = np.asarray(cv2.resize(reference, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.float32)
        colour = np.asarray(cv2.applyColorMap((field * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS), np.float32)[
            :, :, ::-1
        ]
        below[SIDE // 2 :] = 0.45 * below[SIDE // 2 :] + 0.55 * colour[SIDE // 2 :]
        tiles.append(np.concatenate([top, np.rint(below).astype(np.uint8)], axis=0))
    return np.concatenate(tiles, axis=1)


@torch.inference_mode()
def attention_figure(
    video: Path,
    audio: Path | None,
    generator: RadioGenerator,
    *,
    frame: int,
    layer: str | None,
    reference: str | None,
    cache: Cache | None = None,
    say: Say = silent,
) -> tuple[Frame, str]:
    """The figure for one frame of a video.

    Args:
        video: the video.
        audio: a file with speech; None for the video's own.
        generator: of variant D.
        frame: number of the frame.
        layer: 'i.j', e.g. '5.2'; None for the paper's Att_{L-1,2} (the last attention layer of the first ViT block).
        reference: as in `dub`.
        cache: as in `dub`.
        say: as in `dub`.

    Returns:
        the figure and the layer's name.

    Raises:
        FaceError: the frame or the reference shows no face.
        UsageError: no such layer or frame.
        InputError: the variant has no ViT block.
    """
    frames = open_frames(video)
    track = face_track(frames, cache, say)
    if not 0 <= frame < frames.clip.n_frames:
        raise UsageError(f"--frame {frame}: the video has the frames 0 to {frames.clip.n_frames - 1}")
    if not track.valid[frame]:
        raise FaceError(f"frame {frame} of {video.name!r} shows no face; choose another")
    size, alignment, points = generator.size, generator.alignment, track.points[frame]
    shown, _ = reference_image(reference, frames, alignment, size) or reference_frame(
        reference, frames, track, alignment, size
    )
    target = one_crop(alignment, next(frames.clip.frames(frame, frame + 1)), points, size)
    window = mel_window(mel_spectrogram(audio_for(audio or video, frames).samples), float(frames.seconds[frame]))
    known = generator.reference(shown)
    mel = torch.from_numpy(np.ascontiguousarray(window))[None, None].to(generator.device)
    found = generator.model.attention(to_tensor(target[None]).to(generator.device), known, mel)
    blocks = sorted({name.split(".")[0] for name in found}, key=int)
    name = layer or max(key for key in found if key.startswith(f"{blocks[0]}."))
    if name not in found:
        raise UsageError(f"--layer {name}: this model has {', '.join(found)}")
    plan = generator.model.config.decoder_plan[int(name.split(".")[0]) - 1]
    grid = (plan.size_in // 2 // plan.patch, plan.size_in // plan.patch)
    made = generator([target], [window], known)[0]
    chosen = patches_of(to_crops(alignment, points[None], size)[0], size, grid)
    return figure(made, shown, found[name][0].cpu().numpy(), grid, chosen), name
