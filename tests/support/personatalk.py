"""PersonaTalk at its smallest: 68 points, mel, a few numbers wide."""

import json

from lipsync_eval.baselines.personatalk.presets import PRESETS, load

MICRO = (
    "geometry.provider=points68",
    "stage1.audio=mel",
    "stage1.width=16",
    "stage1.heads=2",
    "stage1.layers=1",
    "stage1.longest=20",
    "stage1.overlap=5",
    "stage2.size=32",
    "stage2.width=8",
    "stage2.lip_references=2",
    "stage2.lip_references_used=3",
    "stage2.face_references=3",
    "discriminator.channel_max=8",
    "geometry_train.window=10",
    "geometry_train.reference=10",
    "render_train.adversarial_from=1",
    "render_train.precision=fp32",
    "data.holdout=tail:0.4",
    *(
        f"{section}.{key}={value}"
        for section in ("geometry_train", "render_train")
        for key, value in {
            "steps": 3,
            "batch": 2,
            "log_every": 1,
            "validate_every": 2,
            "save_every": 2,
            "validation_windows": 2,
            "ema": 0.5,
            "lr": 0.01,
        }.items()
    ),
)


def micro(data=None, *more):
    """The micro configuration."""
    folder = [f"data.folder={json.dumps(str(data))}"] if data else []
    return load(overrides=[*MICRO, *folder, *more])


def as_options(settings):
    """--set for each."""
    return [part for text in settings for part in ("--set", text)]


__all__ = ["MICRO", "PRESETS", "as_options", "micro"]
