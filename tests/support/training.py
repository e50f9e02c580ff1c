"""What the smallest configurations of the trainable generators share, and prepared data made without a face finder."""

import cv2
import numpy as np
import torch

from lipsync_eval.baselines.kit.configuration.resolve import parse
from lipsync_eval.baselines.kit.data.shards import Manifest, save_manifest, write_shard
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.kit.training.terms import Made

ALONE = Ranks(0, 1, torch.device("cpu"))
_STEPS = {"steps": 4, "log_every": 2, "validate_every": 2, "save_every": 2}
TRAIN = {**_STEPS, "batch": 2, "validation_windows": 3, "grid_rows": 2, "ema": 0.5}
SYNC_TRAIN = {**_STEPS, "batch": 4, "group": 2, "validation_windows": 6, "min_shift": 3}


def smallest(kind, micro, folder, sections):
    """The configuration `micro` of a class, with data in `folder` (or None) and overrides by section."""
    values = {key: dict(value) if isinstance(value, dict) else value for key, value in micro.items()}
    if folder is not None:
        values["data"]["folder"] = str(folder)
    for name, more in sections.items():
        values[name] = {**values.get(name, {}), **more}
    return parse(kind, values, "micro")


def gradient_norms(objective, sample):
    """Norm, by term, of the gradient of each weighted term at frames that are half as bright as a sample's target."""
    found = {}
    for term in objective.terms:
        output = (sample.target.flatten(0, 1) * 0.5).requires_grad_()
        (term.weight * term.loss(Made(output, sample))).backward()
        found[term.name] = output.grad.norm().item()
    return found


def speaking_frames(rng, frames, size):
    """(frames,) loudness in 0..1, and PNG files of smooth random frames whose lower half follows it."""
    base = cv2.resize(rng.integers(0, 255, (4, 4, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    loud = rng.uniform(0, 1, frames)
    png = []
    for level in loud:
        frame = base.astype(np.float64)
        frame[size // 2 :] *= 0.4 + 0.6 * level
        png.append(cv2.imencode(".png", frame.round().astype(np.uint8))[1].tobytes())
    return loud, png


def write_prepared(folder, segments, facts):
    """A prepared folder of one shard; its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = write_shard(folder / "shard-000000-0000.safetensors", segments)
    manifest = Manifest(facts, [shard], {s.entry.source: "0" * 64 for s in segments})
    save_manifest(folder, manifest)
    return manifest
