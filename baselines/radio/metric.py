"""`sync_cosine`: how well lips and audio fit, by RADIO's own sync discriminator (eq. 4 of the paper).

Found by name from the metrics' registry. torch and the networks are imported when a run measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.batch import Batch
from lipsync_eval.errors import ClipError, MetricError, MissingWeights
from lipsync_eval.metrics.base import Family, Measurement, MetricSpec, mean_of
from lipsync_eval.options import Option
from lipsync_eval.types import FPS, RATE, Float, Frame, Pair, Settings, Side

if TYPE_CHECKING:
    from lipsync_eval.baselines.radio.training.sync import LoadedSync

CHECKPOINT: Final = Option(
    name="sync_checkpoint",
    heading="sync_cosine",
    help="Sync discriminator: a run or checkpoint folder of `radio train-sync`.",
    kind="path",
    moves=True,
    key="",
    flag=True,
)
TOGETHER: Final = 8
"""Windows that pass through the network at once; always the same ones, however the frames come."""
SILENT: Final = -60.0
"""dBFS of a frame's audio; where no frame is louder, nothing is scored (as SyncNet's metrics)."""

SPECS: Final = (
    MetricSpec(
        name="sync_cosine",
        title="Sync cosine",
        direction="up",
        unit="1",
        range=(-1.0, 1.0),
        decimals=3,
        needs=frozenset({"gen.points", "gen.frames", "gen.audio", "weights"}),
        pooling="clip-mean",
        group="user-file",
        weights=(),
        summary=(
            "Mean cosine between what RADIO's sync discriminator sees in five consecutive frames and what it hears over them, over all "
            "windows of the clip. FFHQ crops, as in its training; the checkpoint is given by --sync-checkpoint."
        ),
        reads=(
            "1: seen and heard agree, 0: unrelated. It means what the discriminator has learnt: values of two checkpoints cannot be "
            "compared, and a generator trained against the same checkpoint is flattered. Read it beside the real video's own value."
        ),
        citation="Lee, Kim, Yu, Yoo, Park: RADIO: Reference-Agnostic Dubbing Video Synthesis, WACV 2024, eq. 4, table 2, supplement table 1",
        reference="ours",
        tolerance=0.0,
        version=1,
        real="none",
    ),
)


class SyncCosine(Family):
    """sync_cosine of the generated video and, beside it, of the real one."""

    specs = SPECS
    options = (CHECKPOINT,)

    def __init__(self, settings: Settings, metrics: frozenset[str]) -> None:
        super().__init__(settings, metrics)
        self.path = self.option(CHECKPOINT.name)
        self._loaded: LoadedSync | None = None

    def check(self) -> None:
        """The checkpoint is read here, so that a refused one ends the run before any work."""
        self.network()

    def signature(self, metric: str) -> Mapping[str, str]:
        """feat: the discriminator by the hash of its tensors."""
        return {"feat": f"radio-sync@{self.network().digest[:8]}"}

    def start(self, pair: Pair) -> SyncCosineMeter:
        """A meter for one pair.

        Raises:
            MetricError: no audio or no face in the generated video.
        """
        return SyncCosineMeter(self.network(), pair)

    def network(self) -> LoadedSync:
        """The loaded discriminator on the run's device.

        Raises:
            MissingWeights: no checkpoint was given.
            RefusedCheckpoint: it is none of `radio train-sync`, or damaged.
        """
        if not self.path:
            raise MissingWeights(
                "sync_cosine needs a sync discriminator, of which none is published: train one with `lipsync-eval radio train-sync` "
                "and give its folder with --sync-checkpoint RUN"
            )
        if self._loaded is None:
            from lipsync_eval.baselines.radio.training.sync import open_sync
            from lipsync_eval.device import pick

            self._loaded = open_sync(Path(self.path), pick(self.settings.device))
        return self._loaded


class SyncCosineMeter:
    """Follows both videos of one pair."""

    def __init__(self, loaded: LoadedSync, pair: Pair) -> None:
        self.pair = pair
        self.gen = _Windows(loaded, pair.gen, pair.n_frames)
        self.gt: _Windows | None = None
        self.lost = ""
        try:
            if pair.gt is not None:
                self.gt = _Windows(loaded, pair.gt, pair.gt_frames)
        except ClipError as error:
            self.lost = str(error)

    def update(self, batch: Batch) -> None:
        """Take the next frames of both videos."""
        self.gen.take(batch.start, batch.gen)
        if self.gt is not None:
            self.gt.take(batch.start, batch.gt)

    def finish(self) -> Measurement:
        """The clip's mean over windows; a window counts for its middle frame.

        Raises:
            MetricError: not one window of the generated video has faces and audio.
        """
        curve = self.gen.finish()
        value = mean_of(curve)
        if value is None:
            raise MetricError(
                f"not one run of {self.gen.span} frames with face and audio among the {self.pair.n_frames} frames of the generated video"
            )
        found = Measurement({"sync_cosine": value}, frames={"sync_cosine": curve})
        found.details["sync_cosine_windows"] = int(np.isfinite(curve).sum())
        if gone := self.gen.lost:
            found.details["sync_cosine_frames_left_out"] = gone
            found.notes.append(
                f"sync_cosine: {gone} of {self.pair.n_frames} generated frames have no face or no audio and are left out"
            )
        own = None if self.gt is None else mean_of(self.gt.finish())
        if own is not None:
            found.gt_values["sync_cosine"] = own
        elif self.pair.gt is not None:
            found.notes.append(f"sync_cosine: the real video has no score of its own: {self.lost or 'no whole window'}")
        return found


class _Windows:
    """One video's windows of consecutive frames with faces and audio, scored as they fill up."""

    def __init__(self, loaded: LoadedSync, side: Side, n_frames: int) -> None:
        """
        Raises:
            MetricError: no audio, silence, or no track.
        """
        from lipsync_eval.baselines.kit.data.mel import MEL
        from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
        from lipsync_eval.features.mfcc import loudness

        audio = side.heard()
        if loudness(audio.int16(), n_frames).max(initial=-np.inf) < SILENT:
            raise MetricError(
                f"the audio is silent (nowhere above {SILENT:g} dBFS): there is nothing to be in sync with"
            )
        if side.track is None:
            raise MetricError("no face was found")
        self.loaded, self.alignment, self.feature = loaded, ALIGNMENT, MEL
        self.span, self.size = loaded.network.config.frames, loaded.size
        heard = min(n_frames, -(-len(audio.samples) * FPS // RATE))  # frames over which there is audio
        self.good: NDArray[np.bool_] = side.track.valid[:n_frames] & (np.arange(n_frames) < heard)
        self.lost = n_frames - int(self.good.sum())
        self.points, self.mel = side.track.points, MEL.whole(audio.samples)
        self.curve = np.full(n_frames, np.nan)
        self.run: list[Frame] = []
        """The last crops of the present run, at most `span`."""
        self.waiting: list[tuple[int, NDArray[np.uint8]]] = []
        """Middle frame and crops of windows to be scored."""

    def take(self, start: int, frames: Sequence[Frame]) -> None:
        """The next frames."""
        for i, frame in enumerate(frames, start):
            if not self.good[i]:
                self.run = []
                continue
            self.run = [*self.run[1 - self.span :], self._crop(i, frame)]
            if len(self.run) == self.span:
                self.waiting.append((i - self.span // 2, np.stack(self.run)))
            if len(self.waiting) == TOGETHER:
                self._score()

    def finish(self) -> Float:
        """(n_frames,) cosines at the middle frames of windows, NaN elsewhere."""
        if self.waiting:
            self._score()
        return self.curve

    def _crop(self, i: int, frame: Frame) -> Frame:
        points = self.points[i]
        return self.alignment.crop(frame, points, self.alignment.matrices(points[None], self.size)[0], self.size)

    def _score(self) -> None:
        at = [i for i, _ in self.waiting]
        mels = [self.feature.window(self.mel, i / FPS) for i in at]
        self.curve[at] = self.loaded.cosines(np.stack([crops for _, crops in self.waiting]), np.stack(mels))
        self.waiting = []
