"""A callback for Lightning: dub some clips after a validation and score them beside the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lipsync_eval.errors import UsageError
from lipsync_eval.results.schema import Result
from lipsync_eval.torch.background import BackgroundScore

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback
    except ImportError as error:
        raise UsageError(
            f"LipsyncCallback needs Lightning ({error}): pip install lightning; BackgroundScore works without it"
        ) from error

Dub = Callable[[Any, Path], None]
"""Your function: (module, folder) -> writes one video a clip into the folder, named as the real ones."""


class LipsyncCallback(Callback):  # type: ignore[misc,unused-ignore]  # Any where Lightning is not installed
    """After a validation (rank 0): `dub(module, folder)`, then scores in the background, logged to the trainer's loggers."""

    def __init__(self, dub: Dub, gt: Path | str, out: Path | str, *, every: int = 1, **how: Any) -> None:
        """Nothing is started yet.

        Args:
            dub: writes the videos of the current weights.
            gt: folder of the real videos.
            out: folder for videos and runs.
            every: validations between two scorings.
            how: metrics, settings, workers, prefix of BackgroundScore.
        """
        super().__init__()
        if every < 1:
            raise UsageError(f"every={every}: expected a whole number, 1 or more")
        self.dub, self.out, self.every = dub, Path(out), every
        self.background = BackgroundScore(gt, out=self.out / "runs", **how)
        self._seen = 0

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Dub and start scoring, if it is this validation's turn."""
        if trainer.sanity_checking or trainer.global_rank:
            return
        if self._seen % self.every == 0:
            folder = self.out / "gen" / f"step-{trainer.global_step:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            self.dub(pl_module, folder)
            self.background.start(folder, trainer.global_step)
        self._seen += 1
        self._log(trainer, self.background.poll())

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Log what became ready."""
        self._log(trainer, self.background.poll())

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Wait for the last scores."""
        self._log(trainer, self.background.close())

    def _log(self, trainer: Any, done: Mapping[int, Result]) -> None:
        for step, result in done.items():
            for logger in trainer.loggers:
                logger.log_metrics(self.background.values(result), step=step)
