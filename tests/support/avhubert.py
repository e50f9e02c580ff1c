"""Where the golden numbers of AV-HuBERT are. They were made with code under a research licence and stay outside the project."""

import hashlib
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lipsync_eval.batch import Batch
from lipsync_eval.features.avhubert.checkpoint import read
from lipsync_eval.types import FOUND, MISSING, Audio, Clip, Pair, Side, Track

_root = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
GOLDEN = Path(_root) / "golden" / "avhubert" if _root else Path("absent")
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(),
    reason="set LIPSYNC_EVAL_TEST_DATA to a folder with golden/avhubert (numbers of the official code; not shipped)",
)
TINY = GOLDEN / "A_finetuned" / "avhubert_tiny_finetuned.pt"


def arrays(name):
    """Arrays of one golden .npz by name."""
    with np.load(GOLDEN / name) as file:
        return {key: file[key] for key in file.files}


@cache
def network(path):
    """A checkpoint's network, read once a session (networks are frozen and hold no state)."""
    return read(path)


def clip(frames, path="clip.mkv"):
    """A Clip over frames in memory."""
    frames = np.asarray(frames)

    def read(start, stop):
        return iter([f.copy() for f in frames[start:stop]])

    digest = hashlib.sha256(str(frames.shape).encode() + np.ascontiguousarray(frames).tobytes()).hexdigest()
    return Clip(Path(path), len(frames), *frames.shape[1:3], 25.0, digest, None, read)


def track(points):
    """A Track from points alone; frames of NaN have no face."""
    good = np.isfinite(points).all(axis=(1, 2))
    boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    n = len(points)
    status = np.where(good, FOUND, MISSING).astype(np.uint8)
    return Track(boxes, points, np.ones(n, np.float32), status, "test.1", np.ones(n, np.int16))


def pair(gen, gt, samples=None, gt_samples=None, gen_points=None, gt_points=None):
    """A Pair of two arrays of frames (T, H, W, 3), with float32 sounds and landmarks where given."""

    def side(frames, sound, points):
        audio = None if sound is None else Audio(sound, Path("clip.wav"))
        return Side(clip(frames), audio, None if points is None else track(points), None)

    return Pair("a", side(gen, samples, gen_points), side(gt, gt_samples, gt_points), len(gen), "raw.1")


def measure(family, pair, batch=7):
    """Drive a family as the engine does."""
    meter = family.start(pair)
    for start in range(0, pair.n_frames, batch):
        stop = min(start + batch, pair.n_frames)
        meter.update(
            Batch(pair, start, list(pair.gen.clip.frames(start, stop)), list(pair.gt.clip.frames(start, stop)))
        )
    return meter.finish()
