"""The smallest RADIO that has every part, data made without a face finder, and short talking videos."""

import cv2
import numpy as np
import torch

from lipsync_eval.baselines.kit.configuration.resolve import parse
from lipsync_eval.baselines.kit.data.mel import MEL
from lipsync_eval.baselines.kit.data.shards import Manifest, Segment, ShardEntry, save_manifest, write_shard
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
from lipsync_eval.demo import _photo, synthesise, talking
from lipsync_eval.media import write_video

ALONE = Ranks(0, 1, torch.device("cpu"))
PREPARATION = {"align": ALIGNMENT.description, "mel": MEL.description}
MICRO = {
    "name": "micro",
    "model": {
        "size": 32,
        "layers": 4,
        "channel_base": 256,
        "channel_max": 12,
        "vit_dim": 16,
        "style_dim": 16,
        "audio_dim": 16,
        "audio_width": 2,
    },
    "discriminator": {"multiplier": 1, "channel_max": 8},
    "sync": {"size": 32, "dim": 8, "width": 2},
    "train": {
        "steps": 4,
        "batch": 2,
        "log_every": 2,
        "validate_every": 2,
        "save_every": 2,
        "validation_windows": 3,
        "grid_rows": 2,
        "ema": 0.5,
    },
    "sync_train": {
        "steps": 4,
        "batch": 4,
        "group": 2,
        "log_every": 2,
        "validate_every": 2,
        "save_every": 2,
        "validation_windows": 6,
        "min_shift": 3,
        "ema": 0.5,
    },
    "data": {"holdout": "clips:0.4"},
}


def micro(folder=None, **sections):
    """The micro configuration, with data and overrides by section."""
    values = {key: dict(value) if isinstance(value, dict) else value for key, value in MICRO.items()}
    if folder is not None:
        values["data"]["folder"] = str(folder)
    for name, more in sections.items():
        values.setdefault(name, {}).update(more)
    return parse(RadioConfig, values, "micro")


def segment(name, frames=20, size=32, seed=0, **entry):
    """An entry of smooth random frames whose mouth half follows the audio's loudness."""
    rng = np.random.default_rng(seed)
    base = cv2.resize(rng.integers(0, 255, (4, 4, 3), np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    loud = rng.uniform(0, 1, frames)
    png = []
    for level in loud:
        frame = base.astype(np.float64)
        frame[size // 2 :] *= 0.4 + 0.6 * level
        png.append(cv2.imencode(".png", frame.round().astype(np.uint8))[1].tobytes())
    mel = np.repeat(np.pad(loud, (2, 2)), 4)[:, None].repeat(80, 1)[: 4 * frames + 16]
    points = np.stack([np.full((68, 2), size / 2) + rng.normal(0, size / 8, (68, 2)) for _ in range(frames)])
    facts = {"group": f"{name}.mp4", "split": None} | entry
    return Segment(
        entry=ShardEntry(id=f"{name}#0", source=f"{name}.mp4", first=0, frames=frames, **facts),
        png=png,
        landmarks=points.astype(np.float32),
        audio=rng.integers(-3000, 3000, 640 * frames).astype(np.int16),
        arrays={"mel": (mel * 2 - 1).astype(np.float32)},
    )


def write_data(folder, segments, size=32):
    """A prepared folder of one shard."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = write_shard(folder / "shard-000000-0000.safetensors", segments)
    manifest = Manifest({"size": size, **PREPARATION}, [shard], {s.entry.source: "0" * 64 for s in segments})
    save_manifest(folder, manifest)
    return manifest


def talking_video(path, frames=40, seed=0, size=192, fps=25, with_sound=True, sound_frames=None):
    """A short clip of the demo's talking photograph; `sound_frames` makes its audio shorter or longer."""
    photo, face = _photo()
    speech, loud = synthesise(seed)
    t = np.arange(frames) / float(fps)
    sway = np.stack([3 * np.sin(2 * np.pi * 0.3 * t + seed), 2 * np.sin(2 * np.pi * 0.45 * t)], axis=1)
    made = (
        cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in talking(photo, face, loud[:frames], sway)
    )
    audio = speech[: round((sound_frames or frames) / float(fps) * 16000)] if with_sound else None
    codec = "lossless" if path.suffix == ".mkv" else "h264"
    write_video(path, made, fps=fps, audio=audio, codec=codec)
    return path


def generator_task(config):
    """RADIO in training, in this process alone."""
    from lipsync_eval.baselines.kit.training.generator import GeneratorTask
    from lipsync_eval.baselines.radio.data.inputs import open_pool
    from lipsync_eval.baselines.radio.training.generator import RadioRecipe

    return GeneratorTask(RadioRecipe(config), ALONE, open_pool(config))


def sync_task(config):
    """RADIO's sync discriminator in training, in this process alone."""
    from lipsync_eval.baselines.kit.sync.training import SyncTask
    from lipsync_eval.baselines.radio.data.inputs import open_pool
    from lipsync_eval.baselines.radio.training.sync import sync_recipe

    return SyncTask(sync_recipe(config), ALONE, open_pool(config))
