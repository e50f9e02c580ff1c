"""Lip sync of crops and audio: SyncNet's LSE and AV-HuBERT's AVS; one clip an update, the mean over clips."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from lipsync_eval.api.sync import avs, lse
from lipsync_eval.errors import InputError
from lipsync_eval.torch.mean import MeanMetric, frames, grey
from lipsync_eval.types import Settings


class LSE(MeanMetric):
    """LSE-C, LSE-D or the offset of SyncNet (Chung and Zisserman 2016): `lipsync_eval.lse`; the weights must be here."""

    def __init__(self, which: Literal["c", "d", "offset"] = "c", settings: Settings | None = None, **how: Any) -> None:
        """An empty mean of 'c' confidence (higher is better), 'd' distance (lower), or 'offset' in frames (0 is best)."""
        super().__init__(settings, **how)
        if which not in ("c", "d", "offset"):
            raise InputError(f"which={which!r}: expected 'c', 'd' or 'offset'")
        self.which = which

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]  # depends on `which`
        """True for 'c', False for 'd', None for 'offset'."""
        return {"c": True, "d": False}.get(self.which)

    @property
    def plot_lower_bound(self) -> float | None:  # type: ignore[override]  # depends on `which`
        """0, or None for 'offset'."""
        return None if self.which == "offset" else 0.0

    def update(self, crops: Tensor, audio: Tensor) -> None:
        """Take one clip.

        Args:
            crops: (T, 3, 224, 224) at 25 fps, uint8 or float in [0, 1], RGB, T >= 6; protocol `syncnet` cuts them.
            audio: (N,) mono at 16 kHz, int16 or float in [-1, 1]; sample 0 sounds with the first crop.

        Raises:
            InputError: wrong shape, dtype or range.
            MetricError: too short, or silent.
            MissingWeights: SyncNet's weights are not on this machine.
        """
        found = lse(frames("crops", crops), audio.detach().cpu().numpy(), settings=self.on(crops))
        self.add({"c": found.lse_c, "d": found.lse_d, "offset": float(found.av_offset)}[self.which])


class AVS(MeanMetric):
    """AVS_u, AVS_m or AVS_v (Yaman et al. 2024): `lipsync_eval.avs`; an AV-HuBERT checkpoint must be here."""

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = -1.0, 1.0

    def __init__(self, which: Literal["u", "m", "v"] = "u", settings: Settings | None = None, **how: Any) -> None:
        """An empty mean of 'u' (video against audio), 'm' (both against the real video with audio) or 'v' (videos)."""
        super().__init__(settings, **how)
        if which not in ("u", "m", "v"):
            raise InputError(f"which={which!r}: expected 'u', 'm' or 'v'")
        self.which = which

    def update(self, gen: Tensor, gt: Tensor | None = None, audio: Tensor | None = None) -> None:
        """Take one clip.

        Args:
            gen: (T, 96, 96) or (T, 1, 96, 96) grey mouth crops at 25 fps, uint8 or float in [0, 1].
            gt: the same of the real video; for 'm' and 'v'.
            audio: (N,) mono at 16 kHz, int16 or float in [-1, 1]; for 'u' and 'm'.

        Raises:
            InputError: wrong shape, dtype or range, or an input that `which` needs is missing.
            MissingWeights: no AV-HuBERT checkpoint is on this machine.
        """
        if self.which in "mv" and gt is None:
            raise InputError(f"AVS_{self.which} needs the real mouth crops, gt")
        if self.which in "um" and audio is None:
            raise InputError(f"AVS_{self.which} needs the audio")
        found = avs(
            grey("gen", gen),
            None if gt is None or self.which == "u" else grey("gt", gt),
            None if audio is None or self.which == "v" else audio.detach().cpu().numpy(),
            settings=self.on(gen),
        )
        value = {"u": found.avs_u, "m": found.avs_m, "v": found.avs_v}[self.which]
        if value is not None:  # each input that it needs was given
            self.add(value)
