"""Training of G and P: terms, resume, pre-trained D, the delta file, what is refused."""

import json
import shutil

import pytest
import torch
from support.pickles import Calls
from support.stylesync import MICRO, micro
from support.training import ALONE, gradient_norms

from lipsync_eval.baselines.kit.data.windows import Sample
from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.training.checkpoints import checkpoints, open_checkpoint
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.baselines.kit.training.terms import Made, total
from lipsync_eval.baselines.stylesync.config import GENERATOR
from lipsync_eval.baselines.stylesync.data.inputs import open_pool
from lipsync_eval.baselines.stylesync.data.mask import mask_of
from lipsync_eval.baselines.stylesync.dubbing.generator import load_generator
from lipsync_eval.baselines.stylesync.network.pretrained import load_discriminator
from lipsync_eval.baselines.stylesync.presets import load
from lipsync_eval.baselines.stylesync.training.generator import StyleSyncRecipe, generator_groups, run_training
from lipsync_eval.baselines.stylesync.training.personal import personalise, resolve
from lipsync_eval.baselines.stylesync.training.sync import run_sync_training
from lipsync_eval.baselines.stylesync.training.terms import objective
from lipsync_eval.errors import RefusedCheckpoint, UsageError

CPU = torch.device("cpu")


def run(config, out, *, resume=False):
    said = []
    run_training(config, out, ALONE, resume=resume, say=said.append)
    return said


def losses(out):
    return [{k: v for k, v in line.items() if k != "frames_per_second"} for line in read_log(out)]


def personal(base, video, out, *overrides, general=None, resume=False):
    said = []
    given = [f"data.folder={json.dumps(str(general))}"] if general else []
    config = resolve(base, "p", (*given, *overrides), alone=general is None)
    personalise(base, video, None, out, config, ALONE, alone=general is None, resume=resume, say=said.append)
    return said


def test_eq_5_by_hand(style_data):
    found = objective(micro(style_data), CPU)
    made = Made(
        torch.full((5, 3, 32, 32), 0.5),
        Sample(torch.full((1, 5, 3, 32, 32), -0.1), torch.empty(0), torch.empty(0)),
        torch.zeros(5),
    )
    value, values = total(found.terms, made)
    assert values["l1"].item() == pytest.approx(0.3)  # 0.6 in [-1, 1] is 0.3 in [0, 1]
    assert value.item() == pytest.approx(10 * 0.3 + 0.693147, rel=1e-5)
    assert sorted(note.split(":")[0] for note in found.notes) == [
        "the VGG term of the reconstruction loss is off",
        "the image discriminator begins untrained",
        "the sync loss is off",
    ]
    signed = objective(micro(style_data, model={"range": "signed"}), CPU)
    assert signed.terms[0].loss(made).item() == pytest.approx(0.6)
    assert [t.name for t in objective(micro(style_data, loss={"adversarial": 0}), CPU).terms] == ["l1"]


def test_the_sync_gradient_is_held_to_the_pixel_losss_where_asked(style_data, tmp_path):
    """Off by default, as printed; the small preset, whose S has heard seconds of speech, holds it."""
    assert load().loss.sync_clip == 0 and load(preset="stylesync-64").loss.sync_clip == 1
    with pytest.raises(UsageError, match="sync_clip"):
        load(overrides=["train.precision=fp16", "loss.sync_clip=1"])
    run_sync_training(micro(style_data), tmp_path / "sync", ALONE, resume=False, say=lambda text: None)
    batch = Sample(torch.rand(1, 5, 3, 32, 32) * 2 - 1, torch.empty(0), torch.randn(1, 5, 1, 80, 16))

    def norms(**loss):
        more = {"sync_checkpoint": str(tmp_path / "sync"), "sync": 1e4, "adversarial": 0, **loss}
        return gradient_norms(objective(micro(style_data, loss=more), CPU), batch)

    free = norms()
    pixel = free["l1"]
    assert free["sync"] > 2 * pixel
    assert norms(sync_clip=1) == pytest.approx({"l1": pixel, "sync": pixel}, rel=1e-4)
    assert norms(sync_clip=0.5) == pytest.approx({"l1": pixel, "sync": pixel / 2}, rel=1e-4)


def test_g_trains_and_a_resumed_run_has_the_same_losses(style_data, tmp_path):
    run(micro(style_data), tmp_path / "whole")
    run(micro(style_data, train={"steps": 2}), tmp_path / "parts")
    run(micro(style_data), tmp_path / "parts", resume=True)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    for a, b in zip(checkpoints(tmp_path / "whole"), checkpoints(tmp_path / "parts"), strict=True):
        assert (a / "training.safetensors").read_bytes() == (b / "training.safetensors").read_bytes()
    held = open_checkpoint(tmp_path / "whole", GENERATOR).tensors()
    assert torch.equal(held["mask"], mask_of(open_pool(micro(style_data))))
    assert (tmp_path / "whole" / "grids" / "000004.png").exists()


