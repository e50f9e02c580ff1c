"""What StyleSync is shown: aligned crops, one reference for a window, Wav2Lip's mel."""

from __future__ import annotations

from typing import Any

from lipsync_eval.baselines.kit.data.cutting import Options
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.inputs import ModelInput
from lipsync_eval.baselines.kit.data.wav2lip_mel import WAV2LIP_MEL
from lipsync_eval.baselines.stylesync.config import Align, StyleSyncConfig
from lipsync_eval.baselines.stylesync.data.alignment import alignment

HEARD = WAV2LIP_MEL.before
"""Of a window's five mels, the one that begins with the window's first frame: what S hears."""


def options(size: int = 256, align: Align = "eyes", **more: Any) -> Options:
    """How `stylesync prepare` prepares videos; `more` as in `kit.data.cutting.Options`."""
    return Options(alignment=alignment(align), size=size, **more)


def model_input(config: StyleSyncConfig) -> ModelInput:
    """What the generator and the sync network of a configuration take."""
    m = config.model
    return ModelInput(m.size, alignment(m.align), WAV2LIP_MEL, references="one", heard=HEARD)


def open_pool(config: StyleSyncConfig) -> Pool:
    """The data of a configuration; see `Pool`."""
    return Pool(config.data, model_input(config))
