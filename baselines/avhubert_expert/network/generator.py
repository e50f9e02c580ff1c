"""The generator (sections 3.1 to 3.3): two image encoders, a frozen audio tower, a decoder of transposed convolutions.

Images are (B, 3, size, size) RGB in [0, 1]; the lower half of the target is hidden here, so nobody can forget to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.avhubert_expert.config import AVHubertExpertConfig, ModelConfig
from lipsync_eval.baselines.avhubert_expert.network.encoder import ImageEncoder
from lipsync_eval.baselines.kit.data.wav2lip_mel import BANDS, COLUMNS
from lipsync_eval.baselines.kit.network.wav2lip import ConvBlock, Plan, UpBlock, audio_plans, tower
from lipsync_eval.errors import InputError


def mask_lower(image: Tensor) -> Tensor:
    """Set the lower half of frames (..., H, W) to 0: black where values are in [0, 1]."""
    masked = image.clone()
    masked[..., image.shape[-2] // 2 :, :] = 0
    return masked


@dataclass(frozen=True)
class Identity:
    """What the generator takes from the identity frame; computed once for a whole video."""

    maps: tuple[Tensor, ...]
    vector: Tensor

    def expand(self, batch: int) -> Identity:
        """The same for `batch` frames (no copy)."""
        wide = [x.expand(batch, *x.shape[1:]) for x in (*self.maps, self.vector)]
        return Identity(tuple(wide[:-1]), wide[-1])


class Decoder(nn.Module):
    """Levels of one transposed and two plain convolutions; after each, the maps of both encoders come in."""

    def __init__(self, config: ModelConfig, audio_dim: int) -> None:
        super().__init__()
        self.joined = config.skip == "concat"
        widths = [config.channels(side) for side in reversed(config.sides)]
        levels, c_in = [], widths[0] + audio_dim
        for number, c_out in enumerate(widths):
            up = UpBlock(c_in, c_out, 3, double=number > 0)
            levels.append(nn.Sequential(up, *(ConvBlock(Plan(c_out, c_out)) for _ in range(2))))
            c_in = 3 * c_out if self.joined else c_out
        self.levels = nn.ModuleList(levels)
        self.out = nn.Conv2d(c_in, 3, 1)

    def forward(self, code: Tensor, identity: tuple[Tensor, ...], pose: list[Tensor]) -> Tensor:
        """(B, width + audio, 1, 1) and both encoders' maps, largest first -> (B, 3, size, size) in [0, 1]."""
        x = code
        for block, a, b in zip(self.levels, reversed(identity), reversed(pose), strict=True):
            x = block(x)
            x = torch.cat([x, a, b], 1) if self.joined else x + a + b
        return torch.sigmoid(self.out(x))


class ExpertGenerator(nn.Module):
    """The generator of one configuration. Its audio tower has no gradient and stays in evaluation mode."""

    def __init__(self, config: AVHubertExpertConfig) -> None:
        super().__init__()
        self.config = config.model
        width = config.model.width
        self.identity = ImageEncoder(config.model)
        self.pose = ImageEncoder(config.model)
        self.audio = tower(audio_plans(config.expert.narrow)).requires_grad_(False)
        self.reduce = ConvBlock(Plan(2 * width, width, 1, (1, 1), 0))
        self.decoder = Decoder(config.model, config.expert.dim)
        self.audio.eval()

    def train(self, mode: bool = True) -> ExpertGenerator:
        """As usual, but for the audio tower: its batch norm keeps the statistics it was trained with."""
        super().train(mode)
        self.audio.eval()
        return self

    def know(self, image: Tensor) -> Identity:
        """Encode identity frames (B, 3, size, size) in [0, 1]."""
        self._check("identity", image, (3, self.config.size, self.config.size))
        maps, vector = self.identity(image)
        return Identity(tuple(maps), vector)

    def generate(self, target: Tensor, known: Identity, mel: Tensor) -> Tensor:
        """As `forward`, with the identity already encoded."""
        self._check("target", target, (3, self.config.size, self.config.size))
        self._check("mel", mel, (1, BANDS, COLUMNS))
        maps, vector = self.pose(mask_lower(target))
        with torch.no_grad():
            heard = self.audio(mel)
        seen = self.reduce(torch.cat([known.vector, vector], 1))
        return cast(Tensor, self.decoder(torch.cat([seen, heard.to(seen.dtype)], 1), known.maps, maps))

    def forward(self, target: Tensor, identity: Tensor, mel: Tensor) -> Tensor:
        """Dub single frames.

        Args:
            target: (B, 3, size, size) in [0, 1], whole; its lower half is hidden before anything sees it.
            identity: (B, 3, size, size) in [0, 1], another frame of the same person.
            mel: (B, 1, 80, 16) of the target's time, -4 to 4.

        Returns:
            (B, 3, size, size) in [0, 1].

        Raises:
            InputError: other shapes.
        """
        return self.generate(target, self.know(identity), mel)

    def _check(self, name: str, x: Tensor, shape: tuple[int, ...]) -> None:
        if tuple(x.shape[1:]) != shape:
            wanted = ", ".join(str(n) for n in shape)
            raise InputError(f"{name}: this model takes (B, {wanted}), not {tuple(x.shape)}")
