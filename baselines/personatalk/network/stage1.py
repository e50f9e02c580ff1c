"""Stage 1: speech and style -> vertices of the lower face (section 3.1 of the paper)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.data.mel import BANDS, PER_FRAME
from lipsync_eval.baselines.personatalk.config import Stage1Config
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.baselines.personatalk.network.attention import Attention, FeedForward, SelfAttentionLayer, positions
from lipsync_eval.baselines.personatalk.network.hubert import DIM, Hubert, at_frames


class MelEncoder(nn.Module):
    """(B, 4 T, 80) mel -> (B, T, D): four dilated convolutions, the first of which goes to 25 a second."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv1d(BANDS, width, PER_FRAME, PER_FRAME), nn.GELU()]
        for dilation in (1, 2, 4):
            layers += [nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.GELU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, mel: Tensor, frames: int) -> Tensor:
        """`frames` of the result must be a quarter of the columns."""
        return cast(Tensor, self.layers(mel.transpose(1, 2)).transpose(1, 2)[:, :frames])


class HubertEncoder(nn.Module):
    """(B, 640 T) samples -> (B, T, D): HuBERT, the times of the frames, a linear layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hubert = Hubert()
        self.project = nn.Linear(DIM, width)
        self.hubert.feature_extractor.requires_grad_(False)

    def forward(self, samples: Tensor, frames: int) -> Tensor:
        """See MelEncoder; 400 samples of silence follow, so that the last frame has features before and after it."""
        padded = nn.functional.pad(samples, (0, 400))
        return cast(Tensor, self.project(at_frames(self.hubert(padded), frames)))


class GeometryNetwork(nn.Module):
    """E_aud, E_vtx, style, injection, driving, D_vtx. Vertices in units of the distance of the eyes."""

    mean: Tensor
    deviation: Tensor
    low: Tensor

    def __init__(self, config: Stage1Config, topology: Topology) -> None:
        super().__init__()
        self.config, self.count = config, topology.count
        width = config.width
        self.audio: nn.Module = HubertEncoder(width) if config.audio == "hubert" else MelEncoder(width)
        self.vertices = nn.Linear(3 * topology.count, width)
        self.style = nn.Linear(2 * width, width)
        self.inject = Attention(width, config.heads)
        self.norm_inject, self.mlp = nn.LayerNorm(width), FeedForward(width)
        self.norm_drive, self.drive = nn.LayerNorm(width), Attention(width, config.heads)
        self.norm_driven, self.mlp_driven = nn.LayerNorm(width), FeedForward(width)
        self.layers = nn.ModuleList(SelfAttentionLayer(width, config.heads) for _ in range(config.layers))
        self.norm_out = nn.LayerNorm(width)
        self.decode = nn.Linear(width, 3 * len(topology.low))
        nn.init.zeros_(self.decode.weight)
        nn.init.zeros_(self.decode.bias)
        self.register_buffer("mean", torch.tensor(topology.mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("low", torch.tensor(topology.low.astype("int64")), persistent=False)

    def encode_vertices(self, vertices: Tensor) -> Tensor:
        """(..., L, 3) -> (..., D): displacements from the mean face, over their spread in the training data."""
        return cast(Tensor, self.vertices(((vertices - self.mean) / self.deviation).flatten(-2)))

    def style_of(self, expressions: Tensor, valid: Tensor | None = None) -> Tensor:
        """S.

        Args:
            expressions: (B, T, L, 3) the mean face with a person's expression over time.
            valid: (B, T) bool, frames that count; None: all.

        Returns:
            (B, D); zeros where the configuration has no style.
        """
        codes = self.encode_vertices(expressions)
        if not self.config.style:
            return torch.zeros_like(codes[:, 0])
        weight = torch.ones_like(codes[..., :1]) if valid is None else valid[..., None].to(codes)
        total = weight.sum(1)
        mean = (codes * weight).sum(1) / total
        variance = ((codes - mean[:, None]) ** 2 * weight).sum(1) / total
        return cast(Tensor, self.style(torch.cat([mean, (variance + 1e-8).sqrt()], dim=1)))

    def stylise(self, audio: Tensor, style: Tensor) -> Tensor:
        """B: the style asks the sound, once a frame. (B, T, D), (B, D) -> (B, T, D).

        Taken literally the query is one row and the time axis is gone; here frame t asks with S + pe_t.
        """
        steps = audio.shape[1]
        place = positions(steps, audio.shape[2], audio.device).to(audio.dtype)
        keep = None
        if self.config.band:
            at = torch.arange(steps, device=audio.device)
            keep = (at[:, None] - at[None]).abs() <= self.config.band
        x = audio + self.inject(style[:, None] + place, audio + place, keep)
        return cast(Tensor, x + self.mlp(self.norm_inject(x)))

    def drive_template(self, stylised: Tensor, template: Tensor) -> Tensor:
        """Cross-attention to the template's one code, then self-attention. (B, T, D), (B, L, 3) -> (B, T, D).

        A softmax over one key is 1: the template reaches every frame alike, sound passes through the residual.
        """
        code = self.encode_vertices(template)[:, None]
        x: Tensor = stylised + self.drive(self.norm_drive(stylised), code)
        x = x + self.mlp_driven(self.norm_driven(x))
        x = x + positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
        for layer in self.layers:
            x = layer(x)
        return x

    def forward(self, sound: Tensor, style: Tensor, template: Tensor, frames: int) -> Tensor:
        """Displacements of the lower face from the template.

        Args:
            sound: (B, 640 T) samples for hubert, (B, 4 T, 80) mel for mel.
            style: (B, D) of `style_of`.
            template: (B, L, 3) the person at rest.
            frames: T, at most `longest`.

        Returns:
            (B, T, |low|, 3).
        """
        stylised = self.stylise(self.audio(sound, frames), style)
        out = self.decode(self.norm_out(self.drive_template(stylised, template)))
        return cast(Tensor, out.reshape(*out.shape[:2], -1, 3))
