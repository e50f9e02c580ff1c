"""What RADIO is shown: FFHQ crops and its mel, which `radio prepare` stores."""

from __future__ import annotations

from typing import Any

from lipsync_eval.baselines.kit.data.cutting import Options
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.inputs import ModelInput
from lipsync_eval.baselines.kit.data.mel import MEL
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT


def options(size: int = 192, **more: Any) -> Options:
    """How `radio prepare` prepares videos; `more` as in `kit.data.cutting.Options`."""
    return Options(alignment=ALIGNMENT, size=size, arrays=(MEL,), **more)


def model_input(config: RadioConfig) -> ModelInput:
    """What the generator and the sync discriminator of a configuration take."""
    return ModelInput(config.model.size, ALIGNMENT, MEL, arrays=(MEL,))


def open_pool(config: RadioConfig) -> Pool:
    """The data of a configuration; see `Pool`."""
    return Pool(config.data, model_input(config))
