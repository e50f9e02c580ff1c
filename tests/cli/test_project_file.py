"""Defaults from lipsync-eval.toml and pyproject.toml, `score --show-config`, and shell completion."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.videos import make_video, stamped


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "lipsync_eval", *arguments],
        cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip


def shown(cwd: Path, *more: str) -> dict[str, object]:
    done = run("score", "--show-config", *more, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)["score"]


def test_values_come_from_the_file_and_the_command_line_wins(tmp_path: Path) -> None:
    (tmp_path / "lipsync-eval.toml").write_text(
        '[score]\nmetrics = ["psnr", "lmd"]\nalign = "strict"\nworkers = 3\noffline = true\n'
        'weights = { lpips = "w/x.pth" }\noption = ["roi=center88"]\n'
    )
    config = shown(tmp_path, "--align", "trim:2")
    assert config["metrics"] == "psnr,lmd" and config["workers"] == 3 and config["offline"] is True
    assert config["align"] == "trim:2"
    assert config["weights"] == [f"lpips={tmp_path / 'w/x.pth'}"] and config["option"] == ["roi=center88"]


def test_the_output_is_a_project_file_that_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    done = run("score", "--show-config", "--metrics", "psnr", "--name", 'a "b"\\\t', cwd=tmp_path)
    (tmp_path / "a" / "lipsync-eval.toml").write_text(done.stdout)
    assert shown(tmp_path / "a") == tomllib.loads(done.stdout)["score"]


def test_pyproject_and_folders_above_inside_one_checkout(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.lipsync-eval.score]\nalign = "strict"\n')
    below = tmp_path / "x" / "y"
    below.mkdir(parents=True)
    assert shown(tmp_path)["align"] == "strict"
    assert shown(below)["align"] == "trim:5", "a folder above counts inside a checkout alone"
    (tmp_path / ".git").mkdir()
    assert shown(below)["align"] == "strict"
    (tmp_path / "x" / ".git").mkdir()
    assert shown(below)["align"] == "trim:5", "the file of another checkout"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[score]\nalgn = "strict"\n', "Did you mean align?"),
        ("[scor]\n", "Did you mean score?"),
        ("score = 3\n", "expected a table"),
        ("[score]\nworkers = [2]\n", "expected a text or a number"),
        ('[score]\nquiet = "yes"\n', "expected true or false"),
        ("[score]\nresume = true\n", "no option 'resume'"),
        ('[score]\nalign = "never"\n', "align"),
        ('[score]\nworkers = "x"\n', "lipsync-eval.toml: [score] workers = 'x':"),
        ('[score]\nsetting = "both"\n', "lipsync-eval.toml: [score] setting = 'both':"),
        ("[score\n", "cannot be read as TOML"),
        ('[radio.train]\nno = "1"\n', "no option 'no'"),
    ],
)
def test_nothing_unknown_passes(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "lipsync-eval.toml").write_text(text)
    done = run("score", "--show-config", cwd=tmp_path)
    assert done.returncode in {2, 3} and said in done.stderr, (done.returncode, done.stderr)


def test_the_result_names_what_the_file_added(tmp_path: Path) -> None:
    gen = make_video(tmp_path / "gen.mkv", [stamped(i) for i in range(5)])
    gt = make_video(tmp_path / "gt.mkv", [stamped(i) for i in range(5)])
    (tmp_path / "lipsync-eval.toml").write_text('[score]\nprotocol = "raw"\nmetrics = "psnr"\n')
    done = run("score", str(gen), str(gt), "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--protocol raw" in done.stderr
    command = json.loads((tmp_path / "run" / "results.json").read_text())["run"]["command"]
    assert command[-4:] == ["--metrics", "psnr", "--protocol", "raw"] or command[-4:] == [
        "--protocol",
        "raw",
        "--metrics",
        "psnr",
    ]


def test_a_removed_folder_has_no_project_file(tmp_path: Path) -> None:
    script = "import os, sys; os.rmdir(os.getcwd()); from lipsync_eval.cli import run; sys.exit(run(['schema']))"
    (tmp_path / "gone").mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "gone", capture_output=True, text=True)
    assert done.returncode == 0 and "results" in done.stdout, done.stderr


def test_gen_is_still_needed(tmp_path: Path) -> None:
    done = run("score", cwd=tmp_path)
    assert done.returncode == 2 and "Missing argument 'GEN'" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_lines_name_the_program(tmp_path: Path, shell: str) -> None:
    done = run("completion", shell, cwd=tmp_path)
    assert done.returncode == 0 and "_LIPSYNC_EVAL_COMPLETE" in done.stdout and "lipsync-eval" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [("lipsync-eval sc", "score"), ("lipsync-eval score --resa", "--resample"), ("lipsync-eval score --audio ", "gt")],
)
def test_the_shell_gets_words(tmp_path: Path, words: str, expected: str) -> None:
    count = len(words.split(" ")) - 1
    done = run("ignored", cwd=tmp_path, _LIPSYNC_EVAL_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(count))
    assert done.returncode == 0 and f"plain,{expected}" in done.stdout.split(), done
