"""A private model from a manifest to a table with one command, and `compare` after it was killed."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.generators import runs_of, toy_folder, toys_alive
from support.waiting import until

_QUICK = ("--no-report", "--protocol", "raw")
ENTRY = [sys.executable, "-P", "-m", "lipsync_eval"]


def _compare(paths: dict[str, Path], methods: str, *more: str) -> list[str]:
    return [
        *ENTRY,
        "compare",
        "--methods",
        methods,
        "--data",
        str(paths["data"]),
        "--out",
        str(paths["root"] / "cmp"),
        "--config",
        str(paths["config"]),
        "--metrics",
        "psnr,ssim",
        "--no-cache",
        *more,
    ]


def test_a_private_model_from_manifest_to_table(tmp_path: Path) -> None:
    settings = {"blur": {"title": "Blurred mouth", "reference": "own-frame"}, "silent": {"reference": "given"}}
    paths = toy_folder(tmp_path, {**settings, "only_a": {}, "nothing": {}}, n=8, names=("a", "b"))
    done = subprocess.run(
        _compare(paths, "blur,silent,only_a,nothing", "--protocol", "raw"), capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    assert "failed: nothing: a: ended well but wrote no output.mp4" in done.stderr
    assert "nothing: made no video at all, so it is not in the table" in done.stderr
    assert "blur" in (tmp_path / "cmp" / "table.csv").read_text()
    assert {p.name for p in (tmp_path / "cmp" / "gen" / "blur").iterdir()} == {"a.mp4", "b.mp4"}
    results = {
        name: json.loads((tmp_path / "cmp" / "runs" / name / "results.json").read_text())
        for name in ("blur", "silent", "only_a")
    }
    psnr = {name: next((s["value"] for s in r["scores"] if s["metric"] == "psnr"), None) for name, r in results.items()}
    assert psnr["blur"] is not None
    assert psnr["silent"] is not None
    assert psnr["blur"] < psnr["silent"]  # the copy is nearer to the original than the blurred one
    assert results["only_a"]["data"]["n_pairs"] == 2  # a clip that was not generated stays in the count
    assert len(results["only_a"]["failures"]) >= 1
    assert "only_a: 1 of 2 clips (PSNR, SSIM)" in done.stdout
    for form in ("txt", "md", "tex", "csv"):  # where each network's reference frame comes from, in the row
        table = re.sub(r"[\\{}]", "", (tmp_path / "cmp" / f"table.{form}").read_text())  # escapes
        assert "blur [own-frame]" in table and "silent [given]" in table, form
    assert "[own-frame] the frame itself that is to be made, with its true mouth;" in done.stdout
    assert "[given] the run's reference picture (the first frame, or the manifest's own)" in done.stdout
    assert "2 of 2 clips are dubbed with the audio of the same video" in done.stdout
    assert (tmp_path / "cmp" / "report" / "index.html").exists()
    assert "blur [own-frame]" in (tmp_path / "cmp" / "report" / "data" / "run.js").read_text()
    later = subprocess.run(
        [*ENTRY, "table", *(str(tmp_path / "cmp" / "runs" / name) for name in ("blur", "silent"))],
        capture_output=True,
        text=True,
    )
    assert "blur [own-frame]" in later.stdout and "silent [given]" in later.stdout, later.stderr
    assert "where its generator's reference frame comes from" in later.stdout
    again = subprocess.run(
        _compare(paths, "blur,silent,only_a,nothing", "--protocol", "raw"), capture_output=True, text=True
    )
    assert again.stdout == done.stdout
    assert len(runs_of(paths["side"])) == 8


def test_other_peoples_audio_is_said_in_the_table(tmp_path: Path) -> None:
    """What `manifest --pair other` makes: the real video shows other speech than the generated one."""
    paths = toy_folder(tmp_path, {"good": {}}, names=("a", "b"))
    paths["data"].write_text("id,video,audio\na,real/a.mkv,real/b.mkv\nb,real/b.mkv,real/b.mkv\n")
    done = subprocess.run(_compare(paths, "good", *_QUICK), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "good [not stated]" in done.stdout
    assert "1 of 2 clips are dubbed with the audio of another video" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")
def test_killed_in_the_middle_it_goes_on(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    paths = toy_folder(tmp_path, {"good": {}, "blur": {}}, names=names)
    first = subprocess.Popen(
        _compare(paths, "good,blur", *_QUICK), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("good: b: done"):
            break
    time.sleep(0.2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stderr.close()
    until(lambda: toys_alive(paths["side"]) == [], "the end of the generators")
    done = subprocess.run(_compare(paths, "good,blur", *_QUICK), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "good: a: done already" in done.stderr
    assert "good: b: done already" in done.stderr
    runs = runs_of(paths["side"])
    assert [runs.count(f"good {n}") for n in "ab"] == [1, 1]
    assert runs.count("good c") in {1, 2}  # it may have been running when the kill came
    assert [runs.count(f"blur {n}") for n in names] == [1, 1, 1]
    rows = list(csv.reader((tmp_path / "cmp" / "table.csv").read_text().splitlines()))
    assert any("good" in cell for row in rows for cell in row)


def test_an_enhancement_step_runs_on_what_was_generated(tmp_path: Path) -> None:
    paths = toy_folder(tmp_path, {"good": {}, "crash": {}, "blur": {}})
    done = subprocess.run(
        [*_compare(paths, "good,crash", *_QUICK), "--enhance", "blur"], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert (tmp_path / "cmp" / "gen" / "good_blur" / "a.mp4").exists()
    assert sorted(p.name for p in (tmp_path / "cmp" / "runs").iterdir() if p.is_dir()) == ["good_blur"]
    assert runs_of(paths["side"]) == ["good a", "crash a", "blur a"]


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ("goood", "Did you mean good"),
        ("good,good", "named twice"),
        (",", "names no generator"),
        ("wav2lip", "no [wav2lip] in baselines.toml"),
    ],
)
def test_wrong_methods(tmp_path: Path, capsys: pytest.CaptureFixture[str], methods: str, says: str) -> None:
    from lipsync_eval.cli import run

    paths = toy_folder(tmp_path, {"good": {}})
    assert (
        run(
            [
                "compare",
                "--methods",
                methods,
                "--data",
                str(paths["data"]),
                "--out",
                str(tmp_path / "cmp"),
                "--config",
                str(paths["config"]),
            ]
        )
        == 2
    )
    assert says in capsys.readouterr().err
    assert not (tmp_path / "cmp").exists()
