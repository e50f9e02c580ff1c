"""The image discriminator (section 3.6): seven strided convolutions, LeakyReLU, spectral norm (Miyato et al. 2018)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lipsync_eval.baselines.avhubert_expert.config import DiscriminatorConfig
from lipsync_eval.errors import InputError

LAYERS = 7
SLOPE = 0.2


class SpectralDiscriminator(nn.Module):
    """(B, 3, size, size) RGB in [-1, 1] -> (B,) logits, higher for real frames."""

    def __init__(self, config: DiscriminatorConfig, size: int) -> None:
        super().__init__()
        self.size, self.lower = size, config.region == "lower"
        side, c_in = (size // 2 if self.lower else size), 3
        layers: list[nn.Module] = []
        for number in range(LAYERS):
            last = number == LAYERS - 1
            c_out = 1 if last else config.width * min(2**number, 8)
            padding = 1 if side > 1 else 2  # a kernel of 4 on one pixel
            layers.append(spectral_norm(nn.Conv2d(c_in, c_out, 4, 2, padding)))
            if not last:
                layers.append(nn.LeakyReLU(SLOPE))
            side, c_in = (side + 2 * padding - 4) // 2 + 1, c_out
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Logits; of several places (region 'lower'), their mean.

        Raises:
            InputError: other shapes.
        """
        if image.shape[1:] != (3, self.size, self.size):
            raise InputError(f"this discriminator takes (B, 3, {self.size}, {self.size}), not {tuple(image.shape)}")
        seen = (image + 1) / 2
        if self.lower:
            seen = seen[:, :, self.size // 2 :]
        return cast(Tensor, self.layers(seen).mean((1, 2, 3)))
