"""StyleGAN2's table of widths."""

from __future__ import annotations


def channels_at(size: int, multiplier: int = 2, limit: int = 512) -> int:
    """Width of the layer at `size` pixels: upstream's table (512 up to 32, then 16384/size times the multiplier)."""
    power = 1 << (size - 1).bit_length()
    return min(limit, 512 if power <= 32 else 16384 * multiplier // power)
