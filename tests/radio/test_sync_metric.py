"""sync_cosine: eq. 4 over a clip, by hand and through the command; what is refused."""

import json

import numpy as np
import pytest
import torch
from support.radio import micro

from lipsync_eval import check_metric
from lipsync_eval.baselines.kit.data.mel import MEL
from lipsync_eval.baselines.kit.training.checkpoints import save_checkpoint
from lipsync_eval.baselines.radio.config import SYNC
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
from lipsync_eval.baselines.radio.metric import SyncCosine
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator
from lipsync_eval.batch import Batch
from lipsync_eval.cli import run
from lipsync_eval.errors import MetricError, MissingWeights, RefusedCheckpoint
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.registry import family_of, select
from lipsync_eval.types import Audio, Settings

CONFIG = micro()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made(tmp_path_factory.mktemp("sync"), 0)


def made(folder, seed):
    """A checkpoint of a seeded discriminator, whose batch norms have seen something."""
    torch.manual_seed(seed)
    net = SyncDiscriminator(CONFIG.sync)
    for _ in range(3):
        net(torch.rand(4, 5, 3, 32, 32) * 2 - 1, torch.rand(4, 1, 80, 20) * 2 - 1)
    return save_checkpoint(folder, SYNC, 1, CONFIG, net.state_dict(), {"x": torch.zeros(1)}, {})


def settings(checkpoint, **more):
    return Settings(options={"sync_checkpoint": str(checkpoint)}, device="cpu", **more)


def measure(pair, checkpoint, step=7):
    family = SyncCosine(settings(checkpoint), frozenset({"sync_cosine"}))
    family.check()
    meter = family.start(pair)
    for start in range(0, pair.n_frames, step):
        frames = [list(side.clip.frames(start, start + step)) for side in (pair.gen, pair.gt)]
        meter.update(Batch(pair, start, *frames))
    return meter.finish()


def by_hand(side, n, checkpoint):
    """Window by window: five consecutive frames with faces, and the 20 mel columns around the third."""
    from safetensors.torch import load_file

    net = SyncDiscriminator(CONFIG.sync)
    net.load_state_dict(load_file(checkpoint / "model.safetensors"))
    net.eval()
    mel, frames, found = MEL.whole(side.audio.samples), list(side.clip.frames(0, n)), {}
    for start in range(n - 4):
        window = range(start, start + 5)
        if not all(side.track.valid[i] for i in window):
            continue
        crops = []
        for i in window:
            points = side.track.points[i]
            crops.append(ALIGNMENT.crop(frames[i], points, ALIGNMENT.matrices(points[None], 32)[0], 32))
        shown = torch.tensor(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1
        heard = torch.from_numpy(MEL.window(mel, (start + 2) / 25))
        with torch.no_grad():
            seen, voice = net.see(shown[None])[0].double(), net.hear(heard[None, None])[0].double()
        found[start + 2] = float(seen @ voice / (seen.norm() * voice.norm()))
    return found


def test_it_is_the_mean_of_equation_4_over_all_windows(checkpoint):
    pair = synthetic_pair(40, noise=10, jitter=1, missing=(9, 30))
    found = measure(pair, checkpoint)
    expected = by_hand(pair.gen, 40, checkpoint)
    assert len(expected) == 36 - 5 - 5 == found.details["sync_cosine_windows"]
    assert sorted(expected) == np.flatnonzero(np.isfinite(found.frames["sync_cosine"])).tolist()
    for i, value in expected.items():
        assert found.frames["sync_cosine"][i] == pytest.approx(value, abs=1e-5)
    assert found.values["sync_cosine"] == pytest.approx(np.mean(list(expected.values())), abs=1e-5)
    assert found.gt_values["sync_cosine"] == pytest.approx(
        np.mean(list(by_hand(pair.gt, 40, checkpoint).values())), abs=1e-5
    )
    assert any("2 of 40 generated frames have no face or no audio" in note for note in found.notes)
    assert len(set(np.round(list(expected.values()), 4))) > 5  # it depends on what is seen and heard


def test_contract(checkpoint):
    print(check_metric(SyncCosine, settings(checkpoint), n_frames=40))


def test_only_the_checkpoint_is_in_the_signature(checkpoint, tmp_path):
    other = made(tmp_path, 1)
    keys = [
        SyncCosine(settings(c), frozenset({"sync_cosine"})).keys("sync_cosine") for c in (checkpoint, checkpoint, other)
    ]
    assert keys[0] == keys[1] != keys[2]
    assert set(keys[0]) == {"feat"} and keys[0]["feat"].startswith("radio-sync@")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda side: replace_audio(side, None), "has no audio to score"),
        (lambda side: replace_audio(side, np.zeros(40 * 640, np.float32)), "the audio is silent"),
        (
            lambda side: replace_audio(side, side.audio.samples[: 4 * 640]),
            "not one run of 5 frames with face and audio",
        ),
    ],
)
def test_nothing_to_score(checkpoint, change, message):
    from dataclasses import replace

    pair = synthetic_pair(40)
    with pytest.raises(MetricError, match=message):
        measure(replace(pair, gen=change(pair.gen)), checkpoint)


def replace_audio(side, samples):
    from dataclasses import replace

    return replace(side, audio=None if samples is None else Audio(samples=samples, source=side.clip.path))


def test_a_missing_or_wrong_checkpoint_is_named(micro_run, tmp_path):
    def check(**options):
        SyncCosine(Settings(options=options), frozenset({"sync_cosine"})).check()

    with pytest.raises(MissingWeights, match=r"radio train-sync` and give its folder with --sync-checkpoint RUN"):
        check()
    with pytest.raises(RefusedCheckpoint, match="kind 'radio'; one made by `radio train-sync` is needed"):
        check(sync_checkpoint=str(micro_run))
    with pytest.raises(RefusedCheckpoint, match="is no checkpoint and no run"):
        check(sync_checkpoint=str(tmp_path))


def test_it_is_asked_for_by_name_only():
    assert family_of("sync_cosine") is SyncCosine
    assert "sync_cosine" not in select("all") and select("sync_cosine") == ("sync_cosine",)


def test_through_the_command(talking_clip, checkpoint, tmp_path, capsys):
    arguments = [
        "score",
        str(talking_clip),
        str(talking_clip),
        "--metrics",
        "sync_cosine",
        "--out",
        str(tmp_path / "run"),
        "--quiet",
    ]
    assert run(arguments) == 2
    assert "--sync-checkpoint RUN" in capsys.readouterr().err
    assert run([*arguments, "--sync-checkpoint", str(checkpoint)]) == 0
    result = json.loads((tmp_path / "run" / "results.json").read_text())
    (score,) = result["scores"]
    assert -1 <= score["value"] <= 1 and score["gt_value"] == pytest.approx(score["value"], abs=1e-6)
    assert "|feat:radio-sync@" in score["signature"] and "|faces:" in score["signature"]
    assert run(["table", str(tmp_path / "run"), "--layout", "radio-ablation"]) == 0
    assert "Sync ↑" in capsys.readouterr().out
