"""The kit carries a second generator that shares nothing with RADIO: prepare, train, resume, sync, dub."""

import json

import numpy as np
import pytest
import torch
from support.radio import segment, talking_video, write_data
from support.toy import (
    INPUT,
    PRESETS,
    SIZE,
    TOY,
    TOY_SYNC,
    ToyConfig,
    ToyDubber,
    ToyGenerator,
    ToyRecipe,
    options,
    pool_of,
    sync_recipe,
)
from support.training import ALONE

from lipsync_eval.baselines.kit.configuration.resolve import load
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.data.preparation import prepare
from lipsync_eval.baselines.kit.data.windows import TrainingSet
from lipsync_eval.baselines.kit.dubbing.dub import dub
from lipsync_eval.baselines.kit.network.stylegan import EqualLinear
from lipsync_eval.baselines.kit.sync.training import SyncTask, train_sync
from lipsync_eval.baselines.kit.training.checkpoints import checkpoints, open_checkpoint
from lipsync_eval.baselines.kit.training.dry_run import dry_run
from lipsync_eval.baselines.kit.training.generator import GeneratorTask, train_generator
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.errors import OutputError, RefusedCheckpoint, UsageError
from lipsync_eval.media import open_clip
from lipsync_eval.weights import fit


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return talking_video(tmp_path_factory.mktemp("clip") / "talk.mkv", frames=40)


