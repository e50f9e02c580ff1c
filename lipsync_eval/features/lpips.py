"""LPIPS v0.1: a distance between images in the features of an ImageNet network, as a differentiable torch module.

Source: Zhang et al., CVPR 2018 (arXiv:1801.03924); richzhang/PerceptualSimilarity@082bb24 (version 0.1, with linear layers).
The trunks read torchvision's state dicts by their own key names; torchvision itself is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, get_args

import torch
from torch import Tensor, nn

from lipsync_eval.errors import InputError, UsageError

Net = Literal["alex", "vgg", "squeeze"]
NETS: Final[tuple[str, ...]] = get_args(Net)

TAPS: Final[Mapping[str, tuple[int, ...]]] = {
    "alex": (1, 4, 7, 9, 11),
    "vgg": (3, 8, 15, 22, 29),
    "squeeze": (1, 4, 7, 9, 10, 11, 12),
}
"""Indices in torchvision's `features` after which a tap is taken."""
CHANNELS: Final[Mapping[str, tuple[int, ...]]] = {
    "alex": (64, 192, 384, 256, 256),
    "vgg": (64, 128, 256, 512, 512),
    "squeeze": (64, 128, 256, 384, 384, 512, 512),
}
MIN_SIDE: Final[Mapping[str, int]] = {"alex": 31, "vgg": 16, "squeeze": 17}
"""Smallest image side in px of which every tap still has a pixel."""
_SHIFT: Final = (-0.030, -0.088, -0.188)
_SCALE: Final = (0.458, 0.448, 0.450)


