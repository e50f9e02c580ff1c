"""`lip_expert_cosine`, `lip_expert_loss`: what Wav2Lip's lip expert says of a video (figures 1 a, b and 5 a, b of Yaman et al. 2024).

Found by name from the metrics' registry. torch and the networks are imported when a run measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.sync.scoring import Placed, WindowMeter, WindowScorer
from lipsync_eval.cache import Cache
from lipsync_eval.errors import MetricError
from lipsync_eval.metrics.base import Family, MetricSpec
from lipsync_eval.options import Option
from lipsync_eval.types import Float, Pair, Settings, Side
from lipsync_eval.warp import compose, render

if TYPE_CHECKING:
    from lipsync_eval.baselines.avhubert_expert.network.lip_expert import LipExpert
    from lipsync_eval.weights import WeightFile

ROW: Final = "lip-expert"
CROP: Final = Option(
    name="lip_expert_crop",
    heading="lip_expert",
    help="box: Wav2Lip's box of own landmarks; protocol: the run's crop.",
    kind="choice",
    choices=("box", "protocol"),
    default="box",
    moves=True,
    flag=True,
)
FACE: Final = 96
"""px of the whole face, of which the lower half is seen."""
SPAN: Final = 5

_COSINE: Final = MetricSpec(
    name="lip_expert_cosine",
    title="Lip expert cosine",
    direction="up",
    unit="1",
    range=(0.0, 1.0),
    decimals=3,
    needs=frozenset({"gen.points", "gen.frames", "gen.audio", "weights"}),
    pooling="clip-mean",
    group="weights",
    weights=(ROW,),
    summary=(
        "Mean cosine of Wav2Lip's lip expert between the lower half faces of five consecutive frames and the 0.2 s of audio over them, over "
        "all windows of the clip. 96 px faces cut by Wav2Lip's box of the video's own landmarks, unless --lip-expert-crop protocol."
    ),
    reads=(
        "1: seen and heard agree. It varies much from window to window on real videos (frames.npz keeps each) and falls when the face is "
        "shifted; a generator that was trained against it is flattered. Read it beside the real video's own value."
    ),
    citation=(
        "Prajwal et al.: A Lip Sync Expert Is All You Need for Speech to Lip Generation In The Wild, ACM MM 2020; as analysed in Yaman et al., "
        "CVPR Workshops 2024, arXiv:2405.04327, figures 1 and 5"
    ),
    reference="ours",
    tolerance=0.0,
    version=1,
    real="none",
)
SPECS: Final = (
    _COSINE,
    replace(
        _COSINE,
        name="lip_expert_loss",
        title="Lip expert loss",
        direction="down",
        range=(0.0, float("inf")),
        summary="Wav2Lip's lip-sync loss: -log of the lip expert's cosine (binary cross entropy with 1), mean over the clip's windows.",
        reads="0: seen and heard agree in every window. One bad window weighs more than in lip_expert_cosine.",
    ),
)


class LipExpertScores(Family):
    """Both metrics, of the generated video and, beside it, of the real one."""

    specs = SPECS
    options = (CROP,)
    has_network = True

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.own = self.option(CROP.name) == "box"
        self._network: LipExpert | None = None

    def needs(self, metric: str) -> frozenset[str]:
        """Landmarks for the box, else the crops of the protocol."""
        needs = super().needs(metric)
        return needs if self.own else needs - {"gen.points"} | {"gen.crop"}

    def check(self) -> None:
        """The file is read here, so that a refused one ends the run before any work."""
        self.network()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the lip expert's file."""
        return {"feat": self._file().signature}

    def start(self, pair: Pair) -> WindowMeter:
        """A meter for one pair.

        Raises:
            MetricError: no audio, or no face or crop in the generated video.
        """
        from lipsync_eval.baselines.avhubert_expert.data.inputs import EndingMel

        scorer = WindowScorer(
            name="lip_expert",
            network=self.network(),
            span=SPAN,
            audio=EndingMel(0),
            heard=0,  # a window's audio begins with its first frame
            lowest=0.0,
            place=_boxes if self.own else _protocol,
            key={"weights": self._file().sha256, "crop": self.option(CROP.name)} | self.number_format,
            precision=self.settings.precision,
            cache=Cache(self.settings.cache_dir),
        )
        curves = {metric: _loss if metric == "lip_expert_loss" else np.asarray for metric in sorted(self.metrics)}
        return WindowMeter(scorer, pair, curves, self.notes())

    def network(self) -> LipExpert:
        """The network on the run's device.

        Raises:
            MissingWeights: the file is not here.
            RefusedCheckpoint: it is another network.
        """
        if self._network is None:
            from lipsync_eval.baselines.avhubert_expert.config import ExpertConfig
            from lipsync_eval.baselines.avhubert_expert.training.lip_expert import from_tensors, public_tensors
            from lipsync_eval.device import pick

            path = self._file().path
            net = from_tensors(public_tensors(path), ExpertConfig(), path.name)
            self._network = net.to(pick(self.settings.device))
        return self._network

    def notes(self) -> list[str]:
        """What is to be known about the file."""
        return [note] if (note := self._file().note) else []

    def _file(self) -> WeightFile:
        from lipsync_eval.weights import locate

        return locate(self.settings, ROW)


def _loss(cosines: Float) -> Float:
    """Binary cross entropy with 1; the cosine is held inside (0, 1) as in training."""
    out: Float = -np.log(np.clip(cosines, 1e-7, 1 - 1e-7))
    return out


def _boxes(side: Side, n_frames: int) -> Placed:
    """Wav2Lip's box of the video's own landmarks."""
    from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT
    from lipsync_eval.baselines.kit.data.alignment import track_matrices

    if side.track is None:
        raise MetricError("no face was found")
    return _faces(track_matrices(ALIGNMENT, side.track.points[:n_frames], side.track.valid[:n_frames], FACE))


def _protocol(side: Side, n_frames: int) -> Placed:
    """The run's crop, at 96 px."""
    if side.crop is None:
        raise MetricError("the protocol of this run found no crop")
    factor = FACE / np.array(side.crop.size[::-1], np.float64)  # along x, along y
    smaller = np.column_stack([np.diag(factor), (factor - 1) / 2])
    matrix: Float = compose(smaller, side.crop.matrix[:n_frames])
    matrix[~side.crop.valid[:n_frames]] = np.nan
    return _faces(matrix)


def _faces(matrix: Float) -> Placed:
    """Crops of 96 px by their (n_frames, 2, 3) maps, NaN where there is none."""
    there: NDArray[np.bool_] = np.asarray(np.isfinite(matrix).all((1, 2)), np.bool_)
    return there, lambda i, frame: render(frame, matrix[i], (FACE, FACE))
