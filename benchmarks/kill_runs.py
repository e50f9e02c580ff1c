"""Kill a 60-clip run 100 times at random (a worker, the parent, the group, in the last moments), finish it with --resume.

    python benchmarks/kill_runs.py [TRIALS] [CLIPS] [SHARDED TRIALS]

Prints how the runs ended, and every run that --resume did not finish or that differs by a byte from one that was left alone.
Then runs are divided in three, a shard and the merge are killed, and ten jobs start at once into one folder, with --overwrite.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.kills import KINDS, at_once, command, killed, killed_shards, make_clips

METHODS = tuple("ABCDEFGHIJ")


def main(trials: int, clips: int, shards: int) -> int:
    dice, bad = random.Random(1), 0
    with tempfile.TemporaryDirectory() as temporary:
        root = make_clips(Path(temporary), clips, ("gen", *METHODS))
        seconds = {}
        for workers in (1, 2):
            began = time.monotonic()
            subprocess.run(
                command(root, root / f"whole{workers}", "--workers", str(workers)),
                check=True,
                stdout=subprocess.DEVNULL,
            )
            seconds[workers] = time.monotonic() - began
        print(f"{clips} clips: {seconds[1]:.1f} s with 1 worker, {seconds[2]:.1f} s with 2", flush=True)
        ended: Counter[str] = Counter()
        for i in range(trials):
            kind, workers = KINDS[i % len(KINDS)], 1 + i // len(KINDS) % 2
            trial = killed(root, root / f"run{i}", kind, seconds[workers], workers, root / "whole1", dice)
            state = (
                "journal gone"
                if trial.kept < 0
                else "all clips kept"
                if trial.kept == clips
                else "some kept"
                if trial.kept
                else "none kept"
            )
            ended[f"{kind:<7} exit {trial.code:>3}  {state:<15} resumed {trial.resumes}"] += 1
            if trial.problem:
                bad += 1
                print(f"trial {i} ({kind}, {workers} workers): {trial.problem}", flush=True)
        for line, count in sorted(ended.items()):
            print(f"{count:>4}  {line}")
        print(f"{trials} killed runs: {trials - bad} finished and equal to the byte, {bad} not")
        merges: Counter[str] = Counter()
        for i in range(shards):
            trial = killed_shards(root, root / f"shards{i}", seconds[1], root / "whole1", dice)
            merges["merge killed" if trial.code else "merge finished"] += 1
            if trial.problem:
                bad += 1
                print(f"shards, trial {i}: {trial.problem}", flush=True)
        print(f"{shards} divided runs, a shard and the merge killed: {dict(merges)}", flush=True)
        for more in ((), ("--overwrite",)):
            codes, data, said = at_once(root, root / f"shared{len(more)}", METHODS, *more)
            mixed = len({Path(c["gen"]).parent for c in data["clips"]})
            print(
                f"ten at once {' '.join(more)}: exit codes {sorted(codes)}, clips of {mixed} method(s), {said.count('another job')} told of another job"
            )
            bad += mixed != 1 or not set(codes) <= {0, 2}
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*(int(a) for a in (sys.argv[1:] + ["100", "60", "20"][len(sys.argv) - 1 :]))))
