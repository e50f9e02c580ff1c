"""The demo's clips are the same on every processor, and README prints the numbers that they give."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lipsync_eval.cli import run as cli
from lipsync_eval.demo import _photo, degrade, make_demo, synthesise, talking
from lipsync_eval.media import open_clip

README = Path(__file__).parents[2] / "README.md"
NUMBERS = re.compile(r"^( +)?[a-z_0-9 ]+(\(\w+\))? +-?\d+\.\d+.*$")


def _table(text: str) -> list[str]:
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("metric  "))
    rows = lines[first + 2 : first + 2 + lines[first + 2 :].index("")]
    return [line.rstrip() for line in rows]


def _signature(text: str) -> list[str]:
    """What all scores share, and what the first has of its own."""
    shared, first = text.split("\nsignature: ")[1].splitlines()[:2]
    return [*shared.split("|"), *first.removeprefix("  + ").split("|")]


def test_readme_prints_what_the_demo_gives(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "lipsync_eval", "demo", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    readme = README.read_text("utf-8")
    shown = readme.split("$ lipsync-eval score demo/gen demo/gt\n")[1].split("```")[0]
    assert _table(shown) == _table(done.stdout)
    assert all(NUMBERS.match(row) for row in _table(shown)), "every row has a number"
    assert _signature(shown) == _signature(done.stdout)
    explained = readme.split("## How to read a signature\n\n```\n")[1].splitlines()[0]
    assert explained.split("|") == sorted(_signature(done.stdout))


def test_readmes_lines_of_python_run_in_a_checkout(tmp_path: Path) -> None:
    """Where the folder of the clone hides the installed package, as for a user who installed in it."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    make_demo(tmp_path / "demo")
    for name in ("lipsync_eval", "protocols", "reports", "baselines"):
        (tmp_path / name).symlink_to(README.parent / name)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "psnr (dB)" in done.stdout and "proto:radio.1" in done.stdout


def test_the_pixels_and_samples_are_the_same_everywhere() -> None:
    """Recorded once; OpenCV, x264 and AAC, which differ from one processor to the next, have no part in them."""
    photo, face = _photo()
    audio, loud = synthesise(0)
    sway = np.stack([np.linspace(-3, 3, 100), np.linspace(2, -2, 100)], axis=1)
    real = list(islice(talking(photo, face, loud, sway), 30))
    seen = [photo, (audio.astype(np.float64) * 32768).astype("<i2"), *real, *degrade(iter(real[-2:]), face)]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in seen)).hexdigest()
    assert digest == "89d5d68a69fd9ce29b10d872f02115fa18875350367b59b6399cb5c69b8c4441"


def test_the_photograph_is_enlarged_as_opencv_does(tmp_path: Path) -> None:
    import cv2
    from skimage.data import astronaut

    theirs = cv2.resize(astronaut()[20:276, 95:351], (384, 384), interpolation=cv2.INTER_CUBIC)
    assert np.abs(_photo()[0].astype(int) - theirs).max() <= 1


def test_the_files_keep_them(tmp_path: Path) -> None:
    gen, gt = make_demo(tmp_path)
    for folder in (gen, gt):
        clip = open_clip(folder / "astronaut_a.mkv")
        assert (clip.n_frames, clip.size, len(clip.audio.samples)) == (100, (384, 384), 64000)
        np.testing.assert_array_equal(clip.audio.samples, synthesise(0)[0])


@pytest.mark.parametrize("theirs", ["gen/mine.mp4", "gt/mine.mp4", "run/results.json"])
def test_overwrite_replaces_nothing_but_a_demo(theirs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / theirs).parent.mkdir()
    (tmp_path / theirs).write_text("mine")
    assert cli(["demo", str(tmp_path), "--overwrite"]) == 2
    assert "holds other files than a demo" in capsys.readouterr().err
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / theirs]
