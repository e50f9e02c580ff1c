"""Convolution whose second derivatives are as cheap as its first.

Regularisers such as R1 differentiate twice. torch's own second derivative of a convolution takes the incoming gradient for
a kernel as large as the image, and of a grouped one (every FIR filter) runs one such convolution a channel, even where
the kernel needs no gradient. Here each derivative is a convolution, a transposed one or a kernel's gradient again, each of
them one operation; the numbers are the same. NVlabs/stylegan2-ada-pytorch@d72cc7d does so too (conv2d_gradfix).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

Grads = tuple[Tensor | None, Tensor | None, None]


class _How(NamedTuple):
    stride: tuple[int, int]
    padding: int
    groups: int
    size: tuple[int, int]
    """(H, W) of the input."""
    kernel: tuple[int, int]
    """(kh, kw)"""


def convolve(x: Tensor, weight: Tensor, stride: int | tuple[int, int] = 1, padding: int = 0, groups: int = 1) -> Tensor:
    """torch's conv2d without bias, under autocast too.

    Args:
        x: (B, C, H, W).
        weight: (C', C / groups, kh, kw).
        stride: px, in y and x.
        padding: zeros on each side, px.
        groups: of channels.

    Returns:
        (B, C', H', W').
    """
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):  # not for the meta device
        dtype = torch.get_autocast_dtype(kind)
        x, weight = x.to(dtype), weight.to(dtype)
    steps = (stride, stride) if isinstance(stride, int) else stride
    how = _How(steps, padding, groups, _plane(x), _plane(weight))
    return _apply(_Convolution, x, weight, how)


def _apply(operation: type[torch.autograd.Function], one: Tensor, other: Tensor, how: _How) -> Tensor:
    return cast(Tensor, cast(Any, operation).apply(one, other, how))


def _needed(ctx: Any, *gradients: tuple[type[torch.autograd.Function], Tensor, Tensor]) -> Grads:
    """Of the two tensors that an operation was given: the gradients that somebody asks for, each by an operation."""
    first, second = (
        _apply(*gradient, ctx.how) if needed else None
        for gradient, needed in zip(gradients, ctx.needs_input_grad, strict=False)
    )
    return first, second, None


class _Convolution(torch.autograd.Function):
    """The convolution itself. Each operation is given two of (input, weight, gradient of the output) and makes the third."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, how: _How) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = how
        return F.conv2d(x, weight, None, how.stride, how.padding, 1, how.groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Grads:
        (y,), (x, weight) = grads, ctx.saved_tensors
        return _needed(ctx, (_Transposed, y, weight), (_KernelGradient, y, x))


class _Transposed(torch.autograd.Function):
    """The gradient of the input."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor, how: _How) -> Tensor:
        ctx.save_for_backward(y, weight)
        ctx.how = how
        rest = [
            size - kernel - step * (n - 1) + 2 * how.padding
            for size, kernel, step, n in zip(how.size, how.kernel, how.stride, y.shape[2:], strict=True)
        ]
        return F.conv_transpose2d(y, weight, None, how.stride, how.padding, rest, how.groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Grads:
        (x,), (y, weight) = grads, ctx.saved_tensors
        return _needed(ctx, (_Convolution, x, weight), (_KernelGradient, y, x))


class _KernelGradient(torch.autograd.Function):
    """The gradient of the weight."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, how: _How) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.how = how
        weight = x.new_empty(()).expand(y.shape[1], x.shape[1] // how.groups, *how.kernel)
        padding, only_weight = (how.padding, how.padding), (False, True, False)
        given = (how.stride, padding, (1, 1), False, (0, 0), how.groups, only_weight)
        return cast(Tensor, torch.ops.aten.convolution_backward(y, x, weight, None, *given)[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Grads:
        (weight,), (y, x) = grads, ctx.saved_tensors
        return _needed(ctx, (_Convolution, x, weight), (_Transposed, y, weight))


def _plane(x: Tensor) -> tuple[int, int]:
    height, width = cast(Sequence[int], x.shape[2:])
    return height, width
