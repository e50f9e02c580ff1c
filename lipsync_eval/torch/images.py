"""Frames against frames: PSNR, SSIM, MS-SSIM, LPIPS, FID.

`score` takes the mean of a clip first, then over clips; here the mean is over all frames. Both agree where clips have one
length.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lipsync_eval.errors import InputError
from lipsync_eval.metrics.fid import Fid
from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance
from lipsync_eval.metrics.lpips import Lpips
from lipsync_eval.metrics.lpips import lpips as lpips_distances
from lipsync_eval.metrics.psnr import psnr
from lipsync_eval.metrics.ssim import ms_ssim, ssim
from lipsync_eval.torch.mean import MeanMetric, frames
from lipsync_eval.types import Settings


class _Frames(MeanMetric):
    """A function of two stacks of frames."""

    function: ClassVar[Any]

    def update(self, gen: Tensor, gt: Tensor) -> None:
        """Take frames: gen and gt (N, 3, H, W), uint8 or float in [0, 1], RGB.

        Raises:
            InputError: wrong shape, dtype or range, or shapes that differ.
        """
        self.add(type(self).function(frames("gen", gen), frames("gt", gt)))


class PSNR(_Frames):
    """Mean over frames of the PSNR in dB (float64 over uint8 RGB, 100 where equal): `lipsync_eval.psnr`."""

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 100.0
    function = staticmethod(psnr)


class SSIM(_Frames):
    """Mean over frames of SSIM (Wang et al. 2004): `lipsync_eval.ssim`."""

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0
    function = staticmethod(ssim)


class MSSSIM(_Frames):
    """Mean over frames of MS-SSIM (Wang et al. 2003): `lipsync_eval.ms_ssim`."""

    higher_is_better = True
    plot_lower_bound, plot_upper_bound = 0.0, 1.0
    function = staticmethod(ms_ssim)


class _Network(MeanMetric):
    """A metric with a network, which is loaded at the first update and left behind when the metric is copied."""

    _family: Any

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_family": None}


class LPIPS(_Network):
    """Mean over frames of LPIPS v0.1 (Zhang et al. 2018): `lipsync_eval.lpips`; the weights must be here."""

    higher_is_better = False
    plot_lower_bound, plot_upper_bound = 0.0, 1.0

    def __init__(
        self, net: Literal["alex", "vgg", "squeeze"] = "alex", settings: Settings | None = None, **how: Any
    ) -> None:
        """An empty mean; `net` is the trunk, the field's default is alex."""
        super().__init__(settings, **how)
        self.settings = replace(self.settings, options={**self.settings.options, "lpips_net": net})
        self._family = None

    def update(self, gen: Tensor, gt: Tensor) -> None:
        """Take frames: gen and gt (N, 3, H, W), uint8 or float in [0, 1], RGB.

        Raises:
            InputError: wrong shape, dtype or range, or too small for the net.
            MissingWeights: the weights are not on this machine.
        """
        a, b = frames("gen", gen), frames("gt", gt)
        if a.shape != b.shape:
            raise InputError(f"gen and gt must have one shape, got {tuple(gen.shape)} and {tuple(gt.shape)}")
        self._family = self._family or Lpips(self.on(gen), frozenset({"lpips"}))
        self.add(lpips_distances(self._family.network(), a, b, precision=self._family.settings.precision))


class FID(_Network):
    """Frechet Inception distance (Heusel et al. 2017): `lipsync_eval.fid`; the Inception weights must be here.

    Below 2048 frames a side the value is biased upwards. `clean=True` resizes as clean-fid does.
    """

    higher_is_better = False
    plot_lower_bound = 0.0
    n: Tensor
    sums: Tensor
    products: Tensor

    def __init__(self, clean: bool = False, settings: Settings | None = None, **how: Any) -> None:
        """Empty sums; `products` takes 64 MB."""
        super().__init__(settings, **how)
        self.metric = "fid_clean" if clean else "fid"
        self.add_state("n", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(2, 2048, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("products", torch.zeros(2, 2048, 2048, dtype=torch.float64), dist_reduce_fx="sum")
        self._family = None

    def update(self, images: Tensor, real: bool) -> None:
        """Take frames (N, 3, H, W), uint8 or float in [0, 1], RGB, of the real side or of the generated one.

        Raises:
            InputError: wrong shape, dtype or range.
            MissingWeights: the Inception weights are not on this machine.
        """
        self._family = self._family or Fid(self.on(images), frozenset({self.metric}))
        found = self._family.embed(frames("images", images), self.metric)
        x = torch.as_tensor(found, dtype=torch.float64, device=self.sums.device)
        self.n[int(real)] += len(x)
        self.sums[int(real)] += x.sum(0)
        self.products[int(real)] += x.T @ x

    def compute(self) -> Tensor:
        """() float64.

        Raises:
            InputError: fewer than two frames on a side.
        """
        if int(self.n.min()) < 2:
            raise InputError(f"FID needs at least 2 frames on each side; there are {self.n.tolist()} (generated, real)")
        sides = []
        for n, total, products in zip(self.n.tolist(), self.sums.cpu().numpy(), self.products.cpu().numpy()):
            mean = total / n
            sides.append(Moments(n, mean, products - n * mean[:, None] * mean[None, :]))
        a, b = sides
        value = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
        return torch.tensor(max(value, 0.0), dtype=torch.float64, device=self.sums.device)
