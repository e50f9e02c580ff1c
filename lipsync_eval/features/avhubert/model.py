"""AV-HuBERT's encoder (Shi et al. 2022, arXiv:2201.02184) in plain torch, evaluation only.

Written from the description of av_hubert/hubert.py (facebookresearch/av_hubert@258fb50) and its transformer
(fairseq@afc77bdf); module names are those of the official state dict without the prefix `encoder.w2v_model.`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert.config import CROP, STACKED, AVHuBERTConfig
from lipsync_eval.features.avhubert.resnet import ResNet

_ROWS = 4096
"""Time steps that go through a feed-forward layer at once: bounds memory on long clips."""


class AVHuBERT(nn.Module):
    """The pre-norm transformer over fused audio and video features, with its two front ends.

    The network has no training mode: BatchNorm always uses the checkpoint's statistics and nothing is dropped or masked,
    so it can sit inside a model that is being trained. Gradients flow to inputs and, unless frozen, to weights.
    """

    def __init__(self, config: AVHuBERTConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor_audio = _AudioFrontEnd(config.dim)
        self.feature_extractor_video = _VideoFrontEnd(config.dim)
        self.layer_norm = nn.LayerNorm(2 * config.dim)
        self.post_extract_proj = nn.Linear(2 * config.dim, config.dim)
        self.encoder = _Encoder(config)
        self.eval()

    def train(self, mode: bool = True) -> AVHuBERT:
        """Stays in evaluation mode, whatever is asked."""
        super().train(False)
        return self

    def forward(
        self, video: Tensor | None, audio: Tensor | None, padding_mask: Tensor | None = None, layer: int | None = None
    ) -> Tensor:
        """Features of a batch; a modality that is None enters as zeros after its projection (official extract_finetune).

        Args:
            video: (B, 1, T, 88, 88) float, from `video_input`, or None.
            audio: (B, 104, T) float, from `audio_input`, or None.
            padding_mask: (B, T) bool, True where a clip of the batch has ended; rows of the output there mean nothing.
            layer: 1..layers gives the output of that layer, without the final layer norm; None: the whole network.

        Returns:
            (B, T, D).

        Raises:
            InputError: wrong shapes, no input, or no such layer.
        """
        _check(video, audio, padding_mask)
        seen = None if video is None else self.feature_extractor_video(video)
        heard = None if audio is None else self.feature_extractor_audio(audio)
        return self.encode(seen, heard, padding_mask, layer)

    def encode(
        self, video: Tensor | None, audio: Tensor | None, padding_mask: Tensor | None = None, layer: int | None = None
    ) -> Tensor:
        """The same from front end features (B, D, T), so that one video can be encoded with several audio tracks."""
        if layer is not None and not 1 <= layer <= self.config.layers:
            raise InputError(f"layer {layer} does not exist; this network has layers 1..{self.config.layers}")
        return self.encoder(self.fuse(video, audio), padding_mask, layer)  # type: ignore[no-any-return]

    def fuse(self, video: Tensor | None, audio: Tensor | None) -> Tensor:
        """(B, D, T) front end features -> (B, T, D) input of the transformer; audio comes first in the concatenation."""
        given = video if video is not None else audio
        if given is None:
            raise InputError("AV-HuBERT needs video, audio or both; got neither")
        zeros = torch.zeros_like(given)
        both = torch.cat([zeros if audio is None else audio, zeros if video is None else video], dim=1)
        out: Tensor = self.post_extract_proj(self.layer_norm(both.transpose(1, 2)))
        return out


class _AudioFrontEnd(nn.Module):
    """(B, 104, T) -> (B, D, T)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Linear(STACKED, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x.transpose(1, 2)).transpose(1, 2)
        return out


class _VideoFrontEnd(nn.Module):
    """(B, 1, T, 88, 88) -> (B, D, T); `halo` as in ResNet."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.resnet = ResNet()
        self.proj = nn.Linear(512, dim)

    def forward(self, x: Tensor, halo: tuple[int, int] = (0, 0)) -> Tensor:
        out: Tensor = self.proj(self.resnet(x, halo)).transpose(1, 2)
        return out


class _PositionalConvolution(nn.Module):
    """Conv1d with kernel 128 in 16 groups, its weight normalised per kernel position (weight_norm(dim=2))."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(1, 1, 128))
        self.weight_v = nn.Parameter(torch.randn(dim, dim // 16, 128))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        # An even kernel with padding 64 gives one step too many; the official code drops the last.
        return F.gelu(F.conv1d(x, weight, self.bias, padding=64, groups=16)[:, :, :-1])


class _SelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        batch, steps, dim = x.shape
        q, k, v = (
            p(x).view(batch, steps, self.heads, -1).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=keep)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, steps, dim))
        return out


class _Layer(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, config: AVHuBERTConfig) -> None:
        super().__init__()
        self.self_attn = _SelfAttention(config.dim, config.heads)
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.ffn)
        self.fc2 = nn.Linear(config.ffn, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, keep: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), keep)
        parts = [self.fc2(F.gelu(self.fc1(self.final_layer_norm(part)))) for part in torch.split(x, _ROWS, dim=1)]
        return x + torch.cat(parts, dim=1)


class _Encoder(nn.Module):
    def __init__(self, config: AVHuBERTConfig) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(_PositionalConvolution(config.dim))
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, padding_mask: Tensor | None, layer: int | None) -> Tensor:
        keep = None
        if padding_mask is not None:
            x = x.masked_fill(padding_mask[:, :, None], 0.0)
            keep = ~padding_mask[:, None, None, :]
        x = x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        for n, block in enumerate(self.layers, start=1):
            x = block(x, keep)
            if n == layer:
                return x
        out: Tensor = self.layer_norm(x)
        return out


def _check(video: Tensor | None, audio: Tensor | None, padding_mask: Tensor | None) -> None:
    if video is not None and (video.dim() != 5 or video.shape[1] != 1 or video.shape[3:] != (CROP, CROP)):
        raise InputError(f"video must be (B, 1, T, {CROP}, {CROP}), got {tuple(video.shape)}; see video_input")
    if audio is not None and (audio.dim() != 3 or audio.shape[1] != STACKED):
        raise InputError(f"audio must be (B, {STACKED}, T), got {tuple(audio.shape)}; see audio_input")
    lengths = [(x.shape[0], x.shape[n]) for x, n in ((video, 2), (audio, 2), (padding_mask, 1)) if x is not None]
    if len(set(lengths)) > 1 or any(0 in length for length in lengths):
        raise InputError(
            f"video, audio and padding mask must agree in batch and length and not be empty; their (B, T) are {lengths}"
        )
