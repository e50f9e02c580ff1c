"""SyncNet and S3FD against the same steps done as the official scripts do them: same weights, same machine, one run.

python benchmarks/bench_syncnet.py [seconds of crop, default 10] [rounds, default 3]

Every way runs in a process of its own (so that its peak memory is its own), one after the other, on one thread unless
OMP_NUM_THREADS says otherwise. Prints the median time, the peak memory above the start, and their ratios.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

WAYS = ("syncnet-official", "syncnet-ours", "s3fd-frame-by-frame", "s3fd-batched")


def memory(key: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process in MB (Linux)."""
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(key))
    return int(line.split()[1]) / 1024


def syncnet_ways(seconds: int) -> tuple[Callable[[], object], Callable[[], object]]:
    import torch
    from golden import synthetic_inputs
    from support import syncnet_official as official

    from lipsync_eval.features.syncnet import track_scorer as syncnet
    from lipsync_eval.features.syncnet.net import Folded

    n = 25 * seconds
    crops, sound = synthetic_inputs.clip(1, n), synthetic_inputs.audio(1, 640 * n)
    net = official.seeded_net()

    def ours() -> object:
        scorer = syncnet.TrackScorer(Folded(net, torch.device("cpu")), sound, n)
        for crop in crops:
            scorer.add(crop)
        return syncnet.read(scorer.finish())

    return lambda: official.evaluate(net, crops, sound), ours


def s3fd_ways(seconds: int) -> tuple[Callable[[], object], Callable[[], object]]:
    import torch
    from golden import synthetic_inputs
    from support import syncnet_official as official

    from lipsync_eval.features import s3fd, s3fd_net

    frames = list(synthetic_inputs.clip(2, 4 * seconds, 720, 1280, waves=2, noise=0))
    net = s3fd_net.S3FDNet()
    net.load_state_dict(official.s3fd_state(1, 4.0))
    detector = s3fd.S3FD(s3fd.S3FDMaps(net, torch.device("cpu")))

    def batched() -> object:
        return [detector.detect(frames[i : i + 8]) for i in range(0, len(frames), 8)]

    return lambda: [detector.detect([p]) for p in frames], batched


def child(way: str, seconds: int, rounds: int) -> None:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    family, _, name = way.partition("-")
    slow, fast = (syncnet_ways if family == "syncnet" else s3fd_ways)(seconds)
    run = slow if name in {"official", "frame-by-frame"} else fast
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak that making the inputs left
    before, times = memory("VmRSS"), []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    print(json.dumps({"seconds": statistics.median(times), "megabytes": memory("VmHWM") - before}))


def main(seconds: int = 10, rounds: int = 3) -> None:
    found = {}
    for way in WAYS:
        done = subprocess.run(
            [sys.executable, __file__, "--child", way, str(seconds), str(rounds)],
            capture_output=True,
            text=True,
            check=True,
        )
        found[way] = json.loads(done.stdout)
        print(f"{way:<22}{found[way]['seconds']:8.2f} s {found[way]['megabytes']:8.0f} MB above the start")
    for slow, fast in ((WAYS[0], WAYS[1]), (WAYS[2], WAYS[3])):
        time_ratio = found[slow]["seconds"] / found[fast]["seconds"]
        memory_ratio = found[slow]["megabytes"] / max(found[fast]["megabytes"], 1)
        print(f"{slow} / {fast}: time {time_ratio:.2f}, peak memory {memory_ratio:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(*(int(v) for v in sys.argv[1:]))
