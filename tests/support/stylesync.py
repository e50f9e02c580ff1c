"""The smallest StyleSync that has every part, and data made without a face finder."""

import numpy as np

from lipsync_eval.baselines.kit.data.shards import Segment, ShardEntry
from lipsync_eval.baselines.stylesync.config import StyleSyncConfig
from lipsync_eval.baselines.stylesync.data.alignment import EYES
from support.training import SYNC_TRAIN, TRAIN, smallest, speaking_frames, write_prepared

MICRO = {
    "name": "micro",
    "model": {"size": 32, "narrow": 0.03125, "audio_narrow": 16, "style_dim": 16, "mask_levels": 1},
    "discriminator": {"multiplier": 1, "channel_max": 8},
    "sync": {"narrow": 16},
    "loss": {"r1": 0.1},
    "train": TRAIN,
    "sync_train": {**SYNC_TRAIN, "ema": 0.5},
    "personal": {
        "batch": 2,
        "log_every": 1,
        "validate_every": 2,
        "save_every": 2,
        "validation_windows": 2,
        "grid_rows": 2,
        "dw_width": 8,
        "epochs": 1,
    },
    "data": {"holdout": "clips:0.4"},
}


def micro(folder=None, **sections):
    """The micro configuration, with data and overrides by section."""
    return smallest(StyleSyncConfig, MICRO, folder, sections)


def face_points(size=256):
    """(68, 2) a plain upright face as it lies in an eyes-aligned crop of `size` px."""
    points = np.zeros((68, 2))
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([128 + 92 * np.cos(angle), 95 + 138 * np.sin(angle)], 1)
    points[17:22] = np.stack([np.linspace(60, 110, 5), np.full(5, 52)], 1)
    points[22:27] = np.stack([np.linspace(146, 196, 5), np.full(5, 52)], 1)
    points[27:31] = np.stack([np.full(4, 128), np.linspace(75, 118, 4)], 1)
    points[31:36] = np.stack([np.linspace(110, 146, 5), np.full(5, 128)], 1)
    for first, x in ((36, 88), (42, 168)):
        turn = np.linspace(np.pi, -2 * np.pi / 3, 6)
        points[first : first + 6] = np.stack([x + 14 * np.cos(turn), 73 - 5 * np.sin(turn)], 1)
    turn = np.linspace(np.pi, -5 * np.pi / 6, 12)
    points[48:60] = np.stack([128 + 32 * np.cos(turn), 168 - 14 * np.sin(turn)], 1)
    turn = np.linspace(np.pi, -3 * np.pi / 4, 8)
    points[60:68] = np.stack([128 + 22 * np.cos(turn), 168 - 6 * np.sin(turn)], 1)
    return (points + 0.5) * (size / 256) - 0.5


def segment(name, frames=20, size=32, seed=0):
    """An entry of smooth random frames whose lower half follows the audio's loudness."""
    rng = np.random.default_rng(seed)
    loud, png = speaking_frames(rng, frames, size)
    noise = rng.normal(0, 3000, 640 * frames) * loud.repeat(640)
    points = np.stack([face_points(size) + rng.normal(0, 0.2, (68, 2)) for _ in range(frames)])
    return Segment(
        entry=ShardEntry(f"{name}#0", f"{name}.mp4", f"{name}.mp4", None, 0, frames),
        png=png,
        landmarks=points.astype(np.float32),
        audio=noise.clip(-32000, 32000).astype(np.int16),
        arrays={},
    )


def write_data(folder, segments, size=32):
    """A prepared folder of one shard."""
    write_prepared(folder, segments, {"size": size, "align": EYES.description})
