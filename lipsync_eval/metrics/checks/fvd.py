"""What `weights verify` does for the networks of FVD: nobody published an answer, so the file must fit and see blur."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from lipsync_eval.errors import WeightsError
from lipsync_eval.metrics.checks.networks import _blurred, _photograph
from lipsync_eval.settings import Settings


def check_fvd(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """The file fits the network, and features move more with more blur."""
    from lipsync_eval.metrics.fvd.family import Fvd
    from lipsync_eval.metrics.fvd.readings import READINGS

    metric = next(m for m, reading in READINGS.items() if reading.row == name)
    family = Fvd(replace(settings, options={}), frozenset({metric}))
    found = [family.embed([_blurred(_photograph(), s)] * 16, metric).astype(np.float64) for s in (0.0, 1.0, 4.0)]
    near, far = (float(np.linalg.norm(found[k] - found[0])) for k in (1, 2))
    if not np.isfinite(found).all() or not 0 < near < far:
        raise WeightsError(
            f"{name}: features should be finite and move more with more blur; they move by {near:.3g} and {far:.3g}. Fetch the file again"
        )
    return [
        f"{name}: fits the network; {len(found[0])} features; blur of 1 and 4 px moves them by {near:.2f} and {far:.2f}"
    ]
