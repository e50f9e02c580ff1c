"""Names of commands: groups, old names that scripts still use, and wrong ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lipsync_eval.cli import run as cli


@pytest.mark.parametrize("name", ["map", "constants", "train"])
def test_style_is_a_group_and_its_old_names_still_work(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for line in (["style", name], [f"style-{name}"]):
        assert cli([*line, "-h"]) == 0
        usage, _, rest = capsys.readouterr().out.partition("\n")
        assert usage.startswith(f"Usage: lipsync-eval {' '.join(line)} [OPTIONS] CLIPS")
        told.append(rest)
    assert told[0] == told[1]


def test_old_names_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["-h"]) == 0
    shown = capsys.readouterr().out
    assert "\n  style  " in shown
    assert "style-" not in shown


def test_a_wrong_name_ends_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["scoer", "a", "b"]) == 2
    assert "there is no command 'scoer'. Did you mean score?" in capsys.readouterr().err


def test_help_imports_no_numerical_library() -> None:
    code = (
        "import sys; from lipsync_eval.cli import run; run(['-h']); run(['style', '-h']); "
        "print([m for m in ('torch', 'cv2', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
