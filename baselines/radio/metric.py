"""`sync_cosine`: how well lips and audio fit, by RADIO's own sync discriminator (eq. 4 of the paper).

Found by name from the metrics' registry. torch and the networks are imported when a run measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from lipsync_eval.baselines.kit.sync.scoring import Placed, WindowMeter, WindowScorer
from lipsync_eval.cache import Cache
from lipsync_eval.errors import MetricError, MissingWeights
from lipsync_eval.metrics.base import Family, MetricSpec
from lipsync_eval.options import Option
from lipsync_eval.types import Pair, Settings, Side

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
    has_network = True

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

    def start(self, pair: Pair) -> WindowMeter:
        """A meter for one pair.

        Raises:
            MetricError: no audio or no face in the generated video.
        """
        from lipsync_eval.baselines.kit.data.mel import MEL

        loaded = self.network()
        span = loaded.network.config.frames
        scorer = WindowScorer(
            name="sync_cosine",
            network=loaded.network,
            span=span,
            audio=MEL,
            heard=(span - 1) // 2,
            lowest=-1.0,
            place=partial(_placed, loaded.size),
            key={"weights": loaded.digest, "size": str(loaded.size)} | self.number_format,
            precision=self.settings.precision,
            cache=Cache(self.settings.cache_dir),
        )
        return WindowMeter(scorer, pair, {"sync_cosine": np.asarray})

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


def _placed(size: int, side: Side, n_frames: int) -> Placed:
    """FFHQ crops of `size` px by the video's own landmarks."""
    from lipsync_eval.baselines.kit.data.alignment import one_crop
    from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT

    if side.track is None:
        raise MetricError("no face was found")
    points = side.track.points
    return side.track.valid[:n_frames], lambda i, frame: one_crop(ALIGNMENT, frame, points[i], size)
