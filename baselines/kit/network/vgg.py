"""VGG features for the perceptual loss: a plain VGG16 or VGG19 that reads torchvision's state dicts.

Source: Simonyan and Zisserman (ICLR 2015). Features are taken after the first or second ReLU of each of the five stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lipsync_eval.errors import RefusedCheckpoint

STAGES: dict[str, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet statistics of RGB in [0, 1], with which torchvision's weights were trained."""


class VGGFeatures(nn.Module):
    """relu1_N, relu2_N ... relu5_N, N = `relu` (1 or 2). Keys are torchvision's `features.M.weight`, `features.M.bias`."""

    mean: Tensor
    std: Tensor

    def __init__(self, kind: str, relu: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        taps = []
        channels = 3
        for count, width in zip(STAGES[kind], WIDTHS, strict=True):
            if layers:
                layers.append(nn.MaxPool2d(2, 2))
            for number in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
                if number == relu - 1:
                    taps.append(len(layers) - 1)
        self.features = nn.Sequential(*layers)
        self.taps = tuple(taps)
        self.register_buffer("mean", torch.tensor(MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).reshape(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in [-1, 1] -> five maps; the deepest is (B, 512, H/16, W/16)."""
        x = ((image.float() + 1) / 2 - self.mean) / self.std
        found = []
        for number, layer in enumerate(self.features):
            if number > self.taps[-1]:
                break
            x = layer(x)
            if number in self.taps:
                found.append(x)
        return found


def from_tensors(tensors: Mapping[str, Tensor], source: str, relu: int = 1) -> VGGFeatures:
    """A frozen VGG from a torchvision state dict; VGG16 and VGG19 are told apart by their keys, the classifier is unused.

    Raises:
        RefusedCheckpoint: neither of the two, or a tensor of another shape.
    """
    given = {key: value for key, value in tensors.items() if key.startswith("features.")}
    for kind in STAGES:
        net = VGGFeatures(kind, relu)
        if set(net.state_dict()) == set(given):
            try:
                net.load_state_dict({key: value.float() for key, value in given.items()})
            except RuntimeError as error:
                raise RefusedCheckpoint(f"{source}: a tensor does not fit {kind}: {error}") from error
            return net.eval().requires_grad_(False)
    raise RefusedCheckpoint(
        f"{source}: expected the keys features.N.weight and .bias of torchvision's vgg16 or vgg19 (without batch norm), "
        f"got {len(given)} keys under 'features.'; download one of those two state dicts"
    )


def load(path: Path, relu: int = 1) -> VGGFeatures:
    """Read a state dict through the safe loader; see `from_tensors`.

    Raises:
        RefusedCheckpoint: the file is not a state dict of VGG16 or VGG19.
    """
    from lipsync_eval.weights import load_tensors

    return from_tensors(load_tensors(path), path.name, relu)