def test_wav2lip_h_trains(style_data, tmp_path):
    run(micro(style_data, model={"network": "wav2lip-h"}, train={"steps": 1, "batch": 1}), tmp_path / "w")
    generator = load_generator(tmp_path / "w", "cpu")
    assert generator.name == "Wav2Lip-H (micro, 32 px)"
    with pytest.raises(RefusedCheckpoint, match="holds wav2lip-h, which has no style space"):
        resolve(tmp_path / "w", "p")


@pytest.mark.parametrize(
    ("preset", "masked", "sync"),
    [("stylesync-256-g", 1, True), ("stylesync-256-womask", 0, True), ("stylesync-256-wosync", 1, False)],
)
def test_rows_of_table_3_train_and_load(preset, masked, sync, style_data, tmp_path):
    smallest = [
        f"{section}.{key}={json.dumps(value)}"
        for section in ("model", "discriminator", "sync", "train", "data")
        for key, value in MICRO[section].items()
        if key != "mask_levels"
    ]
    few = ["train.steps=1", "train.batch=1", f"data.folder={json.dumps(str(style_data))}"]
    few += [] if preset.endswith("womask") else ["model.mask_levels=1"]
    config = load(overrides=[*smallest, *few], preset=preset)
    said = run(config, tmp_path / "row")
    assert ("the sync loss is off: loss.sync is 0" in said) != sync
    generator = load_generator(tmp_path / "row", "cpu")
    assert generator.checkpoint.config.name == preset and len(generator.config.masked) == masked
    frame = torch.rand(1, 3, 32, 32) * 2 - 1
    assert generator.model(frame, frame, torch.zeros(1, 1, 80, 16)).shape == frame.shape


def test_rates_by_kind_of_layer(style_data):
    config = micro(style_data)
    model = StyleSyncRecipe(config, open_pool(config)).generator()
    train = config.train.model_copy(update={"lr": 2e-3, "lr_plain": 1e-4, "lr_injection": 3e-2})
    equalised, plain, scales = generator_groups(model, train)
    tower = {id(p) for p in model.audio.tower.parameters()}
    assert {id(p) for p in plain["params"]} == tower
    assert [p.shape for p in scales["params"]] == [(1,)] * (
        config.model.n_styles - 1
    )  # one for each styled convolution
    assert [group["lr"] for group in (equalised, plain, scales)] == [2e-3, 1e-4, 3e-2]
    assert sum(len(group["params"]) for group in (equalised, plain, scales)) == len(list(model.parameters()))


def test_d_begins_with_rosinalitys_weights(style_data, tmp_path):
    source = Discriminator(32, 1, 8)
    torch.save({"g": {}, "d": source.state_dict(), "d_optim": {"lr": 1.0}}, tmp_path / "good.pt")
    config = micro(style_data, loss={"d_weights": str(tmp_path / "good.pt")})
    net = StyleSyncRecipe(config, open_pool(config)).adversary().network
    assert all(torch.equal(net.state_dict()[k], v) for k, v in source.state_dict().items())
    assert not any("begins untrained" in note for note in objective(config, CPU).notes)
    torch.save({"d": Discriminator(64, 1, 8).state_dict()}, tmp_path / "other.pt")
    with pytest.raises(RefusedCheckpoint, match=r"other\.pt \('d'\) does not fit the network: at 'convs"):
        load_discriminator(Discriminator(32, 1, 8), tmp_path / "other.pt")
    torch.save({"g_ema": source.state_dict()}, tmp_path / "no_d.pt")
    with pytest.raises(
        RefusedCheckpoint, match=r"no_d\.pt holds no discriminator: expected a state dict under 'd'.*g_ema"
    ):
        load_discriminator(Discriminator(32, 1, 8), tmp_path / "no_d.pt")
    torch.save({"d": Calls(print, "run")}, tmp_path / "bad.pt")
    with pytest.raises(RefusedCheckpoint, match="is refused"):
        load_discriminator(Discriminator(32, 1, 8), tmp_path / "bad.pt")


@pytest.fixture(scope="module")
def personal_run(style_run, style_data, person, tmp_path_factory):
    """P of the micro base on a talking video, mixed with general data; what it said."""
    out = tmp_path_factory.mktemp("p") / "run"
    return out, personal(style_run, person, out, general=style_data)


