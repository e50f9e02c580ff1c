"""The ffmpeg program, where it is installed: the judge of pixels and audio."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")


def run_ffmpeg(*arguments: str) -> bytes:
    """What the program writes to stdout."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *arguments], capture_output=True, check=True)
    return done.stdout


def rgb(path: Path, size: tuple[int, int], *arguments: str) -> NDArray[np.uint8]:
    """(N, H, W, 3): what `-pix_fmt rgb24` gives, every frame of the file unless arguments say otherwise."""
    raw = run_ffmpeg(
        "-i",
        f"file:{path}",
        "-map",
        "0:v:0",
        *(arguments or ("-vsync", "passthrough")),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    )
    return np.frombuffer(raw, np.uint8).reshape(-1, *size, 3)


def mono16k(path: Path) -> NDArray[np.int16]:
    """(N,) what `-ac 1 -ar 16000` gives."""
    return np.frombuffer(
        run_ffmpeg("-i", f"file:{path}", "-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "s16le", "-"), np.int16
    )
