"""What `weights verify` does for the fitted models of NIQE and BRISQUE, on the photograph that scikit-image ships."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import WeightsError
from lipsync_eval.metrics.checks.networks import _blurred, _photograph
from lipsync_eval.settings import Settings
from lipsync_eval.weights import locate

TOLERANCE: Final = 0.01
NIQE_KNOWN: Final = {"niqe-live": 5.118, "niqe-skvideo": 29.926}
"""Row -> NIQE of that photograph, by the variant that the row belongs to."""


def check_niqe(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """Blur and noise make the photograph less natural."""
    from lipsync_eval.metrics.quality.models import load_niqe
    from lipsync_eval.metrics.quality.niqe_score import niqe

    variant = "skvideo" if name == "niqe-skvideo" else "pyiqa"
    model = load_niqe(locate(settings, name).path)
    values = [niqe(p, model, variant) for p in (_photograph(), _blurred(_photograph(), 2.0), _noised(_photograph()))]  # type: ignore[arg-type]
    if not values[0] < min(values[1:]):
        raise WeightsError(
            f"{name}: a photograph, blurred and noised, should score lowest as it is, and scores {np.round(values, 2).tolist()}; fetch the file again"
        )
    said = f"{name}: mean of 36 and covariance of 36 x 36; a photograph scores {values[0]:.3f}, blurred {values[1]:.3f}, noised {values[2]:.3f}"
    known = NIQE_KNOWN[name]
    if abs(values[0] - known) > TOLERANCE:
        raise WeightsError(f"{said}; the known answer is {known}. Fetch the file again")
    return [f"{said}, known answer {known}"]


def check_brisque(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """Blur and noise make the photograph worse."""
    from lipsync_eval.metrics.quality.brisque import Brisque

    variant = "pypi" if name == "brisque-pypi" else "pyiqa"
    options = {**settings.options, "brisque_variant": variant}
    score = Brisque(replace(settings, options=options), frozenset({"brisque"})).scorer()
    values = [score(p) for p in (_photograph(), _blurred(_photograph(), 2.0), _noised(_photograph()))]
    if not values[0] < min(values[1:]):
        raise WeightsError(
            f"{name}: a photograph, blurred and noised, should score lowest as it is, and scores {np.round(values, 2).tolist()}; fetch the file again"
        )
    return [f"{name}: a photograph scores {values[0]:.2f}, blurred {values[1]:.2f}, noised {values[2]:.2f}"]


def _noised(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 25, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
