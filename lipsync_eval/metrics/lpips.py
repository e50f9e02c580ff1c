"""LPIPS on the crops of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.device import Precision, as_images, computing, laid_out, pick, to_device
from lipsync_eval.errors import InputError
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, mean_of
from lipsync_eval.metrics.helpers.frames import PairFrames, stacks
from lipsync_eval.networks import find, itemwise
from lipsync_eval.options import Option
from lipsync_eval.types import Pair, Settings

if TYPE_CHECKING:
    import torch

    from lipsync_eval.features.lpips import LPIPS
    from lipsync_eval.weights import WeightFile

NET: Final = Option(
    name="lpips_net",
    heading="LPIPS",
    help="The trunk network.",
    kind="choice",
    choices=("alex", "vgg", "squeeze"),
    default="alex",
    moves=True,
    key="",
    flag=True,
)

SPECS: Final = (
    MetricSpec(
        name="lpips",
        title="LPIPS",
        direction="down",
        unit="1",
        range=(0.0, float("inf")),
        decimals=4,
        needs=frozenset({"gen.crop", "gt.crop", "weights"}),
        pooling="clip-mean",
        group="weights",
        weights=("lpips-alex",),
        summary="LPIPS v0.1 with the AlexNet trunk (vgg or squeeze by --lpips-net), per frame on the protocol's crops, RGB in [-1, 1]; mean over frames.",
        reads=(
            "Distance in the features of an ImageNet network, weighted by human judgements of small distortions. It sees blur and texture that PSNR does not. "
            "It depends on the trunk and on the size of the crop, and says nothing about lip sync. Papers rarely name the trunk: compare signatures."
        ),
        citation="Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018, arXiv:1801.03924",
        reference="lpips==0.1.4",
        tolerance=1e-4,
        version=1,
        real="content",
    ),
)


def lpips(
    network: LPIPS, gen: NDArray[np.uint8], gt: NDArray[np.uint8], batch: int = 8, precision: Precision = "fp32"
) -> NDArray[np.float64]:
    """LPIPS of uint8 frames.

    Args:
        network: from features.lpips_weights.load.
        gen, gt: (N, H, W, 3) uint8 RGB.
        batch: frames a step; does not move a value beyond rounding.
        precision: number format of the convolutions.

    Returns:
        (N,) float64, lower is more alike, 0 for identical frames.

    Raises:
        InputError: wrong dtype or shape, or frames too small for the net.
    """
    from lipsync_eval.features.lpips import MIN_SIDE

    gen, gt, _ = stacks(gen, gt)
    side = MIN_SIDE[network.net]
    if min(gen.shape[1:3]) < side:
        raise InputError(
            f"LPIPS with {network.net} needs frames of at least {side} x {side} px, got {gen.shape[1]} x {gen.shape[2]}; use a protocol with larger crops"
        )
    out = np.empty(len(gen))
    device = network.shift.device
    with computing(device, precision):
        for i in range(0, len(gen), batch):
            a, b = (as_images(_scaled(to_device(x[i : i + batch], device)), precision) for x in (gen, gt))
            out[i : i + batch] = network(a, b, check=False).double().cpu().numpy()
    return out


def _scaled(frames: torch.Tensor) -> torch.Tensor:
    return frames.permute(0, 3, 1, 2).float() / 127.5 - 1


class Lpips(Family):
    """lpips over the crop pairs of a clip."""

    specs = SPECS
    options = (NET,)
    has_network = True

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.net = self.option(NET.name)
        self._notes: list[str] = []

    def _files(self) -> tuple[WeightFile, WeightFile]:
        from lipsync_eval.features.lpips_weights import find

        return find(self.settings, self.net)

    def check(self) -> None:
        """Both files are here."""
        self._files()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: net and version of the definition, hashes of trunk and linear layers."""
        trunk, linear = self._files()
        return {"feat": f"{trunk.signature}+{linear.sha256[:8]}"}

    def start(self, pair: Pair) -> LpipsMeter:
        """A meter for one pair.

        Raises:
            MetricError: the pair has no crops, or crops of two sizes.
        """
        return LpipsMeter(self.distances(), self._notes, pair)

    def distances(self) -> LpipsDistances:
        """The network on the run's device, arrays in and out."""
        trunk, linear = self._files()
        self._notes = [f.note for f in (trunk, linear) if f.note]
        how = self.settings.device, self.settings.precision
        return find(LpipsDistances, f"{__name__}:load_distances", self.net, trunk, linear, *how)

    def network(self) -> LPIPS:
        """The network itself, on the run's device in this process."""
        return self.distances().network


class LpipsDistances:
    """The network with its weights on one device: crop pairs in, distances out."""

    def __init__(self, network: LPIPS, precision: Precision = "fp32") -> None:
        self.network, self.precision = network, precision

    @itemwise
    def measure(self, gen: NDArray[np.uint8], gt: NDArray[np.uint8]) -> NDArray[np.float64]:
        """As `lpips`."""
        return lpips(self.network, gen, gt, 64 if self.network.shift.is_cuda else 8, self.precision)


def load_distances(
    net: str, trunk: WeightFile, linear: WeightFile, device: str, precision: Precision = "fp32"
) -> LpipsDistances:
    """The network of two files."""
    from lipsync_eval.features.lpips_weights import load

    return LpipsDistances(laid_out(load(net, trunk, linear), pick(device), precision), precision)


class LpipsMeter:
    """Keeps the distance of every frame of one clip."""

    looks_at = frozenset({"gen.crop", "gt.crop"})

    def __init__(self, network: LpipsDistances, notes: Sequence[str], pair: Pair) -> None:
        self.network, self.notes = network, notes
        self.kept = PairFrames(pair, ("lpips",))

    def update(self, batch: Batch) -> None:
        """Take the next frames."""
        if batch.both.any():
            self.kept.put(batch, "lpips", self.network.measure(batch.gen_crops, batch.gt_crops))

    def finish(self) -> Measurement:
        """The clip's numbers.

        Raises:
            MetricError: no frame has a crop in both videos.
        """
        found = self.kept.measurement()
        found.frames |= self.kept.frames
        found.values["lpips"] = mean_of(found.frames["lpips"])
        found.notes += self.notes
        return found
