"""Dask against the process pool: the same clips, the same number of measuring processes, in turn on one machine.

    python benchmarks/bench_cluster.py [--clips 200] [--frames 12] [--workers 2] [--rounds 3] [--metrics psnr,ssim,lmd] [--json FILE]

Three ways: `--workers N`; `--cluster local:N`, whose start and end are in the time; `--scheduler`, with a scheduler and N
workers that run already. `whole` is the time of the call of `score`; `steady` goes from the first finished clip to the
last, so that nothing of the start is in it. A ratio above 1 says that Dask is faster. Rounds follow each other (a, b, c,
c, b, a...), and each ratio is that of one round; the median is printed with the range.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval import Settings, score
from lipsync_eval.demo import make_demo
from lipsync_eval.media import open_clip, write_video

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.dask_processes import Dask


def make_clips(root: Path, n: int, frames: int) -> None:
    """n pairs with a face, all unlike: the demo's, moved and cut."""
    make_demo(root / "demo")
    sources = sorted((root / "demo" / "gt").glob("*.mp4")) or sorted((root / "demo" / "gt").iterdir())
    held = {
        side: [np.stack(list(open_clip(root / "demo" / side / p.name).frames())) for p in sources]
        for side in ("gen", "gt")
    }
    for i in range(n):
        for side in ("gen", "gt"):
            whole = held[side][i % len(sources)]
            start = (3 * i) % (len(whole) - frames)
            (root / side).mkdir(exist_ok=True)
            cut = np.roll(whole[start : start + frames], i % 7, axis=2)
            write_video(root / side / f"c{i:03d}.mp4", cut, codec="h264", crf=18)


@contextmanager
def running_cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler that has its workers."""
    dask = Dask()
    try:
        for _ in range(workers):
            dask.worker()
        from distributed import Client

        with Client(dask.address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers)
        yield dask.address
    finally:
        dask.end()


def measured(root: Path, way: dict[str, Any], metrics: str) -> tuple[dict[str, float], list[Any]]:
    """Seconds of one run (whole, steady), and its scores."""
    done: list[float] = []

    def event(item: str, stage: str, share: float) -> None:
        if stage == "done":
            done.append(time.monotonic())

    before, cpu = time.monotonic(), os.times()
    settings = Settings(protocol="raw", cache_dir=None)
    result = score(root / "gen", root / "gt", metrics=metrics, settings=settings, event=event, **way)
    whole, after = time.monotonic() - before, os.times()
    used = sum(after[:4]) - sum(cpu[:4])
    if result.failures:
        raise SystemExit(f"{way}: {len(result.failures)} failures, e.g. {result.failures[0].message}")
    return {"whole": whole, "steady": done[-1] - done[0], "cpu": used}, [s.value for s in result.scores]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("clips", 200), ("frames", 12), ("workers", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--metrics", default="psnr,ssim,lmd")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_cluster(asked.workers) as address:
        root = Path(folder)
        make_clips(root, asked.clips, asked.frames)
        ways = {
            "pool": {"workers": asked.workers},
            "local": {"cluster": f"local:{asked.workers}"},
            "running": {"scheduler": address},
        }
        rounds: list[dict[str, dict[str, float]]] = []
        scores = []
        for number in range(asked.rounds):
            found = {}
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                found[name], values = measured(root, ways[name], asked.metrics)
                scores.append(values)
                print(number, name, {k: round(v, 2) for k, v in found[name].items()}, flush=True)
            rounds.append(found)
    if any(values != scores[0] for values in scores):
        raise SystemExit("the ways give unlike scores")
    for name in ("local", "running"):
        for part in ("whole", "steady"):
            ratios = sorted(found["pool"][part] / found[name][part] for found in rounds)
            print(f"{name:8} {part:7} {statistics.median(ratios):.3f}  ({ratios[0]:.3f} .. {ratios[-1]:.3f})")
    if asked.json:
        asked.json.write_text(
            json.dumps({"asked": {k: str(v) for k, v in vars(asked).items()}, "rounds": rounds}, indent=1)
        )


if __name__ == "__main__":
    main()
