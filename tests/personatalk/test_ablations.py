"""Rows of table 4 at their smallest: each trains by its preset, is loaded back, and dubs."""

import numpy as np
import pytest
import torch
from support.personatalk import MICRO, as_options

from lipsync_eval.baselines.personatalk.dubbing.generator import load_generator
from lipsync_eval.cli import run as cli
from lipsync_eval.media import open_clip

SMALL = [text for text in MICRO if not text.startswith("stage1.audio")]


def trained(command, preset, data, out):
    line = ["personatalk", command, "--preset", preset, *as_options(SMALL), "--data", str(data), "--device", "cpu"]
    assert cli([*line, "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("row", ["wostyle", "single", "random"])
def test_a_row_trains_loads_and_dubs(row, data, runs, videos, tmp_path, capsys):
    geometry, renderer = runs
    preset = f"personatalk-128-{row}"
    if row == "wostyle":
        geometry = trained("train-geometry", preset, data, tmp_path / row)
    else:
        renderer = trained("train-renderer", preset, data, tmp_path / row)
    generator = load_generator(geometry, renderer, "cpu")
    first, second = (held.config for held in generator.held)
    assert preset in {first.name, second.name}
    expressions = torch.randn(1, 6, generator.provider.topology.count, 3)
    style = generator.geometry.style_of(expressions)
    assert bool(style.any()) == (row != "wostyle") and first.stage1.style == (row != "wostyle")
    assert (generator.renderer.lip is None) == (row == "single")
    assert generator.renderer.config.references == ("random" if row == "random" else "selected")
    talk = str(videos / "talk.mkv")
    line = ["personatalk", "dub", "--video", talk, "--audio", talk, "--device", "cpu", "--length", "shortest"]
    out = tmp_path / "dubbed.mkv"
    assert cli([*line, "--geometry", str(geometry), "--checkpoint", str(renderer), "--out", str(out)]) == 0
    assert preset in capsys.readouterr().out
    before, after = (np.stack(list(open_clip(path).frames())) for path in (talk, out))
    assert before.shape == after.shape and (before != after).any()
