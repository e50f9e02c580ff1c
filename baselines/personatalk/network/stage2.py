"""Stage 2: the dual-attention renderer (section 3.2 of the paper)."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.personatalk.config import Stage2Config
from lipsync_eval.baselines.personatalk.network.attention import attention


class Encoder(nn.Sequential):
    """(B, 3, H, W) -> (B, C, H/4, W/4): two convolutions with stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv2d(3, width // 2, 3, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width // 2, width, 3, 2, 1),
            nn.LeakyReLU(0.2),
        )


class Known(NamedTuple):
    """References, projected once."""

    key: Tensor
    """(B, N * h * w, C)."""
    value: Tensor
    """(B, N * h * w, C)."""


class SamplingLayer(nn.Module):
    """Eq. 3 between one target's geometry and the references' geometry and texture; one head, places of its own."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        places = torch.randn(tokens, width) * 0.5
        self.query_places, self.key_places = nn.Parameter(places), nn.Parameter(places.clone())
        self.to_query, self.to_key, self.to_value = (nn.Linear(width, width) for _ in range(3))
        self.merge = nn.Linear(width, width)
        nn.init.normal_(self.to_query.weight, std=2.75 * width**-0.5)
        self.to_key.load_state_dict(
            self.to_query.state_dict()
        )  # equal geometry at equal places attracts from the start

    def know(self, geometry: Tensor, texture: Tensor) -> Known:
        """(B, N, h * w, C) twice -> keys and values; every reference has the same places."""
        return Known(self.to_key(geometry + self.key_places).flatten(1, 2), self.to_value(texture).flatten(1, 2))

    def forward(self, query: Tensor, known: Known, at: Tensor | None = None) -> Tensor:
        """(B, n, C) of the places `at` (n,), None: of all -> (B, n, C)."""
        places = self.query_places if at is None else self.query_places[at]
        return cast(Tensor, self.merge(attention(self.to_query(query + places), known.key, known.value)))


class Renderer(nn.Module):
    """E_geo, E_tex, Lip-Attention, Face-Attention, D_tex. Images in [-1, 1], PNCC in [0, 1]."""

    def __init__(self, config: Stage2Config) -> None:
        super().__init__()
        self.config = config
        width, self.grid = config.width, config.size // 4
        self.geometry, self.texture = Encoder(width), Encoder(width)
        self.face = SamplingLayer(width, self.grid**2)
        self.lip = SamplingLayer(width, self.grid**2) if config.attention == "dual" else None
        self.first = nn.Conv2d(width + 3, width // 2, 3, 1, 1)
        self.last = nn.Conv2d(width // 2, 3, 3, 1, 1)

    def encode(self, frames: Tensor, pnccs: Tensor) -> tuple[Tensor, Tensor]:
        """References (n, 3, H, W) twice -> geometry and texture: (n, h * w, C) each."""
        geometry, texture = self.geometry(pnccs), self.texture(frames)
        return geometry.flatten(2).transpose(1, 2), texture.flatten(2).transpose(1, 2)

    def layer(self, which: str) -> SamplingLayer:
        """'lip' or 'face'; one for both where the configuration has a single one."""
        return self.lip if which == "lip" and self.lip is not None else self.face

    def know(self, which: str, geometry: Tensor, texture: Tensor) -> Known:
        """Encoded references (B, N, h * w, C) twice -> keys and values of a layer."""
        return self.layer(which).know(geometry, texture)

    def sample(self, query: Tensor, face: Known, lip: Known, mask: Tensor) -> Tensor:
        """Eq. 4: Lip-Attention * M + Face-Attention * (1 - M). Each is computed only where its share is not 0.

        Args:
            query: (B, h * w, C) of the target's geometry.
            face, lip: of the references.
            mask: (B, h * w) in 0..1.
        """
        if self.lip is None:
            both = Known(torch.cat([face.key, lip.key], 1), torch.cat([face.value, lip.value], 1))
            return cast(Tensor, self.face(query, both))
        rows = []
        for b in range(len(query)):
            out = torch.zeros_like(query[b])
            for layer, known, share in ((self.face, face, 1 - mask[b]), (self.lip, lip, mask[b])):
                at = torch.nonzero(share > 0)[:, 0]
                if len(at):
                    one = Known(known.key[b : b + 1], known.value[b : b + 1])
                    found = layer(query[b : b + 1, at], one, at)[0] * share[at, None].to(query.dtype)
                    out = out.index_add(0, at, found.to(out.dtype))
            rows.append(out)
        return torch.stack(rows)

    def decode(self, sampled: Tensor, pncc: Tensor) -> Tensor:
        """(B, h * w, C) and the target's PNCC -> (B, 3, H, W) in [-1, 1]."""
        x = sampled.transpose(1, 2).reshape(len(sampled), -1, self.grid, self.grid)
        small = F.interpolate(pncc, size=(self.grid, self.grid), mode="area").to(x.dtype)
        x = F.interpolate(torch.cat([x, small], 1), scale_factor=2, mode="nearest")
        x = F.interpolate(F.leaky_relu(self.first(x), 0.2), scale_factor=2, mode="nearest")
        return torch.tanh(self.last(x))

    def render(self, pncc: Tensor, face: Known, lip: Known, mask: Tensor) -> Tensor:
        """Target PNCC (B, 3, H, W), references, mask (B, h, w) -> (B, 3, H, W) in [-1, 1]."""
        query = self.geometry(pncc).flatten(2).transpose(1, 2)
        return self.decode(self.sample(query, face, lip, mask.flatten(1)), pncc)

    def forward(
        self,
        pncc: Tensor,
        mask: Tensor,
        face_frames: Tensor,
        face_pnccs: Tensor,
        lip_frames: Tensor,
        lip_pnccs: Tensor,
    ) -> Tensor:
        """Crops of targets.

        Args:
            pncc: (B, 3, H, W) of the targets.
            mask: (B, h, w) lip mask.
            face_frames, face_pnccs: (B, N_f, 3, H, W).
            lip_frames, lip_pnccs: (B, N_l, 3, H, W).

        Returns:
            (B, 3, H, W) in [-1, 1].
        """
        known = []
        for which, frames, pnccs in (("face", face_frames, face_pnccs), ("lip", lip_frames, lip_pnccs)):
            geometry, texture = self.encode(frames.flatten(0, 1), pnccs.flatten(0, 1))
            shape = (*frames.shape[:2], *geometry.shape[1:])
            known.append(self.know(which, geometry.reshape(shape), texture.reshape(shape)))
        return self.render(pncc, known[0], known[1], mask)
