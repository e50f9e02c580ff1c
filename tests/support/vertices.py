"""A style encoder of vertices, as the command makes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lipsync_eval.cli import run as cli


def vertices_encoder(corpus: Path, out: Path, speakers: int, write: Callable[[Path, int], None], *more: str) -> Path:
    """What `style train --features vertices` learns of one clip a speaker; `write(path, speaker)` makes its vertices."""
    for speaker in range(speakers):
        folder = corpus / f"s{speaker}"
        folder.mkdir(parents=True)
        (folder / "a.mp4").write_bytes(b"")  # vertices need no video
        write(folder / "a.vertices.npz", speaker)
    line = ["style", "train", str(corpus), "--features", "vertices", "--window", "20", "--out", str(out), *more]
    assert cli(line) == 0
    return out
