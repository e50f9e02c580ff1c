"""--offline opens no socket: proven in a process in which every socket raises."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

GUARD = """
import socket, sys
def refuse(*a, **k):
    raise AssertionError("a socket was opened")
class NoSocket(socket.socket):
    def __init__(self, *a, **k):
        refuse()
socket.socket = NoSocket
socket.create_connection = socket.getaddrinfo = socket.socketpair = refuse
"""


def run(body: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = GUARD + textwrap.dedent(body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd)


def test_the_guard_works(tmp_path: Path) -> None:
    done = run("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')", tmp_path)
    assert done.returncode and "a socket was opened" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["weights", "list"], 0, "syncnet"),
        (["weights", "path"], 0, "weights"),
        (["weights", "pull", "syncnet", "--offline"], 2, "opens no socket"),
        (["weights", "verify", "syncnet"], 2, "lipsync-eval weights pull syncnet"),
    ],
)
def test_weights_commands(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = run(f"from lipsync_eval.cli import run; sys.exit(run({arguments!r}))", tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_pull_without_offline_does_open_one(tmp_path: Path) -> None:
    """The same command without the flag reaches for the network: the flag is what keeps it away."""
    done = run("from lipsync_eval.weights.download import pull; pull('syncnet', pause=0.0)", tmp_path)
    assert done.returncode and "a socket was opened" in done.stderr


def test_score_opens_no_socket(tmp_path: Path) -> None:
    from lipsync_eval.media import write_video

    for side in ("gen", "gt"):
        (tmp_path / side).mkdir()
        pictures = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8)
        write_video(tmp_path / side / "a.mkv", pictures)
    arguments = [
        "score",
        "gen",
        "gt",
        "--metrics",
        "psnr,lse_c",
        "--protocol",
        "raw",
        "--skip-missing",
        "--offline",
        "--no-cache",
        "--quiet",
    ]
    done = run(f"from lipsync_eval.cli import run; sys.exit(run({arguments!r}))", tmp_path)
    assert done.returncode == 3 and "psnr" in done.stdout, done.stderr
