"""`lip_expert_cosine`, `lip_expert_loss`: what Wav2Lip's lip expert says of a video (figures 1 a, b and 5 a, b of Yaman et al. 2024).

Found by name from the metrics' registry. torch and the networks are imported when a run measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import ClipError, MetricError
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, mean_of
from lipsync_eval.options import Option
from lipsync_eval.types import FPS, RATE, Float, Frame, Pair, Settings, Side
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
TOGETHER: Final = 8
"""Windows that pass through the network at once; always the same ones, however the frames come."""
SILENT: Final = -60.0
"""dBFS of a frame's audio; where no frame is louder, nothing is scored (as SyncNet's metrics)."""

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

    def start(self, pair: Pair) -> LipExpertMeter:
        """A meter for one pair.

        Raises:
            MetricError: no audio, or no face or crop in the generated video.
        """
        return LipExpertMeter(self, pair)

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


class LipExpertMeter:
    """Follows both videos of one pair."""

    def __init__(self, family: LipExpertScores, pair: Pair) -> None:
        self.family, self.pair = family, pair
        self.gen = _Windows(family, pair.gen, pair.n_frames)
        self.gt: _Windows | None = None
        self.lost = ""
        try:
            if pair.gt is not None:
                self.gt = _Windows(family, pair.gt, pair.gt_frames)
        except ClipError as error:
            self.lost = str(error)

    def update(self, batch: Batch) -> None:
        """Take the next frames of both videos."""
        self.gen.take(batch.start, batch.gen)
        if self.gt is not None:
            self.gt.take(batch.start, batch.gt)

    def finish(self) -> Measurement:
        """The clip's means over windows; a window counts for its middle frame.

        Raises:
            MetricError: not one window of the generated video has faces and audio.
        """
        cosines = self.gen.finish()
        if mean_of(cosines) is None:
            raise MetricError(
                f"not one run of {SPAN} frames with face and audio among the {self.pair.n_frames} frames of the generated video"
            )
        found = Measurement(notes=self.family.notes())
        real = None if self.gt is None else self.gt.finish()
        for metric in sorted(self.family.metrics):
            convert = _loss if metric == "lip_expert_loss" else np.asarray
            found.frames[metric] = convert(cosines)
            found.values[metric] = mean_of(found.frames[metric])
            if real is not None and (own := mean_of(convert(real))) is not None:
                found.gt_values[metric] = own
        found.details["lip_expert_windows"] = int(np.isfinite(cosines).sum())
        if gone := self.gen.lost:
            found.details["lip_expert_frames_left_out"] = gone
            found.notes.append(
                f"lip_expert: {gone} of {self.pair.n_frames} generated frames have no face or no audio and are left out"
            )
        if not found.gt_values and self.pair.gt is not None:
            found.notes.append(f"lip_expert: the real video has no score of its own: {self.lost or 'no whole window'}")
        return found


def _loss(cosines: Float) -> Float:
    """Binary cross entropy with 1; the cosine is held inside (0, 1) as in training."""
    out: Float = -np.log(np.clip(cosines, 1e-7, 1 - 1e-7))
    return out


class _Windows:
    """One video's windows of consecutive frames with faces and audio, scored as they fill up."""

    def __init__(self, family: LipExpertScores, side: Side, n_frames: int) -> None:
        """
        Raises:
            MetricError: no audio, silence, no track or no crop.
        """
        from lipsync_eval.baselines.avhubert_expert.data.inputs import EndingMel
        from lipsync_eval.features.mfcc import loudness

        audio = side.heard()
        if loudness(audio.int16(), n_frames).max(initial=-np.inf) < SILENT:
            raise MetricError(
                f"the audio is silent (nowhere above {SILENT:g} dBFS): there is nothing to be in sync with"
            )
        self.network, self.feature = family.network(), EndingMel(0)
        self.mel = self.feature.whole(audio.samples)
        self.matrix = _boxes(side, n_frames) if family.own else _protocol(side, n_frames)
        heard = min(n_frames, -(-len(audio.samples) * FPS // RATE))  # frames over which there is audio
        self.good: NDArray[np.bool_] = np.isfinite(self.matrix).all((1, 2)) & (np.arange(n_frames) < heard)
        self.lost = n_frames - int(self.good.sum())
        self.curve = np.full(n_frames, np.nan)
        self.run: list[Frame] = []
        """The last faces of the present run, at most SPAN."""
        self.waiting: list[tuple[int, NDArray[np.uint8]]] = []
        """First frame and faces of windows to be scored."""

    def take(self, start: int, frames: Sequence[Frame]) -> None:
        """The next frames."""
        for i, frame in enumerate(frames, start):
            if not self.good[i]:
                self.run = []
                continue
            self.run = [*self.run[1 - SPAN :], render(frame, self.matrix[i], (FACE, FACE))]
            if len(self.run) == SPAN:
                self.waiting.append((i - SPAN + 1, np.stack(self.run)))
            if len(self.waiting) == TOGETHER:
                self._score()

    def finish(self) -> Float:
        """(n_frames,) cosines at the middle frames of windows, NaN elsewhere."""
        if self.waiting:
            self._score()
        return self.curve

    def _score(self) -> None:
        import torch

        from lipsync_eval.baselines.kit.data.windows import to_tensor

        first = [i for i, _ in self.waiting]
        mels = np.stack([self.feature.window(self.mel, i / FPS) for i in first])[:, None]
        faces = np.stack([faces for _, faces in self.waiting])
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            shown = to_tensor(faces.reshape(-1, FACE, FACE, 3)).reshape(len(first), SPAN, 3, FACE, FACE)
            found = self.network(shown.to(device), torch.from_numpy(mels).to(device))
        self.curve[np.array(first) + SPAN // 2] = found.double().clamp(0, 1).cpu().numpy()
        self.waiting = []


def _boxes(side: Side, n_frames: int) -> Float:
    """(n_frames, 2, 3) Wav2Lip's box of the video's own landmarks; NaN without a face."""
    from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT
    from lipsync_eval.baselines.kit.data.alignment import track_matrices

    if side.track is None:
        raise MetricError("no face was found")
    return track_matrices(ALIGNMENT, side.track.points[:n_frames], side.track.valid[:n_frames], FACE)


def _protocol(side: Side, n_frames: int) -> Float:
    """(n_frames, 2, 3) the run's crop, at 96 px; NaN where there is none."""
    if side.crop is None:
        raise MetricError("the protocol of this run found no crop")
    factor = FACE / np.array(side.crop.size[::-1], np.float64)  # along x, along y
    smaller = np.column_stack([np.diag(factor), (factor - 1) / 2])
    out: Float = compose(smaller, side.crop.matrix[:n_frames])
    out[~side.crop.valid[:n_frames]] = np.nan
    return out
