"""The network that a configuration names."""

from __future__ import annotations

from torch import Tensor

from lipsync_eval.baselines.stylesync.config import ModelConfig
from lipsync_eval.baselines.stylesync.network.generator import StyleSync
from lipsync_eval.baselines.stylesync.network.wav2lip_h import Wav2LipH

Model = StyleSync | Wav2LipH


def build(config: ModelConfig, mask: Tensor | None = None) -> Model:
    """G or Wav2Lip-H; see `MaskedModel` for the mask."""
    return StyleSync(config, mask) if config.network == "stylesync" else Wav2LipH(config, mask)
