"""Shards that are killed, and Dask workers that come and go, against the undivided run: equal to the byte, on real clips.

    python benchmarks/equal_ways.py VIDEOS OUT [--cuts 2] [--frames 20] [--most VIDEOS] [--metrics core] [--weights NAME=FILE ...] [--seed 1]

Cuts short clips from every video below VIDEOS (the real side), damages them (the generated side), scores them undivided,
then twice more: in 8 shards of which three are killed at random and started again, with `merge`; and through
`--scheduler` with a worker that is killed and one that joins late. Compares scores, clips, failures and data of
results.json and the bytes of clips.csv and frames.npz. Ends with 1 where anything differs. Needs the extra `cluster`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lipsync_eval.media import open_clip, write_video
from lipsync_eval.media.names import is_video
from lipsync_eval.types import FPS, RATE

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.dask_processes import Dask, kept, until

SCORE = [sys.executable, "-m", "lipsync_eval"]


def cut(videos: Path, root: Path, cuts: int, frames: int, most: int) -> int:
    """root/gt and root/gen with short cuts of every video, or of `most`; gives how many."""
    n = 0
    for path in sorted(p for p in videos.rglob("*") if is_video(p))[: most or None]:
        clip = open_clip(path)
        for k in range(cuts):
            length = frames + n % 5
            start = (clip.n_frames - length) * k // max(1, cuts)
            real = np.stack(list(clip.frames(start, start + length)))
            heard = None if clip.audio is None else clip.audio.samples[start * RATE // FPS :][: length * RATE // FPS]
            made = np.roll(real, 1 + n % 3, axis=2) // 2 + real // 2
            for side, shown in (("gt", real), ("gen", made)):
                (root / side).mkdir(parents=True, exist_ok=True)
                write_video(root / side / f"{path.stem}-{k}.mkv", shown, audio=heard, codec="lossless")
            n += 1
    return n


def in_shards(line: list[str], out: Path, dice: random.Random, of: int = 8, n_killed: int = 3) -> None:
    """Shards in random order, some killed at random moments and started again, then merged."""
    killed = dice.sample(range(1, of + 1), n_killed)
    for number in dice.sample(range(1, of + 1), of):
        before, shard = kept(out), [*line, "--out", str(out), "--shard", f"{number}/{of}"]
        process = subprocess.Popen(shard, stdout=subprocess.DEVNULL)
        if number in killed:
            until(out, before + dice.randint(0, 2), process, math.inf)
            time.sleep(dice.uniform(0, 2))
            process.kill()
        print(f"  shard {number}/{of}: exit {process.wait()}, {kept(out) - before} clips", flush=True)
    first = subprocess.run([*SCORE, "merge", str(out), "--quiet"], capture_output=True, text=True)
    print(f"  merge: exit {first.returncode}", first.stderr.strip()[:300] if first.returncode == 2 else "", flush=True)
    if first.returncode != 2:
        return
    for number in killed:
        code = subprocess.run([*line, "--out", str(out), "--shard", f"{number}/{of}"], capture_output=True).returncode
        print(f"  shard {number}/{of} again: exit {code}", flush=True)
    print(f"  merge: exit {subprocess.run([*SCORE, 'merge', str(out)], capture_output=True).returncode}", flush=True)


def by_dask(line: list[str], out: Path, n: int) -> None:
    """Two workers; one is killed in the middle and another joins."""
    dask = Dask()
    try:
        first, _ = dask.worker(), dask.worker()
        process = subprocess.Popen([*line, "--out", str(out), "--scheduler", dask.address], stdout=subprocess.DEVNULL)
        until(out, n // 3, process, math.inf)
        first.kill()
        at = kept(out)
        until(out, at + 2, process, math.inf)
        dask.worker()
        print(f"  a worker killed at {at} clips, one joined later: exit {process.wait()}", flush=True)
    finally:
        dask.end()


def difference(out: Path, whole: Path) -> list[str]:
    """What two finished runs differ in."""
    mine, theirs = (json.loads((folder / "results.json").read_text("utf-8")) for folder in (out, whole))
    parts = [key for key in ("scores", "clips", "failures", "data") if mine[key] != theirs[key]]
    files = ("clips.csv", "frames.npz")
    return parts + [name for name in files if (out / name).read_bytes() != (whole / name).read_bytes()]


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("out", type=Path)
    for name, value in (("cuts", 2), ("frames", 20), ("most", 0), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--metrics", default="core")
    parser.add_argument("--weights", action="append", default=[])
    asked = parser.parse_args()
    n = cut(asked.videos, asked.out, asked.cuts, asked.frames, asked.most)
    line = [*SCORE, "score", str(asked.out / "gen"), str(asked.out / "gt"), "--metrics", asked.metrics]
    line += ["--no-cache", "--offline", "--quiet", "--threads", "1"]
    for text in asked.weights:
        line += ["--weights", text]
    whole = asked.out / "runs" / "whole"
    code = subprocess.run([*line, "--out", str(whole)], stdout=subprocess.DEVNULL).returncode
    if not (whole / "results.json").exists():
        return code
    found = json.loads((whole / "results.json").read_text("utf-8"))
    print(f"undivided: exit {code}, {n} clips, {len(found['failures'])} failure rows", flush=True)
    for score in found["scores"]:
        print(f"  {score['metric']} {score['value']} ({score['n_scored']} of {score['n_asked']})", flush=True)
    bad = False
    for name in ("shards", "dask"):
        print(f"{name}:", flush=True)
        out = asked.out / "runs" / name
        if name == "shards":
            in_shards(line, out, random.Random(asked.seed))
        else:
            by_dask(line, out, n)
        unlike = difference(out, whole)
        bad = bad or bool(unlike)
        print(
            f"  {'differs in ' + ', '.join(unlike) if unlike else 'equal to the undivided run, to the byte'}",
            flush=True,
        )
    return int(bad)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
