"""stylesync_g and stylesync_p through `baselines run`, each in a process of its own."""

import json
import os
import sys
from pathlib import Path

import pytest
from support.training import ALONE

from lipsync_eval.baselines.stylesync.training.personal import personalise, resolve
from lipsync_eval.cli import run as cli
from lipsync_eval.media import open_clip

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_g_and_p_run_like_any_generator(style_run, person, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("LIPSYNC_EVAL_CACHE", str(tmp_path / "cache"))
    config = resolve(style_run, "p", ("personal.steps=1",), alone=True)
    runs = tmp_path / "persons"
    runs.mkdir()
    personalise(style_run, person, None, runs / "a", config, ALONE, alone=True, resume=False, say=lambda text: None)
    one = f"id,video,audio\na,{person},{person}\n"
    (tmp_path / "one.csv").write_text(one)
    (tmp_path / "two.csv").write_text(f"{one}b,{person},{person}\n")
    base = {"repo": str(tmp_path), "python": sys.executable, "device": "cpu"}
    tables = {
        "stylesync_g": {"checkpoint": str(style_run)},
        "stylesync_p": {"checkpoint": str(style_run), "personal": str(runs)},
    }
    text = ""
    for name, options in tables.items():
        text += f"[{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in base.items())
        text += f"[{name}.options]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in options.items())
    (tmp_path / "baselines.toml").write_text(text)
    where = ["--out", str(tmp_path / "gen"), "--config", str(tmp_path / "baselines.toml")]
    assert cli(["baselines", "run", "stylesync_g", "--data", str(tmp_path / "one.csv"), *where]) == 0
    assert cli(["baselines", "run", "stylesync_p", "--data", str(tmp_path / "two.csv"), *where]) == 3
    said = capsys.readouterr().err
    assert "failed: stylesync_p: b: needs a personalisation of this clip" in said, said
    for made in ("stylesync_g/a.mp4", "stylesync_p/a.mp4"):
        assert open_clip(tmp_path / "gen" / made).n_frames == 30