@pytest.fixture(scope="module")
def data(video, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    prepare(video, folder, options(min_frames=5))
    return folder


def config(data, *more):
    return load(ToyConfig, PRESETS, overrides=[f"data.folder={json.dumps(str(data))}", "data.holdout=tail:0.3", *more])


def train(config, out, *, resume=False):
    said = []
    train_generator(ToyRecipe(config), config, pool_of(config), out, ALONE, resume=resume, say=said.append)
    return said


def losses(out):
    return [{k: v for k, v in line.items() if k != "frames_per_second"} for line in read_log(out)]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "toy"
    said = train(config(data), out)
    assert "toy notes" in said
    return out


def test_what_is_prepared_and_read(data, video):
    pool = pool_of(config(data))
    (sample, again) = (TrainingSet(pool, 7, ToyRecipe(config(data)).readers)[k] for k in (3, 3))
    assert sample.target.shape == (3, 3, SIZE, SIZE) and sample.audio.shape == (3, 1, 2, 4)
    assert sample.more["openings"].shape == (3, 1) and (sample.more["openings"] >= 0).all()
    assert torch.equal(sample.reference[0], sample.reference[2])  # one for the whole window
    assert torch.equal(sample.target, again.target)
    windows = TrainingSet(pool, 7).drawn.windows
    points = windows.points(pool.train[0], 0, 3)
    assert points.min() > -2 and points.max() < SIZE + 2  # the box holds the landmarks
    whole = INPUT.audio.whole(open_clip(video).audio.samples)
    expected = INPUT.audio.window(whole, 4 / 25)
    np.testing.assert_allclose(windows.audio(pool.train[0], 4)[0].numpy(), expected, atol=1e-3)


def test_it_trains_with_its_own_terms(run):
    log = losses(run)
    steps = {line["step"]: line for line in log if "total" in line}
    assert sorted(steps) == [1, 2, 3, 4]
    assert "brightness" not in steps[2] and "brightness" in steps[3]  # the whole-video term begins at step 2
    assert {"l1", "adversarial", "discriminator"} <= set(steps[1]) and "r1" not in steps[1]
    expected = steps[4]["l1"] + 0.1 * steps[4]["adversarial"] + 0.5 * steps[4]["brightness"]
    assert steps[4]["total"] == pytest.approx(expected, rel=1e-5)
    assert {"val_psnr", "val_ssim", "val_l1"} <= set(next(line for line in log if "val_psnr" in line))
    held = open_checkpoint(run, TOY)
    assert held.config.model.hidden == 8 and "norm.running_mean" in held.tensors()


def test_it_learns_one_window_by_heart(data):
    task = GeneratorTask(ToyRecipe(config(data, "train.batch=1")), ALONE, pool_of(config(data)))
    batch = next(task.batches)
    task.batches = iter([batch] * 80)
    values = [task.step(number)["l1"] for number in range(80)]
    assert values[-1] < values[0] / 2


def test_resumed_training_gives_the_same_losses(data, run, tmp_path):
    train(config(data, "train.steps=2"), tmp_path / "run")
    train(config(data), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(run)
    for a, b in zip(checkpoints(run), checkpoints(tmp_path / "run"), strict=True):
        assert (a / "training.safetensors").read_bytes() == (b / "training.safetensors").read_bytes()
    with pytest.raises(OutputError, match=r"model\.hidden: 8 before, 9 now"):
        train(config(data, "model.hidden=9"), tmp_path / "run", resume=True)


def test_its_sync_discriminator_has_its_own_loss(data, tmp_path):
    few = ("sync_train.steps=3", "sync_train.batch=4", "sync_train.group=4", "sync_train.min_shift=3")
    chosen = config(data, *few, "sync_train.validation_windows=4", "sync_train.log_every=1")
    train_sync(sync_recipe(chosen), chosen, pool_of(chosen), tmp_path / "sync", ALONE, resume=False, say=print)
    held = open_checkpoint(tmp_path / "sync", TOY_SYNC)
    assert sorted(held.tensors()) == ["heard.bias", "heard.weight", "seen.bias", "seen.weight"]
    with pytest.raises(RefusedCheckpoint, match="kind 'toy-sync'; one made by `toy train` is needed"):
        open_checkpoint(tmp_path / "sync", TOY)
    task = SyncTask(sync_recipe(chosen), ALONE, pool_of(chosen))
    batch = next(task.batches)
    task.batches = iter([batch] * 60)
    values = [task.step(number)["sync"] for number in range(60)]
    assert values[-1] < values[0]


def test_it_dubs_in_two_passes(run, video, tmp_path):
    model = ToyGenerator(open_checkpoint(run, TOY).config.model)
    fit(model, open_checkpoint(run, TOY).tensors(), source="toy")
    dubber = ToyDubber(model.eval())
    seen = []

    def whole(crop, points):
        seen.append(points)
        return np.ones(crop.shape[:2], np.float32)

    report = dub(video, video, tmp_path / "out.mkv", dubber, mask=whole, crops=tmp_path / "crops")
    assert (report.generator, report.frames, report.synthetic) == ("toy", 40, True)
    before, after = (np.stack(list(open_clip(p).frames())) for p in (video, tmp_path / "out.mkv"))
    changed = (before != after).any((0, 3))
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows[0] > 0 and rows[-1] < changed.shape[0] - 1 and columns[0] > 0  # the box, and nothing outside it
    assert all(points.min() > -3 and points.max() < SIZE + 3 for points in seen)
    dub(video, video, tmp_path / "one.mkv", dubber, mask=whole, batch=1)
    assert np.abs(after.astype(int) - np.stack(list(open_clip(tmp_path / "one.mkv").frames()))).max() <= 1


def test_data_of_another_generator_are_refused(data, tmp_path):
    write_data(tmp_path, [segment("a", size=SIZE)], size=SIZE)
    with pytest.raises(UsageError, match=r"was prepared with align = 'ffhq, transform 4x', the model needs 'toy box"):
        Pool(config(tmp_path).data, INPUT)


def test_dry_run():
    text = dry_run(load(ToyConfig, PRESETS, preset="toy-wide"), lambda c: f"hidden {c.model.hidden}\n")
    assert text.startswith('name = "toy-wide"') and text.endswith("hidden 16\n") and "[sync_train]" in text


def test_lr_mul_is_stylegan2s():
    """rosinality's EqualLinear: weight / lr_mul at the start, weight * lr_mul / sqrt(n) and bias * lr_mul when used."""
    torch.manual_seed(0)
    slow = EqualLinear(6, 4, bias_init=2.0, lr_mul=0.01)
    torch.manual_seed(0)
    plain = EqualLinear(6, 4, bias_init=2.0)
    torch.testing.assert_close(slow.weight, plain.weight * 100)
    x = torch.randn(3, 6)
    torch.testing.assert_close(slow(x), x @ (slow.weight * 0.01 / 6**0.5).T + slow.bias * 0.01)


class Drawn:
    """A reader that draws; it says which sample it was called for."""

    def drawn(self, windows, span, start, draw):
        return {"number": torch.tensor(draw.number), "random": torch.tensor(draw.rng.random())}


def test_a_reader_may_draw_and_sample_k_stays_the_same(data):
    pool = pool_of(config(data))
    first, again = (TrainingSet(pool, 7, (Drawn(), *ToyRecipe(config(data)).readers)) for _ in range(2))
    assert first[3].more["number"] == 3 and "openings" in first[3].more
    assert first[3].more["random"] == again[3].more["random"] != again[4].more["random"]


def test_arrays_that_are_made_together_have_names_of_their_own():
    from lipsync_eval.baselines.kit.data.inputs import named

    assert list(named("face", {"a": np.zeros(1), "b": np.zeros(2)})) == ["face.a", "face.b"]
    assert list(named("face", np.zeros(1))) == ["face"]
