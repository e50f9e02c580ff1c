"""What the generator and the lip expert are shown: tight faces, and Wav2Lip's mel of the entry's own samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lipsync_eval.baselines.avhubert_expert.config import AVHubertExpertConfig
from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import HEARD
from lipsync_eval.baselines.kit.data.cutting import Options
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.inputs import Array, ModelInput
from lipsync_eval.baselines.kit.data.wav2lip_mel import COLUMNS, PER_SECOND, Wav2LipMel
from lipsync_eval.types import FPS


@dataclass(frozen=True)
class EndingMel(Wav2LipMel):
    """Wav2Lip's mel; windows that would reach beyond the audio are moved left to end with it, as in its inference.py."""

    def window(self, whole: Array, second: float) -> Array:
        """(M, 80) and a frame's time, s -> (80, 16)."""
        last = (len(whole) - COLUMNS) / PER_SECOND
        return super().window(whole, min(second, max(last, 0.0) + self.before / FPS))


MEL = EndingMel()
"""In training: a frame's window begins one frame early, so the five windows of five frames lie around them."""


def options(size: int = 96, **more: Any) -> Options:
    """How `avhubert-expert prepare` prepares videos; `more` as in `kit.data.cutting.Options`."""
    return Options(alignment=ALIGNMENT, size=size, **more)


def model_input(config: AVHubertExpertConfig) -> ModelInput:
    """What a configuration takes."""
    references: Literal["each", "one"] = "one" if config.model.identity == "one" else "each"
    return ModelInput(config.model.size, ALIGNMENT, MEL, references=references, heard=HEARD)


def open_pool(config: AVHubertExpertConfig) -> Pool:
    """The data of a configuration; see `Pool`."""
    return Pool(config.data, model_input(config))
