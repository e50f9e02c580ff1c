"""Terminals, pipes, disks, homes: the exit code says what the command found, never how its words fared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.clips import write
from support.runs import run
from support.videos import stamped

SCRIPT = str(Path(sys.executable).parent / "lipsync-eval")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pair of clips, and two finished runs: `bad` is worse than `good`."""
    root = tmp_path_factory.mktemp("streams")
    for side in ("gen", "gt"):
        write(root / side / "a.mkv", [stamped(i) for i in range(3)])
    for name, shift in (("good", 0.0), ("bad", 5.0)):
        (root / name).mkdir()
        text = run(name, {"psnr": [30.0 - shift + i for i in range(10)]}).to_json()
        (root / name / "results.json").write_text(text, "utf-8")
    return root


def shell(place: Path, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    line = line.replace("CMD", SCRIPT)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=place, env={**os.environ, **more})


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("list metrics", 0),
        ("-h", 0),
        ("score gen gt --protocol raw --metrics psnr --format json --overwrite --out piped --quiet", 0),
        ("gate good --baseline good --update new.json", 0),
        ("gate bad --baseline good", 1),
        ("scor", 2),
    ],
)
def test_a_reader_that_leaves_changes_nothing(place: Path, command: str, code: int) -> None:
    done = shell(place, f"(CMD {command}; echo code $? >&2) | true")
    assert done.stderr.split()[-2:] == ["code", str(code)], done.stderr
    assert "Traceback" not in done.stderr and "roken pipe" not in done.stderr
    if "--update" in command:
        assert (place / "new.json").exists()
    if "piped" in command:
        assert json.loads((place / "piped" / "results.json").read_text("utf-8"))["scores"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("command", "code"), [("list metrics", 2), ("gate good --baseline good", 2), ("gate bad --baseline good", 1)]
)
def test_a_full_disk_under_standard_output(place: Path, command: str, code: int) -> None:
    done = shell(place, f"CMD {command} > /dev/full")
    assert done.returncode == code
    assert done.stderr.count("error: standard output cannot be written (No space left on device)") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors(place: Path, closed: str) -> None:
    done = shell(place, f"CMD score gen gt --protocol raw --metrics psnr --overwrite --out closed {closed}")
    assert done.returncode == 0
    text = (place / "closed" / "results.json").read_text("utf-8")
    assert json.loads(text)["scores"], "nothing that a library prints lies in it"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8"])
def test_encodings_without_a_letter(place: Path, encoding: str) -> None:
    done = subprocess.run(
        [SCRIPT, "table", "good"], capture_output=True, cwd=place, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr
    written = "utf-8" if encoding == "ascii" else encoding  # click takes ASCII for a mistake
    text = done.stdout.decode(written)
    assert ("PSNR" in text and "\\u2191" in text) or "↑" in text
    done = subprocess.run(
        [SCRIPT, "score", "gen", "gt", "--protocol", "raw", "--metrics", "psnr", "--overwrite", "--out", "enc", "--name", "é↑👩", "--format", "json", "--quiet"],
        capture_output=True, cwd=place, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert json.loads(done.stdout.decode(written))["run"]["name"] == "é↑👩", "still JSON, and the same"


@pytest.mark.parametrize("term", ["dumb", "no-such-terminal", ""])
def test_unknown_terminals(place: Path, term: str) -> None:
    done = shell(place, "CMD score gen gt --protocol raw --metrics psnr --overwrite --out term", TERM=term)
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr


NO_HOME = """
import os, pwd, sys
for name in ("HOME", "XDG_CACHE_HOME", "LIPSYNC_EVAL_CACHE", "LIPSYNC_EVAL_WEIGHTS"):
    os.environ.pop(name, None)
os.environ.update(dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a and not a.startswith("--")))
def nobody(_):
    raise KeyError("no such user")
pwd.getpwuid = nobody
from lipsync_eval.cli import run
sys.exit(run([a for a in sys.argv[1:] if "=" not in a]))
"""


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("score gen gt --protocol raw --metrics psnr --overwrite --out home --quiet", 0, "psnr"),
        ("score gen gt --protocol raw --metrics psnr,lse_c --skip-missing --overwrite --out home", 3, "no home folder"),
        ("weights list", 0, "syncnet"),
        ("weights path", 2, "LIPSYNC_EVAL_CACHE"),
        ("weights pull syncnet", 2, "LIPSYNC_EVAL_CACHE"),
        ("cache list", 2, "LIPSYNC_EVAL_CACHE"),
        ("cache list LIPSYNC_EVAL_CACHE=c", 0, "files    0"),
        ("weights list HOME=/dev/null", 0, "syncnet"),
        ("score gen gt --protocol raw --metrics psnr --overwrite --out home --quiet HOME=/dev/null", 0, "psnr"),
    ],
)
def test_a_user_without_a_home(place: Path, line: str, code: int, words: str) -> None:
    done = subprocess.run([sys.executable, "-c", NO_HOME, *line.split()], capture_output=True, text=True, cwd=place)
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_a_folder_that_may_not_be_searched_counts_as_without_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lipsync_eval.errors import MissingWeights
    from lipsync_eval.types import Settings
    from lipsync_eval.weights import locate
    from lipsync_eval.weights.listing import lines

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(MissingWeights):
        locate(Settings(weights_dir=tmp_path), "syncnet")
    assert "missing" in lines()[1]


def test_what_is_missing_is_said_once(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for side in ("gen", "gt"):
        for name in ("b", "c", "d"):
            write(place / f"more_{side}" / f"{name}.mkv", [stamped(i) for i in range(3)])
    done = shell(
        place,
        "CMD score more_gen more_gt --protocol raw --metrics psnr,lse_c,lse_d --skip-missing --overwrite --out miss --quiet",
    )
    assert done.returncode == 3
    assert done.stdout.count("lipsync-eval weights pull syncnet") == 1
    assert "all clips [weights: lse_c, lse_d]" in done.stdout
    rows = json.loads((place / "miss" / "results.json").read_text("utf-8"))["failures"]
    assert len(rows) == 6, "results.json names every clip"


def test_near_commands_are_suggested(place: Path) -> None:
    done = shell(place, "CMD scor")
    assert done.returncode == 2 and "Did you mean score?" in done.stderr
    done = shell(place, "CMD xyzzy")
    assert done.returncode == 2 and "There are: score, demo" in done.stderr


def test_an_error_cannot_drive_the_terminal(place: Path) -> None:
    done = shell(place, "CMD table $'no\\x1b[2Jsuch\\x9b31m'")
    assert done.returncode == 2 and "\x1b" not in done.stderr and "\\x1b[2J" in done.stderr
