"""The ViT blocks of the decoder (RADIO section 3.2): the face asks, the reference answers.

Query: lower half of the decoder's map. Key and value: lower half of the style encoder's map of the same size.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.errors import InputError


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d_k)), the first part of eq. 1.

    Args:
        query: (..., N, d_k).
        key: (..., M, d_k).

    Returns:
        (..., N, M) float32; every row sums to 1.
    """
    scores = query.float() @ key.float().transpose(-2, -1) / math.sqrt(key.shape[-1])
    return torch.softmax(scores, -1)


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(d_k)) V, eq. 1, without keeping the weights: (..., N, d), (..., M, d), (..., M, d_v) -> (..., N, d_v)."""
    return F.scaled_dot_product_attention(query, key, value)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, D) -> (B, heads, N, D / heads)."""
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, heads, width // heads).transpose(1, 2)


def patches(x: Tensor, size: int) -> Tensor:
    """(B, C, H, W) -> (B, N, C * size^2), patches row by row; H and W are multiples of size."""
    return F.unfold(x, size, stride=size).transpose(1, 2)


def unpatches(tokens: Tensor, size: int, height: int, width: int) -> Tensor:
    """(B, N, C * size^2) -> (B, C, height, width), the inverse of `patches`."""
    return F.fold(tokens.transpose(1, 2), (height, width), size, stride=size)


class AttentionLayer(nn.Module):
    """x + Attention(LN(x), LN(reference)), then x + MLP(LN(x)), with 8 heads."""

    def __init__(self, dim: int, heads: int, ratio: int = 4) -> None:
        super().__init__()
        if dim % heads:
            raise InputError(f"vit_dim {dim} does not divide into {heads} heads; choose a multiple of {heads}")
        self.heads = heads
        self.norm_query, self.norm_reference, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_query, self.to_key, self.to_value = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.merge = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, ratio * dim), nn.GELU(), nn.Linear(ratio * dim, dim))

    def heads_of(self, x: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q, K, V by head: (B, heads, N, d_k), (B, heads, M, d_k), (B, heads, M, d_k)."""
        query, other = self.norm_query(x), self.norm_reference(reference)
        q, k, v = self.to_query(query), self.to_key(other), self.to_value(other)
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(v, self.heads)

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        """(B, N, dim) and (B, M, dim) -> (B, N, dim)."""
        mixed = attention(*self.heads_of(x, reference))
        x = x + self.merge(mixed.transpose(1, 2).flatten(2))
        return cast(Tensor, x + self.mlp(self.norm_mlp(x)))


class ViTBlock(nn.Module):
    """Patch and positional embedding, attention layers, and back to a map that is added to the lower half.

    Args:
        channels: of both maps (style encoder and decoder have equal widths at equal sizes).
        size: height and width of the maps in px.
        patch: side of a patch in px; size / 2 is a multiple of it.
        dim: width of a token.
        heads: attention heads.
        depth: attention layers.
    """

    def __init__(self, channels: int, size: int, patch: int, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        if size % 2 or (size // 2) % patch:
            raise InputError(f"a {size}-pixel map has no lower half of whole {patch}-pixel patches")
        self.patch, self.height, self.width = patch, size // 2, size
        tokens = (self.height // patch) * (self.width // patch)
        self.embed_query = nn.Linear(channels * patch**2, dim)
        self.embed_reference = nn.Linear(channels * patch**2, dim)
        self.position_query = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
        self.position_reference = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
        self.layers = nn.ModuleList(AttentionLayer(dim, heads) for _ in range(depth))
        self.unembed = nn.Linear(dim, channels * patch**2)
        nn.init.normal_(self.unembed.weight, std=0.02)
        nn.init.zeros_(self.unembed.bias)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens in the lower half."""
        return self.height // self.patch, self.width // self.patch

    def tokens(self, x: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Both maps (B, C, size, size) -> embedded lower halves (B, N, dim) with positions."""
        query = self.embed_query(patches(x[:, :, self.height :], self.patch)) + self.position_query
        other = self.embed_reference(patches(reference[:, :, self.height :], self.patch)) + self.position_reference
        return query, other

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        """(B, C, size, size) twice -> (B, C, size, size): the upper half of x untouched, the lower half attended."""
        query, other = self.tokens(x, reference)
        for layer in self.layers:
            query = layer(query, other)
        change = unpatches(self.unembed(query), self.patch, self.height, self.width)
        upper, lower = x[:, :, : self.height], x[:, :, self.height :]
        return torch.cat([upper, lower + change.to(x.dtype)], 2)

    def maps(self, x: Tensor, reference: Tensor) -> list[Tensor]:
        """Attention of each layer: (B, heads, N, N) float32, rows are patches of the face, columns of the reference."""
        query, other = self.tokens(x, reference)
        found = []
        for layer in self.layers:
            attend = cast(AttentionLayer, layer)
            q, k, _ = attend.heads_of(query, other)
            found.append(attention_weights(q, k))
            query = attend(query, other)
        return found
