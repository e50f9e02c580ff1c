"""Wav2Lip's lip expert: five lower half faces and the audio over them, each to one vector.

Source: Prajwal et al., ACM MM 2020; shapes and names of Rudrabha/Wav2Lip@db7bc44, models/syncnet.py.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.avhubert_expert.config import ExpertConfig
from lipsync_eval.baselines.kit.network.wav2lip import audio_plans, tower, visual_plans
from lipsync_eval.baselines.kit.sync.network import SyncNetwork
from lipsync_eval.errors import InputError

FRAMES = 5
HEARD = 1
"""The frame of a window whose mel is heard: windows begin one frame early, so that is the one of all five frames."""
SEEN = (48, 96)
"""Height and width in px of the half face."""


def lower_halves(frames: Tensor) -> Tensor:
    """What the expert sees: (B, T, 3, H, W) RGB in [-1, 1] -> (B, 3 T, 48, 96), BGR in [0, 1]; differentiable.

    Faces of another size than 96 px are resized (antialiased bilinear).
    """
    half = frames[:, :, [2, 1, 0], frames.shape[3] // 2 :].flatten(1, 2)
    seen = (half + 1) / 2
    if seen.shape[2:] == SEEN:
        return seen
    return F.interpolate(seen, SEEN, mode="bilinear", align_corners=False, antialias=True)


class LipExpert(SyncNetwork):
    """Both towers; `forward` is the cosine. Vectors come from a ReLU, so it lies in [0, 1]."""

    def __init__(self, config: ExpertConfig) -> None:
        super().__init__()
        self.config = config
        self.face_encoder = tower(visual_plans(FRAMES, config.narrow))
        self.audio_encoder = tower(audio_plans(config.narrow))

    @property
    def width(self) -> int:
        """Length of the visual vector."""
        return self.config.dim

    def look(self, frames: Tensor) -> Tensor:
        """(B, 5, 3, H, W) whole faces in [-1, 1] -> (B, dim).

        Raises:
            InputError: not five frames.
        """
        if frames.ndim != 5 or frames.shape[1:3] != (FRAMES, 3):
            raise InputError(f"the lip expert takes (B, {FRAMES}, 3, H, W), not {tuple(frames.shape)}")
        return cast(Tensor, self.face_encoder(lower_halves(frames)).flatten(1))

    def code(self, features: Tensor) -> Tensor:
        """Nothing more."""
        return features

    def hear(self, audio: Tensor) -> Tensor:
        """(B, 1, 80, 16) that begins with the first frame -> (B, dim)."""
        return cast(Tensor, self.audio_encoder(audio).flatten(1))

    def late(self) -> list[nn.Parameter]:
        """Of the audio tower."""
        return list(self.audio_encoder.parameters())


@torch.no_grad()
def copy_audio_tower(expert: LipExpert, audio: nn.Module) -> None:
    """Put the expert's audio tower, statistics of batch norm included, into a generator's."""
    audio.load_state_dict(expert.audio_encoder.state_dict())
