"""docs/*-quickstart.sh reach their table also where some clips have no number (exit 3), and stop at real errors."""

import os
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
SCRIPTS = sorted(DOCS.glob("*-quickstart.sh"))
STAND_IN = r"""#!/bin/sh
# Notes each command, makes the one file that a script copies, and fails where it is told to.
echo "$*" >>"$NOTES"
case "$*" in
  "personatalk fit "*--vertices*) mkdir -p "$OUT/real" && : >"$OUT/real/a.vertices.npz" ;;
esac
case "$*" in
  score*) exit "$SCORE" ;;
  "personatalk fit $OUT/dubbed"*) exit "$SCORE" ;;
esac
"""


def run(script: Path, folder: Path, code: int) -> tuple[int, list[str]]:
    (folder / "videos").mkdir()
    (folder / "videos" / "a.mp4").touch()
    (folder / "bin").mkdir()
    command = folder / "bin" / "lipsync-eval"
    command.write_text(STAND_IN)
    command.chmod(0o755)
    out, notes = folder / "out", folder / "notes"
    out.mkdir()
    environment = {
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "NOTES": str(notes),
        "OUT": str(out),
        "SCORE": str(code),
    }
    done = subprocess.run(
        ["sh", str(script), str(folder / "videos"), str(out), "8"], env=environment, capture_output=True
    )
    return done.returncode, notes.read_text().splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_run_with_missing_numbers_still_gets_its_table(script, tmp_path):
    code, said = run(script, tmp_path, 3)
    assert code == 0, said
    assert said[-1].startswith("table "), said


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_error_stops_it(script, tmp_path):
    code, said = run(script, tmp_path, 2)
    assert code != 0
    assert not any(line.startswith("table ") for line in said), said


def test_there_are_scripts():
    assert len(SCRIPTS) == 4
