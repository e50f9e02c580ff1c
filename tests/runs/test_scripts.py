"""Workers are processes that never import the caller's script: no guard is needed, and none can be forgotten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.clips import write
from support.videos import stamped

BODY = """
from lipsync_eval import Settings, score
result = score({gen!r}, {gt!r}, metrics="psnr", settings=Settings(protocol="raw", cache_dir=None), workers=2, {more})
print("value", result["psnr"].value)
"""


@pytest.mark.parametrize("more", ["", "out='run'", "out='run', overwrite=True"])
@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_script_without_a_main_guard(how: str, more: str, tmp_path: Path) -> None:
    for side in ("gen", "gt"):
        for name in "ab":
            write(tmp_path / side / f"{name}.mkv", [stamped(i) for i in range(3)])
    text = BODY.format(gen=str(tmp_path / "gen"), gt=str(tmp_path / "gt"), more=more)
    (tmp_path / "script.py").write_text(text)
    line, given = ([sys.executable, "script.py"], None) if how == "file" else ([sys.executable, "-"], text)
    done = subprocess.run(line, input=given, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "value 100.0\n", "the script ran once"
    assert done.stderr == ""
