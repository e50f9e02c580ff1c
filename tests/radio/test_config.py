"""Configurations: presets, files, overrides, messages."""

import pytest

from lipsync_eval.baselines.kit.configuration.resolve import parse
from lipsync_eval.baselines.kit.configuration.sections import differences
from lipsync_eval.baselines.radio import presets
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.errors import UsageError


def test_defaults_are_the_papers():
    c = presets.load()
    assert (c.name, c.model.size, c.model.layers, c.model.variant) == ("radio-192", 192, 6, "D")
    assert (c.model.vit_blocks, c.model.vit_layers, c.model.heads) == (2, 2, 8)
    assert (c.train.steps, c.train.batch, c.sync.size, c.sync.frames) == (210_000, 16, 144, 5)
    assert list(c.loss.vgg_layers) == sorted(c.loss.vgg_layers)  # "increasing for deeper layers"


def test_file_then_overrides(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('preset = "radio-96-b"\nname = "mine"\n[train]\nsteps = 10\nbatch = 2\n[loss]\nl1 = 3\n')
    c = presets.load(path, ["train.steps=20", "data.holdout=tail:0.2", "train.betas=[0.5, 0.9]"])
    assert (c.name, c.model.size, c.model.variant) == ("mine", 96, "B")
    assert (c.train.steps, c.train.batch, c.loss.l1) == (20, 2, 3)
    assert c.data.holdout == "tail:0.2" and c.train.betas == (0.5, 0.9)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.stepz=1"], r"train\.stepz: there is no such key; do you mean steps\? train has steps, batch,"),
        (["trian.steps=1"], r"trian: there is no such section; there are name, data, model, "),
        (["train.q=1"], r"train\.q: there is no such key; train has steps, batch,"),
        (["train.steps=0"], r"train\.steps: .*greater than or equal to 1 \(got 0\)"),
        (["model.variant=E"], r"model\.variant: Input should be 'A', 'B', 'C' or 'D'"),
        (["train.steps"], "give SECTION.KEY=VALUE"),
    ],
)
def test_wrong_overrides_are_named(overrides, message):
    with pytest.raises(UsageError, match=message):
        presets.load(overrides=overrides)


def test_wrong_files_are_named(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("steps = = 1")
    with pytest.raises(UsageError, match="cannot be read as TOML"):
        presets.load(path)
    with pytest.raises(UsageError, match=r"configuration .*cannot be read as TOML"):
        presets.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="unknown preset 'radio-1'; there are radio-192"):
        presets.load(preset="radio-1")


def test_a_configuration_survives_json():
    c = presets.load(preset="radio-48", overrides=["loss.vgg_weights=/x/vgg.pth"])
    assert parse(RadioConfig, c.model_dump(mode="json"), "x") == c


def test_differences_name_both_sides():
    a, b = presets.load(preset="radio-96-a").model, presets.load(preset="radio-192").model
    assert differences(a, b) == ["size: 96 here, 192 there", "variant: A here, D there"]
