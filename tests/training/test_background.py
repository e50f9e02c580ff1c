"""Scores beside a training: a process of its own, in order, without stopping the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.videos import make_video, stamped

from lipsync_eval.errors import UsageError
from lipsync_eval.types import Settings

pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
from lipsync_eval.torch import BackgroundScore

RAW = Settings(protocol="raw", device="cpu", cache_dir=None)


def videos(folder: Path, noise: int) -> Path:
    rng = np.random.default_rng(noise)
    folder.mkdir(parents=True, exist_ok=True)
    for clip in "ab":
        frames = [stamped(i) for i in range(5)]
        noisy = [np.clip(f + rng.integers(-noise, noise + 1, f.shape), 0, 255).astype(np.uint8) for f in frames]
        make_video(folder / f"{clip}.mkv", noisy)
    return folder


def test_steps_are_scored_and_logged(tmp_path: Path) -> None:
    gt = videos(tmp_path / "gt", 0)
    logged: list[tuple[int, dict[str, float]]] = []
    with_log = BackgroundScore(
        gt,
        out=tmp_path / "runs",
        metrics="psnr",
        settings=RAW,
        log=lambda values, step: logged.append((step, dict(values))),
    )
    for step, noise in ((10, 40), (20, 5)):
        with_log.start(videos(tmp_path / "gen" / str(step), noise), step)
    broken = tmp_path / "gen" / "30"
    broken.mkdir()
    with_log.start(broken, 30)
    with pytest.raises(UsageError, match="no such folder"):
        with_log.start(tmp_path / "nowhere", 40)
    done = with_log.close()
    assert list(done) == [10, 20] and [step for step, _ in logged] == [10, 20]
    assert logged[0][1]["lipsync/psnr"] < logged[1][1]["lipsync/psnr"] < 100
    assert done[10].run.name == "step 10" and (tmp_path / "runs" / "step-00000010" / "results.json").is_file()
    assert list(with_log.failed) == [30] and str(broken) in with_log.failed[30]
    assert with_log.poll() == {}


@pytest.mark.filterwarnings("ignore:::lightning", "ignore::FutureWarning")  # Lightning's own with a newer torch
def test_lightning_logs_at_the_step_of_the_weights(tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="lightning is not installed")
    import torch
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.loggers import CSVLogger

    from lipsync_eval.torch import LipsyncCallback

    class Toy(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.layer(batch).square().mean()

        def validation_step(self, batch: Any, index: int) -> None: ...

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def dub(module: Any, folder: Path) -> None:
        videos(folder, 10)

    gt = videos(tmp_path / "gt", 0)
    callback = LipsyncCallback(dub, gt, tmp_path / "val", every=2, metrics="psnr", settings=RAW)
    data = torch.utils.data.DataLoader(torch.zeros(4, 1), batch_size=2)
    logger = CSVLogger(tmp_path / "logs")
    trainer = Trainer(
        max_epochs=3, accelerator="cpu", logger=logger, callbacks=[callback], enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=1, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(Toy(), data, data)
    logger.save()
    text = (Path(logger.log_dir) / "metrics.csv").read_text()
    assert "lipsync/psnr" in text.splitlines()[0]
    assert sorted(p.name for p in (tmp_path / "val" / "runs").iterdir()) == ["step-00000002", "step-00000006"]