class _Fire(nn.Module):
    """SqueezeNet 1.1's block: 1x1 squeeze, then 1x1 and 3x3 side by side."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def _alex() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    ]  # fmt: skip


def _vgg() -> list[nn.Module]:
    layers: list[nn.Module] = []
    inputs = 3
    for stage, (width, repeats) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if stage:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(repeats):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return layers


def _squeeze() -> list[nn.Module]:
    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return [
        nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), pool(),
        _Fire(64, 16, 64), _Fire(128, 16, 64), pool(),
        _Fire(128, 32, 128), _Fire(256, 32, 128), pool(),
        _Fire(256, 48, 192), _Fire(384, 48, 192), _Fire(384, 64, 256), _Fire(512, 64, 256),
    ]  # fmt: skip


class LPIPS(nn.Module):
    """LPIPS v0.1 with its trunk; weights are random until `fit`.

    Args:
        net: 'alex' (the default of the field), 'vgg' (VGG16) or 'squeeze' (SqueezeNet 1.1).

    Raises:
        UsageError: another net.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: str = "alex") -> None:
        super().__init__()
        if net not in NETS:
            raise UsageError(f"LPIPS has no net {net!r}; choose out of: {', '.join(NETS)}")
        self.net = net
        self.features = nn.Sequential(*{"alex": _alex, "vgg": _vgg, "squeeze": _squeeze}[net]())
        self.lins = nn.ParameterList(nn.Parameter(torch.full((1, c, 1, 1), 1.0 / c)) for c in CHANNELS[net])
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def forward(self, a: Tensor, b: Tensor, *, check: bool = True) -> Tensor:
        """Distances, lower is more alike; differentiable in both images.

        Args:
            a, b: (N, 3, H, W) float, RGB in [-1, 1].
            check: look at dtype and range first (one read of all pixels); False inside a training loop.

        Returns:
            (N,) float.

        Raises:
            InputError: wrong shape, dtype, range or size; the message says how to convert.
        """
        return self.per_layer(a, b, check=check).sum(1)

    def per_layer(self, a: Tensor, b: Tensor, *, check: bool = True) -> Tensor:
        """(N, taps) what each tap contributes to `forward`; same arguments and errors."""
        check_shapes(a, b, MIN_SIDE[self.net])
        if check:
            check_range(a, b)
        parts = [_distance(fa, fb, lin) for (fa, fb), lin in zip(self._taps(a, b), self.lins, strict=True)]
        return torch.stack(parts, 1)

    def _taps(self, a: Tensor, b: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The features of both images after each tap, one tap at a time."""
        taps = TAPS[self.net]
        a, b = (a - self.shift) / self.scale, (b - self.shift) / self.scale
        for index, layer in enumerate(self.features):
            a, b = layer(a), layer(b)
            if index in taps:
                yield a, b


def _distance(a: Tensor, b: Tensor, lin: Tensor) -> Tensor:
    """(N,) weighted squared difference of unit-length feature vectors, mean over pixels."""
    if a.dtype == torch.bfloat16:  # autocast: sums stay float32
        a, b = a.float(), b.float()
    # vector_norm, unlike sqrt(sum), has a gradient (0) where all channels are 0
    a = a / (torch.linalg.vector_norm(a, dim=1, keepdim=True) + 1e-10)
    b = b / (torch.linalg.vector_norm(b, dim=1, keepdim=True) + 1e-10)
    return nn.functional.conv2d((a - b).square(), lin).mean((1, 2, 3))


def check_shapes(a: Tensor, b: Tensor, min_side: int) -> None:
    """Raise InputError unless both are (N, 3, H, W) of one shape, float, and large enough."""
    for name, x in (("first", a), ("second", b)):
        if x.ndim != 4 or x.shape[1] != 3:
            hint = "; move the channels: x.permute(0, 3, 1, 2)" if x.ndim == 4 and x.shape[-1] == 3 else ""
            raise InputError(f"LPIPS takes (N, 3, H, W) RGB; the {name} input is {tuple(x.shape)}{hint}")
        if not x.is_floating_point():
            raise InputError(
                f"LPIPS takes float RGB in [-1, 1]; the {name} input is {x.dtype}: convert with x.float() / 127.5 - 1"
            )
        if min(x.shape[2:]) < min_side:
            raise InputError(
                f"this LPIPS net needs frames of at least {min_side} x {min_side} px; the {name} input is {tuple(x.shape[2:])}"
            )
    if a.shape != b.shape:
        raise InputError(
            f"LPIPS compares frames of one size; got {tuple(a.shape)} and {tuple(b.shape)}: resize or crop both alike first"
        )


def check_range(a: Tensor, b: Tensor) -> None:
    """Raise InputError where the values cannot be RGB in [-1, 1], or look like [0, 1]."""
    if not a.numel():
        return
    lows, highs = zip(*((float(x.min()), float(x.max())) for x in (a.detach(), b.detach())), strict=True)
    low, high = min(lows), max(highs)
    if not (bool(torch.isfinite(a).all()) and bool(torch.isfinite(b).all())):
        raise InputError("LPIPS got NaN or infinite pixels; look at what made them")
    if high > 1.001 or low < -1.001:
        hint = "x / 127.5 - 1" if high > 2 else "clamp to [-1, 1]"
        raise InputError(f"LPIPS takes RGB in [-1, 1]; got values from {low:.3g} to {high:.3g}: convert ({hint})")
    if low >= 0 and high > 0:
        raise InputError(
            f"LPIPS takes RGB in [-1, 1]; got values from {low:.3g} to {high:.3g}, which looks like [0, 1] and would give too low a distance: "
            "convert with 2 * x - 1 (or pass check=False when truly no pixel is darker than mid grey)"
        )


def state(net: str, trunk: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's trunk and the lpips project's linear file -> the state dict of `LPIPS(net)`.

    Args:
        trunk: keys `features.N.weight`...; the classifier is ignored.
        linear: keys `linK.model.1.weight`, each (1, C, 1, 1).
    """
    found = {key: value for key, value in trunk.items() if key.startswith("features.")}
    for key, value in linear.items():
        name, _, rest = key.partition(".")
        if name.startswith("lin") and name[3:].isdigit() and rest == "model.1.weight":
            found[f"lins.{name[3:]}"] = value
        else:
            found[key] = value  # the strict fit will name it
    return found
