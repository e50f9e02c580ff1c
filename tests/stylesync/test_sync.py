"""S: contrastive losses by hand, what it sees, its training and its use in eq. 4."""

import math

import pytest
import torch
from support.stylesync import micro
from support.training import ALONE

from lipsync_eval.baselines.kit.data.windows import Sample
from lipsync_eval.baselines.kit.sync.pairs import off_sync
from lipsync_eval.baselines.kit.training.checkpoints import open_checkpoint
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.baselines.kit.training.terms import Made
from lipsync_eval.baselines.stylesync.config import SYNC
from lipsync_eval.baselines.stylesync.network.sync import SyncNet, lower_half
from lipsync_eval.baselines.stylesync.training.sync import info_nce, load_sync, margin_loss, run_sync_training
from lipsync_eval.baselines.stylesync.training.terms import objective
from lipsync_eval.errors import RefusedCheckpoint


def quiet(text):
    pass


def test_info_nce_by_hand():
    cosines = torch.tensor([[0.5, 0.1, 0.3], [0.2, 0.4, 0.0], [0.9, 0.1, 0.6]])
    off = torch.tensor([[False, True, False], [True, False, True], [False, True, False]])
    loss, right = info_nce(cosines, off, 0.5)
    e = lambda x: math.exp(x / 0.5)  # noqa: E731
    rows = [e(0.5) / (e(0.5) + e(0.1)), e(0.4) / (e(0.2) + e(0.4) + e(0.0)), e(0.6) / (e(0.1) + e(0.6))]
    columns = [e(0.5) / (e(0.5) + e(0.2)), e(0.4) / (e(0.1) + e(0.4) + e(0.1)), e(0.6) / (e(0.0) + e(0.6))]
    expected = -sum(math.log(p) for p in rows + columns) / 6
    assert loss.item() == pytest.approx(expected, rel=1e-5) and right.item() == 1.0
    alone, _ = info_nce(cosines, torch.zeros(3, 3, dtype=torch.bool), 0.5)
    assert alone.item() == 0


def test_margin_loss_by_hand():
    cosines = torch.tensor([[0.92, 0.82], [0.28, 1.0]])
    off = torch.tensor([[False, True], [True, False]])
    loss, right = margin_loss(cosines, off, 1.0)
    own = ((2 - 2 * 0.92) + 0) / 2
    others = ((1 - 0.6) ** 2 + 0) / 2  # distances 0.6 and 1.2
    assert loss.item() == pytest.approx((own + others) / 2, abs=1e-4) and right.item() == pytest.approx(1.0)


def test_other_clips_are_negatives_where_asked():
    span, start = torch.tensor([0, 0, 1]), torch.tensor([0, 3, 9])
    assert off_sync(span, start, 5).tolist() == [[False] * 3] * 3
    assert off_sync(span, start, 5, others=True).tolist() == [
        [False, False, True],
        [False, False, True],
        [True, True, False],
    ]
    assert off_sync(span, start, 3)[0].tolist() == [False, True, False]


def test_it_sees_the_lower_half():
    net = SyncNet(micro().sync).eval()
    frames, mel = torch.rand(2, 5, 3, 64, 64) * 2 - 1, torch.randn(2, 1, 80, 16)
    upper = frames.clone()
    upper[..., :32, :] *= -1
    assert lower_half(frames).shape == (2, 15, 48, 96) and lower_half(frames).min() >= 0
    assert torch.equal(net(frames, mel), net(upper, mel))
    assert not torch.allclose(net.see(frames), net.see(-frames))


@pytest.mark.parametrize("loss", ["infonce", "margin"])
def test_training_and_eq_4(style_data, tmp_path, loss):
    config = micro(style_data, sync={"loss": loss})
    run_sync_training(config, tmp_path / "sync", ALONE, resume=False, say=quiet)
    log = read_log(tmp_path / "sync")
    assert all(math.isfinite(line["sync"]) for line in log if "sync" in line)
    assert open_checkpoint(tmp_path / "sync", SYNC).numbers["best"][0] == max(
        line["val_ranked"] for line in log if "val_ranked" in line
    )
    with_sync = micro(style_data, loss={"sync_checkpoint": str(tmp_path / "sync")})
    found = objective(with_sync, torch.device("cpu"))
    term = next(term for term in found.terms if term.name == "sync")
    made = Made(
        torch.rand(10, 3, 32, 32), Sample(torch.rand(2, 5, 3, 32, 32), torch.empty(0), torch.randn(2, 5, 1, 80, 16))
    )
    net = load_sync(tmp_path / "sync", config.sync, "eyes", torch.device("cpu"))
    cosine = net(made.windows, made.sample.audio[:, 1])
    torch.testing.assert_close(term.loss(made), -cosine.mean())
    v, a = net.see(made.windows), net.hear(made.sample.audio[:, 1])
    by_hand = (v * a).sum(1) / v.norm(dim=1) / a.norm(dim=1)
    torch.testing.assert_close(cosine, by_hand)
    with pytest.raises(
        RefusedCheckpoint, match=r"sync\.narrow: 8 here, 16 there; model\.align: authors here, eyes there"
    ):
        load_sync(tmp_path / "sync", micro(sync={"narrow": 8}).sync, "authors", torch.device("cpu"))


def test_a_resumed_run_has_the_same_losses(style_data, tmp_path):
    whole = {"steps": 4, "log_every": 1}
    run_sync_training(micro(style_data, sync_train=whole), tmp_path / "whole", ALONE, resume=False, say=quiet)
    half = micro(style_data, sync_train=whole | {"steps": 2})
    run_sync_training(half, tmp_path / "halves", ALONE, resume=False, say=quiet)
    run_sync_training(micro(style_data, sync_train=whole), tmp_path / "halves", ALONE, resume=True, say=quiet)
    a, b = ([(x["step"], x["total"]) for x in read_log(tmp_path / n) if "total" in x] for n in ("whole", "halves"))
    assert a == b and len(a) == 4