def test_personalisation_writes_the_delta_alone(style_run, personal_run, person):
    out, said = personal_run
    assert "30 frames of the person, 1 epochs: 6 steps of 2 windows" in said
    facts = json.loads((out / "personal.json").read_text())
    assert facts["base_sha256"] == open_checkpoint(style_run, GENERATOR).hashes["model.safetensors"]
    assert facts["video"] == "talk.mkv" and facts["seconds"] == 1.2 and facts["steps"] == 6 and not facts["alone"]
    assert facts["norms"]["norm_dp"] > 0 and facts["norms"]["norm_dw"] > 0
    lines = [line for line in read_log(out) if "total" in line]
    assert len(lines) == 6 and {"penalty", "norm_dw", "norm_dp", "discriminator"} <= set(lines[0])
    assert lines[0]["penalty"] == 0 and lines[-1]["penalty"] > 0
    expected = 10 * lines[-1]["l1"] + lines[-1]["adversarial"] + lines[-1]["penalty"]
    assert lines[-1]["total"] == pytest.approx(expected, rel=1e-4)
    base = open_checkpoint(style_run, GENERATOR).tensors()
    deltas = {f"dp.{name.removeprefix('synthesis.')}" for name in base if name.startswith("synthesis.")}
    from lipsync_eval.weights import load_tensors

    held = load_tensors(out / "personal.safetensors")
    assert {n for n in held if n.startswith("dp.")} == {n for n in deltas if not n.endswith("kernel")}
    assert not {n.partition(".")[0] for n in held} - {"dw", "dp"}


def test_p_is_loaded_and_differs_from_g(style_run, personal_run):
    out, _ = personal_run
    g, p = load_generator(style_run, "cpu"), load_generator(style_run, "cpu", out)
    assert p.name == "StyleSync P (micro, 32 px)" and p.made_by["personal"]["video"] == "talk.mkv"
    x, mel = torch.rand(2, 3, 32, 32) * 2 - 1, torch.randn(2, 1, 80, 16)
    assert not torch.equal(g.model(x, x, mel), p.model(x, x, mel))


def test_resumed_personalisation_has_the_same_losses(style_run, style_data, personal_run, person, tmp_path):
    out, _ = personal_run
    copy = tmp_path / "copy"
    personal(style_run, person, copy, "personal.steps=2", general=style_data)
    personal(style_run, person, copy, general=style_data, resume=True)
    assert losses(copy) == losses(out)
    assert (copy / "personal.safetensors").read_bytes() == (out / "personal.safetensors").read_bytes()


def test_without_dw_and_held_out_frames(style_run, person, tmp_path):
    config = resolve(style_run, "p-wodw", ("personal.holdout=tail:0.3", "personal.epochs=1"), alone=True)
    said = []
    personalise(style_run, person, None, tmp_path / "w", config, ALONE, alone=True, resume=False, say=said.append)
    assert "21 frames of the person, 1 epochs: 3 steps of 2 windows" in said
    assert any("only the person's frames are trained on" in line for line in said)
    assert "norm_dw" not in json.loads((tmp_path / "w" / "personal.json").read_text())["norms"]
    load_generator(style_run, "cpu", tmp_path / "w")


def test_what_a_personalisation_refuses(style_run, style_data, personal_run, person, tmp_path):
    config = resolve(style_run, "p")
    with pytest.raises(UsageError, match="give --general DATA"):
        personalise(style_run, person, None, tmp_path / "x", config, ALONE, alone=False, resume=False, say=print)
    with pytest.raises(UsageError, match="that section is the base run's"):
        resolve(style_run, "p", ("model.mask_levels=0",))
    with pytest.raises(UsageError, match="leave out --general, or --alone"):
        resolve(style_run, "p", (f"data.folder={json.dumps(str(style_data))}",), alone=True)
    other = tmp_path / "other"
    run(micro(style_data, train={"steps": 1, "seed": 5}), other)
    out, _ = personal_run
    with pytest.raises(RefusedCheckpoint, match="was made from another checkpoint"):
        load_generator(other, "cpu", out)
    copy = shutil.copytree(out, tmp_path / "copy")
    data = bytearray((copy / "personal.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "personal.safetensors").write_bytes(bytes(data))
    with pytest.raises(RefusedCheckpoint, match="is damaged"):
        load_generator(style_run, "cpu", copy)
    (copy / "personal.json").write_text("[]")
    with pytest.raises(RefusedCheckpoint, match="is malformed"):
        load_generator(style_run, "cpu", copy)
    with pytest.raises(RefusedCheckpoint, match=r"holds no personal\.json"):
        load_generator(style_run, "cpu", tmp_path)
