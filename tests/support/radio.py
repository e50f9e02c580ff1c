"""The smallest RADIO that has every part, data made without a face finder, and short talking videos."""

import cv2
import numpy as np

from lipsync_eval.baselines.kit.data.mel import MEL
from lipsync_eval.baselines.kit.data.shards import Segment, ShardEntry
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
from lipsync_eval.demo import _photo, synthesise, talking
from lipsync_eval.media import write_video
from support.training import ALONE, SYNC_TRAIN, TRAIN, smallest, speaking_frames, write_prepared

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
    "train": TRAIN,
    "sync_train": {**SYNC_TRAIN, "ema": 0.5},
    "data": {"holdout": "clips:0.4"},
}


def micro(folder=None, **sections):
    """The micro configuration, with data and overrides by section."""
    return smallest(RadioConfig, MICRO, folder, sections)


def segment(name, frames=20, size=32, seed=0, **entry):
    """An entry of smooth random frames whose mouth half follows the audio's loudness."""
    rng = np.random.default_rng(seed)
    loud, png = speaking_frames(rng, frames, size)
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
    return write_prepared(folder, segments, {"size": size, **PREPARATION})


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
