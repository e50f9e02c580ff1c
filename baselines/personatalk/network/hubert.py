"""HuBERT Base (Hsu et al. 2021, arXiv:2106.07447): seven temporal convolutions and a post-norm transformer, in plain torch.

Written from the paper and the public layouts of its files; names of parameters are fairseq's. 16 kHz in, 50 features a
second out (stride 320, the first centred at sample 200).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.features.avhubert.model import _PositionalConvolution, _SelfAttention

CONVOLUTIONS = ((10, 5), *((3, 2),) * 4, *((2, 2),) * 2)
"""(kernel, stride) of each."""
STRIDE, CENTRE = 320, 200
DIM, CHANNELS, FFN, HEADS, LAYERS = 768, 512, 3072, 12, 12


class _Convolution(nn.Sequential):
    """Conv, (Dropout), normalisation of the first layer, GELU; at fairseq's places 0, 2, 3."""

    def __init__(self, channels_in: int, channels: int, kernel: int, stride: int, first: bool) -> None:
        norm = nn.GroupNorm(channels, channels) if first else nn.Identity()
        super().__init__(nn.Conv1d(channels_in, channels, kernel, stride, bias=False), nn.Identity(), norm, nn.GELU())


class _Layer(nn.Module):
    """Post-norm: norm(x + attention(x)), then norm(x + feed-forward(x))."""

    def __init__(self, dim: int, ffn: int, heads: int) -> None:
        super().__init__()
        self.self_attn = _SelfAttention(dim, heads)
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.fc1, self.fc2 = nn.Linear(dim, ffn), nn.Linear(ffn, dim)
        self.final_layer_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) -> the same shape."""
        x = self.self_attn_layer_norm(x + self.self_attn(x, None))
        return cast(Tensor, self.final_layer_norm(x + self.fc2(F.gelu(self.fc1(x)))))


class _Transformer(nn.Module):
    def __init__(self, dim: int, ffn: int, heads: int, layers: int) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(_PositionalConvolution(dim))
        self.layer_norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(_Layer(dim, ffn, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) -> the same shape."""
        x = self.layer_norm(x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2))
        for layer in self.layers:
            x = layer(x)
        return x


class Hubert(nn.Module):
    """(B, N) samples -> (B, M, dim) features. Smaller sizes than Base's are for tests."""

    def __init__(
        self, dim: int = DIM, channels: int = CHANNELS, ffn: int = FFN, heads: int = HEADS, layers: int = LAYERS
    ) -> None:
        super().__init__()
        widths = [1, *[channels] * len(CONVOLUTIONS)]
        self.feature_extractor = nn.ModuleDict(
            {
                "conv_layers": nn.ModuleList(
                    _Convolution(widths[n], channels, kernel, stride, n == 0)
                    for n, (kernel, stride) in enumerate(CONVOLUTIONS)
                )
            }
        )
        self.layer_norm = nn.LayerNorm(channels)
        self.post_extract_proj = nn.Linear(channels, dim)
        self.encoder = _Transformer(dim, ffn, heads, layers)

    def forward(self, samples: Tensor) -> Tensor:
        """(B, N) 16 kHz in [-1, 1], N >= 400 -> (B, (N - 80) // 320, dim)."""
        x = samples[:, None]
        for layer in cast(nn.ModuleList, self.feature_extractor["conv_layers"]):
            x = layer(x)
        return cast(Tensor, self.encoder(self.post_extract_proj(self.layer_norm(x.transpose(1, 2)))))


def at_frames(features: Tensor, frames: int) -> Tensor:
    """(B, M, D) at 50 a second -> (B, frames, D) at the times (i + 0.5) / 25, linearly; ends are held."""
    at = ((torch.arange(frames, device=features.device) + 0.5) * 640 - CENTRE) / STRIDE
    at = at.clamp(0, features.shape[1] - 1)
    low = at.floor().long().clamp(max=max(features.shape[1] - 2, 0))
    share = (at - low).to(features.dtype)[:, None]
    high = (low + 1).clamp(max=features.shape[1] - 1)
    return features[:, low] * (1 - share) + features[:, high] * share


def load(path: Path, model: Hubert) -> None:
    """Copy a public checkpoint into a network.

    Args:
        path: of fairseq (hubert_base_ls960.pt), torchaudio (hubert_fairseq_base_ls960.pth) or transformers
            (facebook/hubert-base-ls960); read by the safe loader.
        model: overwritten.

    Raises:
        RefusedCheckpoint: of no known layout, or a tensor that is missing or does not fit.
    """
    from lipsync_eval.weights import fit, load_checkpoint

    fit(model, from_public(load_checkpoint(path), path.name), source=path.name)


def from_public(held: object, source: str) -> dict[str, Tensor]:
    """Tensors of one of the three layouts under fairseq's names, without what only pre-training needs.

    Raises:
        RefusedCheckpoint: it is none of them.
    """
    tensors = _mapping(held)
    if "encoder.transformer.layers.0.attention.q_proj.weight" in tensors:
        found = {_from_torchaudio(k): v for k, v in tensors.items()}
    elif any(k.removeprefix("hubert.").startswith("feature_projection.") for k in tensors):
        found = {_from_transformers(k.removeprefix("hubert.")): v for k, v in tensors.items()}
    elif "post_extract_proj.weight" in tensors:
        found = dict(tensors)
    else:
        raise RefusedCheckpoint(
            f"{source} is no HuBERT Base of fairseq, torchaudio or transformers; it holds {', '.join(list(tensors)[:5])}"
        )
    for norm in ("g", "v"):  # newer files of torch hold the weight norm as a parametrisation
        old = f"encoder.pos_conv.0.parametrizations.weight.original{'0' if norm == 'g' else '1'}"
        if old in found:
            found[f"encoder.pos_conv.0.weight_{norm}"] = found.pop(old)
    return {k: v for k, v in found.items() if not k.startswith(_UNUSED)}


_UNUSED = ("mask_emb", "label_embs", "final_proj", "aux", "masked_spec_embed", "lm_head", "classifier", "projector")


def _mapping(held: object) -> dict[str, Tensor]:
    """The tensors by name: the object itself, or what lies under 'model' or 'state_dict'."""
    if isinstance(held, dict):
        inner: Any = held.get("model", held.get("state_dict", held))
        if isinstance(inner, Mapping):
            return {str(k): v for k, v in inner.items() if isinstance(v, Tensor)}
    return {}


def _from_torchaudio(key: str) -> str:
    key = key.replace("encoder.feature_projection.", "feature_projection.").replace("encoder.transformer.", "encoder.")
    return _from_transformers(key)


def _from_transformers(key: str) -> str:
    if key.startswith("feature_extractor."):
        return key.replace(".conv.weight", ".0.weight").replace(".layer_norm.", ".2.")
    if key.startswith("encoder.layers."):
        return (
            key.replace(".attention.", ".self_attn.")
            .replace(".feed_forward.intermediate_dense.", ".fc1.")
            .replace(".feed_forward.output_dense.", ".fc2.")
            .replace(".layer_norm.", ".self_attn_layer_norm.")
        )
    return (
        key.replace("feature_projection.layer_norm", "layer_norm")
        .replace("feature_projection.projection", "post_extract_proj")
        .replace("encoder.pos_conv_embed.conv", "encoder.pos_conv.0")
    )
