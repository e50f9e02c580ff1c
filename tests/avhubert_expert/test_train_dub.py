"""From a video to a dubbed one; resumed and broken runs; the command line."""

import json

import numpy as np
import pytest
import torch
from support.avhubert_expert import expert_run, micro
from support.radio import talking_video
from support.training import ALONE

from lipsync_eval.baselines import get_adapter
from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT
from lipsync_eval.baselines.avhubert_expert.data.inputs import open_pool, options
from lipsync_eval.baselines.avhubert_expert.dubbing.generator import ExpertDubber, load_generator
from lipsync_eval.baselines.avhubert_expert.training.generator import ExpertRecipe, run_training
from lipsync_eval.baselines.kit.data.preparation import prepare
from lipsync_eval.baselines.kit.training.checkpoints import TrainingStopped, checkpoints
from lipsync_eval.baselines.kit.training.generator import GeneratorTask
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.cli import cli
from lipsync_eval.errors import OutputError
from lipsync_eval.media import open_clip


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return talking_video(tmp_path_factory.mktemp("clip") / "talk.mkv", frames=40)


@pytest.fixture(scope="module")
def made(video, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    prepare(video, folder, options(size=48, min_frames=5))
    return folder


def config(folder, expert, **sections):
    return micro(folder, expert={"weights": str(expert)}, loss={"sync_kind": "lip_expert"}, **sections)


def train(chosen, out, *, resume=False):
    said = []
    run_training(chosen, out, ALONE, resume=resume, say=said.append)
    return said


@pytest.fixture(scope="module")
def run(made, expert, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    train(config(made, expert), out)
    return out


def losses(out):
    return [{k: v for k, v in line.items() if k != "frames_per_second"} for line in read_log(out)]


def test_the_crop_is_wav2lips_box(video):
    from lipsync_eval.faces import track_faces

    clip = open_clip(video)
    track = track_faces(clip)
    matrices = ALIGNMENT.matrices(track.points, 96)
    points = np.einsum("tij,tkj->tki", matrices[:, :, :2], track.points) + matrices[:, None, :, 2]
    assert points.min() > -3 and points.max() < 99 and (points[:, :, 1].min(1) > 15).all()  # room above the brows
    from lipsync_eval.protocol import View
    from lipsync_eval.protocols import get

    view = View(n_frames=clip.n_frames, height=clip.height, width=clip.width, track=track)
    np.testing.assert_allclose(matrices, get("wav2lip", {}).crops(view, view)[0].matrix)


def test_a_resumed_run_has_the_same_losses(made, expert, run, tmp_path):
    train(config(made, expert, train={"steps": 2}), tmp_path / "run")
    train(config(made, expert), tmp_path / "run", resume=True)
    assert losses(tmp_path / "run") == losses(run)
    for a, b in zip(checkpoints(run), checkpoints(tmp_path / "run"), strict=True):
        assert (a / "training.safetensors").read_bytes() == (b / "training.safetensors").read_bytes()
    with pytest.raises(OutputError, match=r"model\.skip: add before, concat now"):
        train(config(made, expert, model={"skip": "concat"}), tmp_path / "run", resume=True)


def test_nan_stops_with_the_last_good_checkpoint(made, expert, tmp_path, monkeypatch):
    step = GeneratorTask.step

    def broken(self, number):
        if number == 3:
            with torch.no_grad():
                self.generator.decoder.out.bias.fill_(float("nan"))
        return step(self, number)

    monkeypatch.setattr(GeneratorTask, "step", broken)
    with pytest.raises(TrainingStopped, match=r"step 4: .*nan.*the last good checkpoint is .*000002"):
        train(config(made, expert), tmp_path / "run")


def test_it_learns_a_batch_by_heart(made, expert):
    chosen = config(made, expert, train={"lr": 3e-3, "batch": 1}, model={"width": 32})
    task = GeneratorTask(ExpertRecipe(chosen), ALONE, open_pool(chosen))
    batch = next(task.batches)
    task.batches = iter([batch] * 60)
    values = [task.step(number)["l1"] for number in range(60)]
    assert values[-1] < values[0] / 2


def test_identity_is_one_for_a_window_or_five(made, expert):
    from lipsync_eval.baselines.kit.data.windows import TrainingSet

    one = TrainingSet(open_pool(config(made, expert)), 0)[1].reference
    five = TrainingSet(open_pool(config(made, expert, model={"identity": "five"})), 0)[1].reference
    assert all(torch.equal(one[0], one[k]) for k in range(5))
    assert any(not torch.equal(five[0], five[k]) for k in range(1, 5))


def test_it_dubs(run, video, tmp_path):
    from lipsync_eval.baselines.kit.dubbing.dub import dub

    report = dub(video, video, tmp_path / "a.mkv", load_generator(run, "cpu"), mask="box", cubic=True)
    assert report.synthetic and report.frames == 40 and report.reference == "frame 0"
    assert report.checkpoint["mel_begins_frames_before"] == 1 and "lip_expert" in report.generator
    before, after = (np.stack(list(open_clip(p).frames())) for p in (video, tmp_path / "a.mkv"))
    changed = (before != after).any((0, 3))
    assert changed.any() and not changed[:, :5].any() and not changed[:5].any()
    dub(video, video, tmp_path / "b.mkv", load_generator(run, "cpu"), mask="box", cubic=True, batch=3)
    assert np.abs(after.astype(int) - np.stack(list(open_clip(tmp_path / "b.mkv").frames()))).max() <= 1
    assert load_generator(run, "cpu", lead=0).made_by["mel_begins_frames_before"] == 0


def test_a_dubbed_frame_hears_what_it_heard_in_training(run, made, video, expert, tmp_path):
    from lipsync_eval.baselines.kit.data.windows import Windows
    from lipsync_eval.baselines.kit.dubbing.dub import dub

    heard = []

    class Listening(ExpertDubber):
        def __call__(self, crops, mels, known):
            heard.extend(mels)
            return super().__call__(crops, mels, known)

    loaded = load_generator(run, "cpu")
    dub(video, video, tmp_path / "a.mkv", Listening(loaded.model, loaded.checkpoint, loaded.device), mask="box")
    pool = open_pool(config(made, expert))
    windows, span = Windows(pool), pool.train[0]
    learnt = [windows.audio(span, index)[0].numpy() for index in range(span.entry.frames)]
    assert len(learnt) == len(heard) == 40
    inner = slice(3, -6)  # at the ends the two differ in what they know of the audio beyond
    np.testing.assert_allclose(np.stack(heard)[inner], np.stack(learnt)[inner], atol=0.02)  # stored as 16 bit
    later = np.abs(np.stack(heard)[1:] - np.stack(learnt)[:-1])[inner].mean()
    assert later > 0.1  # one frame off is not the same


def invoke(*line):
    from click.testing import CliRunner

    return CliRunner().invoke(cli, ["avhubert-expert", *map(str, line)])


@pytest.mark.parametrize("command", ["train", "train-expert"])
def test_dry_run_needs_nothing(command):
    found = invoke(command, "--dry-run")
    assert found.exit_code == 0, found.output
    assert "34,627,107 parameters" in found.output and 'sync_kind = "unsupervised"' in found.output


def test_presets_are_the_rows_of_table_4():
    kinds = {"lipexpert": "lip_expert", "visual": "visual-visual", "multimodal": "multimodal"}
    for name, kind in {**kinds, "unsupervised": "unsupervised"}.items():
        assert f'sync_kind = "{kind}"' in invoke("train", "--dry-run", "--preset", f"avhubert-expert-96-{name}").output
    assert "3x48x48" in invoke("train", "--dry-run", "--preset", "avhubert-expert-48").output


def test_the_commands_in_a_row(video, made, tmp_path):
    expert = expert_run(tmp_path / "expert")
    options = tmp_path / "c.toml"
    sections = micro(made).model_dump(mode="json", exclude_none=True)
    from lipsync_eval.baselines.kit.configuration.resolve import toml

    assert sections["model"]["size"] == 24
    options.write_text(toml(micro()).replace('name = "micro"', ""), "utf-8")
    line = ["--config", options, "--data", made, "--out", tmp_path / "run", "--device", "cpu"]
    found = invoke(
        "train", *line, "--set", f"expert.weights={json.dumps(str(expert))}", "--set", "loss.sync_kind=lip_expert"
    )
    assert found.exit_code == 0, found.output
    out = tmp_path / "out.mkv"
    found = invoke(
        "dub", "--video", video, "--audio", video, "--checkpoint", tmp_path / "run", "--out", out, "--device", "cpu"
    )
    assert found.exit_code == 0 and out.is_file() and json.loads((tmp_path / "out.mkv.json").read_text())["synthetic"]


def test_the_adapter_runs_the_command(tmp_path):
    record = get_adapter("avhubert_expert").record
    assert get_adapter("avhubert_expert").command is not None and set(record.options) == {"checkpoint", "lead", "mask"}
