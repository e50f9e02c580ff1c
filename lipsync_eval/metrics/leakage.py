"""Leakage: does the mouth follow the new speech, or the old video? Measured by an experiment, never by a plain `score`.

A generator dubs every video with silence and with another clip's speech (`lipsync-eval compare --experiment leakage`). A
mouth that still moves, or still fits the old speech, was copied from the video.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from lipsync_eval.errors import InputError, UsageError
from lipsync_eval.metrics.base import Family, Meter, MetricSpec
from lipsync_eval.types import Float, Pair

OPEN_FROM: Final = 0.25
"""Mouth aspect ratio above which a mouth counts as open (KeySync)."""
_CORNERS: Final = (60, 64)
_PAIRS: Final = ((61, 67), (62, 66), (63, 65))
"""Inner lips of the 68 points: upper and lower."""
_LIP_LEAK: Final = MetricSpec(
    name="lip_leak", title="LipLeak", direction="down", unit="1", range=(0.0, 1.0), decimals=3,
    needs=frozenset({"gen.points", "experiment"}), pooling="clip-mean", group="opt-in", weights=(),
    summary=(
        "Share of frames of a dub made with silence in which the mouth is open: mean height of the inner lips (61-67, 62-66, 63-65) over their width "
        "(60-64) above 0.25. Frames without a face are left out."
    ),
    reads=(
        "0: the mouth stays shut without speech. The real value beside it is the undubbed video's own share: a generator that copies the old mouth reaches it. A mouth that "
        "hangs open without moving leaks nothing and still scores high. The paper does not say which lip points it takes: the inner ones are our choice."
    ),
    citation="Bigata et al.: KeySync: A Robust Approach for Leakage-free Lip Synchronization in High Resolution, 2025, arXiv:2505.00497",
    reference="ours", tolerance=1e-9, version=1, real="none",
)  # fmt: skip
_AUDIO: Final = "Yaman et al., 2025, arXiv:2511.08613"
SPECS: Final = (
    _LIP_LEAK,
    replace(
        _LIP_LEAK, name="lse_c_s", title="LSE-C silent", range=(0.0, float("inf")), weights=("syncnet",),
        needs=frozenset({"gen.points", "gen.audio", "gen.frames", "weights", "experiment"}), citation=_AUDIO,
        summary="LSE-C of a dub made with silence, scored against the speech that the video should have been dubbed with.",
        reads=(
            "High: the mouth fits speech that the generator never heard, so it was copied from the video. It says so only where the manifest dubs a video with "
            "its own speech. The real value is the real video's own LSE-C."
        ),
    ),
    replace(
        _LIP_LEAK, name="lse_d_s", title="LSE-D silent", direction="up", range=(0.0, float("inf")), weights=("syncnet",),
        needs=frozenset({"gen.points", "gen.audio", "gen.frames", "weights", "experiment"}), citation=_AUDIO,
        summary="LSE-D of a dub made with silence, scored against the speech that the video should have been dubbed with.",
        reads="Low: the mouth fits speech that the generator never heard. See lse_c_s.",
    ),
    replace(
        _LIP_LEAK, name="lsd", title="LSD", range=(0.0, float("inf")), weights=("syncnet",),
        needs=frozenset({"gen.points", "gen.audio", "gen.frames", "weights", "experiment"}), citation=_AUDIO,
        summary=(
            "Lip-sync discrepancy: (|C_AM - C_XM| + |D_AM - D_XM|) / 2, C and D being LSE-C and LSE-D of the dub with the manifest's speech (AM) and of the dub with "
            "another clip's speech (XM), each scored against the speech it was made with."
        ),
        reads="0: the generator follows any speech equally well. High: it is better with the speech that the video already shows. Equally bad is 0 as well: read LSE-C beside it.",
    ),
)  # fmt: skip
IDS: Final = tuple(spec.name for spec in SPECS)


class Leakage(Family):
    """lip_leak, lse_c_s, lse_d_s, lsd."""

    specs = SPECS

    def check(self) -> None:
        """Raise UsageError: one pair of videos cannot show leakage."""
        raise UsageError(
            f"{', '.join(sorted(self.metrics))}: measured by an experiment, which runs generators with silence and with other "
            "speech: lipsync-eval compare --experiment leakage (docs/leakage.md)"
        )

    def start(self, pair: Pair) -> Meter:
        """Never: see `check`."""
        self.check()
        raise UsageError("leakage is measured by an experiment")


def mouth_aspect_ratio(points: Float) -> Float:
    """Mean height of the inner lips over their width.

    Args:
        points: (T, 68, 2) px; NaN rows where there is no face.

    Returns:
        (T,) 0 for shut lips, NaN without a face.

    Raises:
        InputError: another shape.
    """
    if points.ndim != 3 or points.shape[1:] != (68, 2):
        raise InputError(f"mouth_aspect_ratio wants (T, 68, 2) landmarks, got {points.shape}")
    height = np.mean([np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in _PAIRS], axis=0)
    width = np.linalg.norm(points[:, _CORNERS[1]] - points[:, _CORNERS[0]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Float = np.where(width > 0, height / width, np.nan)
    return out


def lip_leak(points: Float) -> float:
    """Share of the frames with a face whose mouth aspect ratio is above 0.25: 0..1, lower is better; NaN without a face."""
    ratio = mouth_aspect_ratio(points)
    known = ratio[np.isfinite(ratio)]
    return float(np.mean(known > OPEN_FROM)) if len(known) else float("nan")


def lsd(c_am: float, d_am: float, c_xm: float, d_xm: float) -> float:
    """(|C_AM - C_XM| + |D_AM - D_XM|) / 2; 0 or more, lower is better."""
    return (abs(c_am - c_xm) + abs(d_am - d_xm)) / 2
