"""Eq. 3, Softmax(Q K^T / sqrt(D)) V, with and without heads, and the layers of stage 1 that are made of it."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def attention(query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None = None) -> Tensor:
    """Eq. 3: (..., N, D), (..., M, D), (..., M, V) -> (..., N, V). `keep` (N, M): which pairs see each other."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=keep)


def positions(count: int, width: int, device: torch.device) -> Tensor:
    """(count, width) sinusoids of Vaswani et al. 2017; `width` is even."""
    at = torch.arange(count, device=device, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=device, dtype=torch.float32) * (-math.log(10000.0) / width))
    return torch.stack([torch.sin(at * rate), torch.cos(at * rate)], dim=2).reshape(count, width)


class Attention(nn.Module):
    """Heads, with linear maps for Q, K, V and the output."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_query, self.to_key, self.to_value = (nn.Linear(width, width) for _ in range(3))
        self.merge = nn.Linear(width, width)

    def forward(self, query: Tensor, other: Tensor, keep: Tensor | None = None, value: Tensor | None = None) -> Tensor:
        """(B, N, D) asks (B, M, D) -> (B, N, D); `value`: where it differs from what the keys are made of."""
        q, k, v = self.to_query(query), self.to_key(other), self.to_value(other if value is None else value)
        q, k, v = (x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2) for x in (q, k, v))
        mixed = attention(q, k, v, keep)
        return cast(Tensor, self.merge(mixed.transpose(1, 2).flatten(2)))


class FeedForward(nn.Sequential):
    """D -> 4 D -> D, GELU."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class SelfAttentionLayer(nn.Module):
    """Pre-norm: x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.attend = nn.LayerNorm(width), Attention(width, heads)
        self.norm_mlp, self.mlp = nn.LayerNorm(width), FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        known = self.norm(x)
        x = x + self.attend(known, known)
        return cast(Tensor, x + self.mlp(self.norm_mlp(x)))
