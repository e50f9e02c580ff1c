"""Seeded weights files for LPIPS, Inception and ArcFace, and the golden folders."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden.seeded_weights import digest, fill
from golden.synthetic_inputs import distort, image
from numpy.typing import NDArray

GOLDEN = Path(__file__).parents[1] / "golden"


@cache
def golden(path: str) -> Mapping[str, NDArray[Any]]:
    """The arrays of one golden .npz, e.g. 'lpips/case1_alex_64'."""
    with np.load(GOLDEN / f"{path}.npz") as file:
        return {name: file[name] for name in file.files}


def filled(state: Mapping[str, torch.Tensor], seed: int, expected: str = "", **how: Any) -> dict[str, torch.Tensor]:
    """Seeded weights, checked against the digest that the golden file stores."""
    weights = fill(state, seed, **how)
    if expected and digest(weights) != expected:
        raise RuntimeError(
            f"the seeded weights are {digest(weights)}, the golden ones {expected}: a key or shape differs"
        )
    return weights


def linear(net: str) -> dict[str, torch.Tensor]:
    """The lpips project's linear layers of a net."""
    held = golden("lpips_linear/linear_v0.1")
    return {
        key.removeprefix(f"{net}."): torch.from_numpy(value) for key, value in held.items() if key.startswith(f"{net}.")
    }


def write_lpips(folder: Path, net: str = "alex") -> None:
    """Seeded trunk and true linear layers, under their published names."""
    from lipsync_eval.features.lpips import LPIPS
    from lipsync_eval.weights import get_row

    row = get_row(f"lpips-{net}")
    trunk = {k: v for k, v in LPIPS(net).state_dict().items() if k.startswith("features.")}
    classifier = {"classifier.1.weight": torch.zeros(3, 2)}
    torch.save(filled(trunk, 1) | classifier, folder / row.part("main").file)
    torch.save(linear(net), folder / row.part("lin").file)


def write_inception(folder: Path) -> None:
    """Seeded Inception under its published name."""
    from lipsync_eval.features.inception import Inception
    from lipsync_eval.weights import get_row

    head = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(filled(Inception().state_dict(), 2) | head, folder / get_row("inception-fid").part("main").file)


@cache
def _r18() -> dict[str, torch.Tensor]:
    from lipsync_eval.features.iresnet import IResNet

    return filled(IResNet("iresnet18").state_dict(), 3, scale=[(r"^conv1\.weight$", 12)])


def write_r18(path: Path) -> Path:
    """A seeded ArcFace iresnet18 checkpoint."""
    torch.save(_r18(), path)
    return path


def distorted(
    kind: str, seeds: NDArray[np.int64], size: NDArray[np.int64], kinds: NDArray[np.str_]
) -> NDArray[np.uint8]:
    """The golden input stack: 'a' the frames, 'b' their distorted copies."""
    a = [image(int(s), *map(int, size)) for s in seeds]
    return np.stack(a if kind == "a" else [distort(x, str(k), int(s)) for x, k, s in zip(a, kinds, seeds, strict=True)])
