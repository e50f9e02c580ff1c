"""A generator of the tests, run as a command: the real clips with as much noise as the checkpoint says.

A checkpoint is a text: a number (the noise), or a word: 'fail' ends with 7, 'none' makes nothing, 'one' makes the first
clip alone, 'wait' writes `waiting` beside the checkpoints and sleeps until it is ended; but only the first time.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np

from lipsync_eval.media import open_clip, write_video


def main(checkpoint: Path, data: Path, out: Path) -> int:
    said = checkpoint.read_text().strip()
    if said == "fail":
        print("cuda ran out of\nmemory \x1b[31m")
        return 7
    if said == "none":
        return 0
    if said == "wait":
        mark = checkpoint.parent.parent / "waiting"
        if not mark.exists():
            (out / "half.mkv").write_bytes(b"half")
            mark.write_text("")
            time.sleep(600)
        said = "9"
    with data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[:1] if said == "one" else rows:
        frames = np.stack([np.asarray(f) for f in open_clip(data.parent / row["video"]).frames()])
        noise = 3 if said == "one" else int(said)
        dirt = np.random.default_rng(0).integers(-noise, noise + 1, frames.shape)
        write_video(out / f"{row['id']}.mkv", np.clip(frames + dirt, 0, 255).astype(np.uint8), codec="lossless")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4])))
