"""Wav2Lip-H: the paper's baseline, Wav2Lip's generator at this model's size, data and losses.

The paper gives no layers. Chosen: Wav2Lip's blocks (Rudrabha/Wav2Lip@db7bc44, models/wav2lip.py) with one strided stage
for every halving down to 4 px and one more to 1x1; the decoder mirrors the face encoder and joins its maps.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.network.wav2lip import Plan, UpBlock, audio_plans, stage, tower
from lipsync_eval.baselines.stylesync.config import ModelConfig
from lipsync_eval.baselines.stylesync.network.generator import MaskedModel

WIDTHS = (16, 32, 64, 128, 256, 512, 512)
"""Of the face encoder's maps from full size down (256 px: 256 ... 4); 512 beyond."""
UP_WIDTHS = (64, 64, 128, 256, 384, 512, 512)
"""Of the decoder's maps at those sizes, Wav2Lip's from the fine end."""
CODE = 512


class Wav2LipH(MaskedModel):
    """Face encoder with skips, audio encoder, decoder."""

    def __init__(self, config: ModelConfig, mask: Tensor | None = None) -> None:
        super().__init__(config, mask)
        levels = len(config.sizes)

        def widths(table: tuple[int, ...]) -> list[int]:
            """A table's channels for every level, narrowed."""
            return [max(8, int(table[min(k, len(table) - 1)] * config.narrow)) for k in range(levels)]

        down, up, code = widths(WIDTHS), widths(UP_WIDTHS), max(8, int(CODE * config.narrow))
        heard = 512 // config.audio_narrow
        self.stem = tower(stage(6, down[0], 0, 1, 7))
        self.downs = nn.ModuleList(tower(stage(down[k], down[k + 1], 3 if k == 1 else 2, 2)) for k in range(levels - 1))
        self.bottom = tower([Plan(down[-1], code, 4, (1, 1), 0), Plan(code, code, 1, (1, 1), 0)])
        self.audio = tower(audio_plans(config.audio_narrow))
        self.first = tower([Plan(heard, code, 1, (1, 1), 0)])
        ups: list[nn.Module] = [nn.Sequential(UpBlock(2 * code, up[-1], 4, double=False), *_same(up[-1], 1))]
        for k in range(levels - 2, -1, -1):
            ups.append(nn.Sequential(UpBlock(up[k + 1] + down[k + 1], up[k]), *_same(up[k], 2)))
        self.ups = nn.ModuleList(ups)
        last = max(8, int(32 * config.narrow))
        self.out = nn.Sequential(tower([Plan(up[0] + down[0], last)]), nn.Conv2d(last, 3, 1))

    def hear(self, mel: Tensor) -> Tensor:
        """(B, 1, 80, 16) -> (B, 512 / audio_narrow, 1, 1)."""
        self.check_mel(mel)
        return cast(Tensor, self.audio(mel))

    def forward(self, target: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """As StyleSync's."""
        return self.generate(target, reference, self.hear(mel))

    def generate(self, target: Tensor, reference: Tensor, heard: Tensor) -> Tensor:
        """As `forward`, from the audio encoder's vector."""
        maps = [self.stem(self.seen(target, reference))]
        for layer in self.downs:
            maps.append(layer(maps[-1]))
        x = torch.cat([self.first(heard), self.bottom(maps[-1])], 1)
        for layer in self.ups:
            x = torch.cat([layer(x), maps.pop()], 1)
        rgb = self.out(x).float()
        return torch.sigmoid(rgb) * 2 - 1 if self.unit else rgb


def _same(width: int, count: int) -> nn.Sequential:
    return tower([Plan(width, width, residual=True)] * count)
