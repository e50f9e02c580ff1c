"""G, the generalised model: what it sees, how maps are masked (eq. 1), and one call of it.

Frames are (B, 3, size, size) RGB in [-1, 1] outside. The mouth of the target is hidden here, so nobody can forget to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.data.wav2lip_mel import BANDS, COLUMNS
from lipsync_eval.baselines.stylesync.config import ModelConfig
from lipsync_eval.baselines.stylesync.network.encoders import AudioEncoder, FaceEncoder, StyleSpace
from lipsync_eval.baselines.stylesync.network.synthesis import Synthesis
from lipsync_eval.errors import InputError

MASK_SIZE = 256
"""px of the stored mask."""


def level_mask(mask: Tensor, size: int) -> Tensor:
    """(256, 256) uint8 M, 1 inside -> (size, size) float32 M of a map: the share of each of its pixels that is inside."""
    whole = mask.float()[None, None]
    return F.interpolate(whole, (size, size), mode="area")[0, 0]


def hide(image: Tensor, mask: Tensor) -> Tensor:
    """(1 - M) * I, with every pixel hidden that M touches.

    Args:
        image: (..., size, size).
        mask: (256, 256) uint8.
    """
    return image * (level_mask(mask, image.shape[-1]) == 0)


def mask_maps(maps: Mapping[int, Tensor], mask: Tensor, masked: frozenset[int]) -> dict[int, Tensor]:
    """Eq. 1: F'_l = (1 - M) * F_l for the resolutions in `masked`; the other maps pass through."""
    return {size: x * (1 - level_mask(mask, size)).to(x.dtype) if size in masked else x for size, x in maps.items()}


class MaskedModel(nn.Module):
    """What G and Wav2Lip-H share: size, value range, and the mask, which travels in the checkpoint."""

    mask: Tensor

    def __init__(self, config: ModelConfig, mask: Tensor | None = None) -> None:
        """`mask`: (256, 256) uint8, 1 where the target is hidden; None: everywhere, until a checkpoint is loaded."""
        super().__init__()
        self.config = config
        self.register_buffer("mask", torch.ones(MASK_SIZE, MASK_SIZE, dtype=torch.uint8) if mask is None else mask)

    @property
    def unit(self) -> bool:
        """Whether values inside are in [0, 1]."""
        return self.config.range == "unit"

    def inside(self, image: Tensor) -> Tensor:
        """[-1, 1] -> the values inside the model."""
        return (image + 1) / 2 if self.unit else image

    def shown(self, image: Tensor) -> Tensor:
        """(..., size, size) in [-1, 1] -> the masked target that the model sees, in [-1, 1]."""
        hidden = hide(self.inside(image), self.mask)
        return hidden * 2 - 1 if self.unit else hidden

    def seen(self, target: Tensor, reference: Tensor) -> Tensor:
        """(B, 6, size, size): the masked target and the reference, values as inside."""
        size = self.config.size
        for name, x in (("target", target), ("reference", reference)):
            if tuple(x.shape[1:]) != (3, size, size):
                raise InputError(f"{name}: this model takes (B, 3, {size}, {size}), not {tuple(x.shape)}")
        return torch.cat([hide(self.inside(target), self.mask), self.inside(reference)], 1)

    def check_mel(self, mel: Tensor) -> None:
        """Refuse other shapes than (B, 1, 80, 16)."""
        if tuple(mel.shape[1:]) != (1, BANDS, COLUMNS):
            raise InputError(f"mel: this model takes (B, 1, {BANDS}, {COLUMNS}), not {tuple(mel.shape)}")


class StyleSync(MaskedModel):
    """G of one configuration; dW = 0 and dP = 0."""

    def __init__(self, config: ModelConfig, mask: Tensor | None = None) -> None:
        super().__init__(config, mask)
        self.face = FaceEncoder(config)
        self.audio = AudioEncoder(config)
        self.style = StyleSpace(config)
        self.synthesis = Synthesis(config)

    def hear(self, mel: Tensor) -> Tensor:
        """(B, 1, 80, 16) -> f_a (B, style_dim)."""
        self.check_mel(mel)
        return cast(Tensor, self.audio(mel))

    def look(self, target: Tensor, reference: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """Maps F' of the masked target and the reference, masked after eq. 1, and f_f."""
        maps, code = self.face(self.seen(target, reference))
        return mask_maps(maps, self.mask, self.config.masked), code

    def draw(self, maps: Mapping[int, Tensor], styles: Sequence[Tensor], synthesis: nn.Module | None = None) -> Tensor:
        """W+ (L vectors) and maps -> (B, 3, size, size) in [-1, 1]; `synthesis`: another's parameters (P)."""
        rgb: Tensor = (synthesis or self.synthesis)(maps, styles)
        return self.finish(rgb)

    def finish(self, rgb: Tensor) -> Tensor:
        """The synthesis network's sum -> frames in [-1, 1]."""
        return torch.sigmoid(rgb.float()) * 2 - 1 if self.unit else rgb.float()

    def forward(self, target: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """Make frames.

        Args:
            target: (B, 3, size, size) in [-1, 1], whole; its mouth is hidden before anything sees it.
            reference: (B, 3, size, size) in [-1, 1], another frame of the same person.
            mel: (B, 1, 80, 16) Wav2Lip mel of the target.

        Returns:
            (B, 3, size, size) in [-1, 1] (unbounded with range = "signed").
        """
        return self.generate(target, reference, self.hear(mel))

    def generate(self, target: Tensor, reference: Tensor, heard: Tensor) -> Tensor:
        """As `forward`, from f_a (B, style_dim)."""
        maps, code = self.look(target, reference)
        w = self.style(heard.to(code.dtype), code)
        return self.draw(maps, [w] * self.config.n_styles)
