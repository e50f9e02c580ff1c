"""RADIO's generator: E_c, E_s, E_a and the decoder (figure 2 of the paper).

Images are (B, 3, size, size) RGB in [-1, 1]; the lower half of the target is hidden here, so nobody can forget to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.radio.config import ModelConfig
from lipsync_eval.baselines.radio.network.decoder import Decoder
from lipsync_eval.baselines.radio.network.encoders import Encoder, StyleEncoder
from lipsync_eval.baselines.radio.network.resnet_se import ResNetSE
from lipsync_eval.errors import InputError


def mask_lower(image: Tensor) -> Tensor:
    """Set the lower half of frames (..., H, W) in [-1, 1] to 0, the middle grey."""
    half = image.shape[-2] // 2
    masked = image.clone()
    masked[..., half:, :] = 0
    return masked


@dataclass(frozen=True)
class Reference:
    """What the generator takes from the reference frame; computed once for a whole video."""

    image: Tensor
    """(B, 3, size, size)."""
    code: Tensor | None
    """f_s (B, style_dim); None in variant A."""
    maps: Mapping[int, Tensor] = field(default_factory=dict)
    """Maps f_s^i of E_s by their number i, those that the decoder asks for."""

    def expand(self, batch: int) -> Reference:
        """The same reference for `batch` frames (no copy)."""

        def repeat(x: Tensor) -> Tensor:
            """One row -> `batch` rows."""
            return x.expand(batch, *x.shape[1:])

        code = None if self.code is None else repeat(self.code)
        return Reference(repeat(self.image), code, {number: repeat(x) for number, x in self.maps.items()})


class Radio(nn.Module):
    """The generator of one configuration (variants A to D of table 2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.content = Encoder(config, 6 if config.variant == "A" else 3)
        self.style = None if config.variant == "A" else StyleEncoder(config)
        self.audio = ResNetSE(config.audio_dim, config.audio_width, norm="instance", leaky=True)
        self.decoder = Decoder(config)

    def reference(self, image: Tensor) -> Reference:
        """Encode reference frames (B, 3, size, size)."""
        self._check("reference", image, (3, self.config.size, self.config.size))
        if self.style is None:
            return Reference(image, None)
        maps = self.style(image)
        wanted = [plan.style_map for plan in self.config.decoder_plan if plan.fidelity != "none"]
        chosen = {number: maps[number - 1] for number in wanted}
        return Reference(image, self.style.code(maps), chosen)

    def encode(self, target: Tensor, reference: Reference, mel: Tensor) -> tuple[list[Tensor], Tensor]:
        """Content maps f_c^1..f_c^L of the masked target and the style vector f_W (B, w_dim)."""
        self._check("target", target, (3, self.config.size, self.config.size))
        self._check("mel", mel, (1, self.config.bands, self.config.mel_frames))
        masked = mask_lower(target)
        heard = self.audio(mel)
        if reference.code is None:
            return self.content(torch.cat([masked, reference.image], 1)), heard
        return self.content(masked), torch.cat([reference.code.to(heard.dtype), heard], 1)

    def generate(self, target: Tensor, reference: Reference, mel: Tensor) -> Tensor:
        """Dub frames whose reference is already encoded: as `forward`."""
        contents, w = self.encode(target, reference, mel)
        return cast(Tensor, self.decoder(contents, w, reference.maps))

    def attention(self, target: Tensor, reference: Reference, mel: Tensor) -> dict[str, Tensor]:
        """Att_{i,j} by name 'i.j': (B, heads, N, N); see `Decoder.attention`."""
        contents, w = self.encode(target, reference, mel)
        return self.decoder.attention(contents, w, reference.maps)

    def forward(self, target: Tensor, reference: Tensor, mel: Tensor) -> Tensor:
        """Dub single frames.

        Args:
            target: (B, 3, size, size) in [-1, 1], whole; its lower half is hidden before anything sees it.
            reference: (B, 3, size, size) in [-1, 1], another frame of the same person.
            mel: (B, 1, bands, mel_frames) around the target's time.

        Returns:
            (B, 3, size, size), trained towards [-1, 1], not clamped.
        """
        return self.generate(target, self.reference(reference), mel)

    def _check(self, name: str, x: Tensor, shape: tuple[int, ...]) -> None:
        if tuple(x.shape[1:]) != shape:
            wanted = ", ".join(str(n) for n in shape)
            raise InputError(f"{name}: this model takes (B, {wanted}), not {tuple(x.shape)}")
