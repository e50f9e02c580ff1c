"""Metrics on a GPU: runs of `score` over many clips, and on request each network alone and its memory formats.

    python benchmarks/gpu_metrics.py CLIP --out DIR [--device cuda] [--copies 96] [--runs all:auto:fp32,...] [--networks] [--layouts]

CLIP is a talking clip; it is scored against a blurred copy of itself, under as many names as --copies says, without a
cache. Weights are seeded (speed does not depend on them). A run is named METRICS:WORKERS:PRECISION. `steady` is the rate
from the first finished clip to the last; "GPU busy" the share of that time in which a kernel ran (nvidia-smi). Writes
DIR/metrics.json and DIR/metrics.md. Times are wall times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

from bench_networks import METRICS, weights  # noqa: E402

from lipsync_eval.progress import SPENT  # noqa: E402


def copies(clip: Path, folder: Path, n: int) -> float:
    """n pairs under other names; the seconds of one."""
    import cv2

    from lipsync_eval.media import open_clip, write_video

    real = open_clip(clip)
    audio = None if real.audio is None else real.audio.samples
    for side, blur in (("gt", 0.0), ("gen", 1.2)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        frames = (cv2.GaussianBlur(f, (0, 0), blur) if blur else f for f in real.frames())
        write_video(folder / side / "000.mp4", frames, audio=audio, codec="h264", crf=12)
        for k in range(1, n):
            os.link(folder / side / "000.mp4", folder / side / f"{k:03d}.mp4")
    return real.n_frames / 25


def run(
    name: str, workers: str, precision: str, folder: Path, given: dict[str, Path], device: str, n: int
) -> dict[str, Any]:
    """One run of `score`: seconds of the whole, and from the first finished clip to the last; how busy the GPU was."""
    from lipsync_eval import Settings, score

    done: list[float] = []
    spent: dict[str, float] = {}

    def event(item: str, stage: str, share: float) -> None:
        if stage == "done":
            done.append(time.perf_counter())
        elif stage.startswith(SPENT):
            spent[stage.removeprefix(SPENT)] = spent.get(stage.removeprefix(SPENT), 0.0) + share

    settings = Settings(weights=given, device=device, precision=precision, cache_dir=None, offline=True)
    busy: list[tuple[float, float]] = []
    stop = watched(busy) if device != "cpu" else (lambda: None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        result = score(
            folder / "gen", folder / "gt", metrics=METRICS[name], settings=settings, event=event,
            workers=workers if workers == "auto" else int(workers), out=folder / f"run-{name}-{workers}-{precision}",
        )  # fmt: skip
        ended = f"{len(result.failures)} failures"
    except Exception as error:
        ended = f"{type(error).__name__}: {error}"[:300]
    stop()
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found: dict[str, Any] = {"seconds": seconds, "ended": ended, "clips": len(done), "cpu_seconds": cpu}
    found["steady_seconds_a_clip"] = (done[-1] - done[0]) / (len(done) - 1) if len(done) > 1 else None
    middle = [share for at, share in busy if done and done[0] <= at <= done[-1]]
    found["gpu_busy_percent"] = sum(middle) / len(middle) if middle else None
    found["spent_seconds_a_clip"] = {part: value / n for part, value in sorted(spent.items(), key=lambda p: -p[1])}
    return found


def watched(busy: list[tuple[float, float]]) -> Callable[[], None]:
    """Look at the share of time in which the GPU computes, five times a second; returns what ends it."""
    line = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)

    def read() -> None:
        for text in process.stdout or ():
            if text.strip().isdigit():  # some cards do not tell
                busy.append((time.perf_counter(), float(text)))

    threading.Thread(target=read, daemon=True).start()
    return process.kill


def per_second(call: Callable[[], object], n: int, device: str, seconds: float) -> float:
    """Items per second of a call that takes n."""
    import torch

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    for _ in range(3):
        call()
    wait()
    began, rounds = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        call()
        wait()
        rounds += 1
    return n * rounds / (time.perf_counter() - began)


def networks(device: str) -> dict[str, float]:
    """Frames (or crops) per second of each network alone, on random input that is already in memory."""
    import torch
    from torch import nn

    from lipsync_eval.features.avhubert import BASE, LARGE, AVHuBERT
    from lipsync_eval.features.inception import Inception, folded
    from lipsync_eval.features.iresnet import IResNet
    from lipsync_eval.features.lpips import LPIPS
    from lipsync_eval.features.s3fd_net import S3FDNet
    from lipsync_eval.features.syncnet.net import SyncNet

    def rate(call: Callable[[], object], n: int) -> float:
        return per_second(call, n, device, 1.5)

    def ready(net: nn.Module) -> Any:
        return net.eval().requires_grad_(False).to(device)

    torch.manual_seed(0)
    found: dict[str, float] = {}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        inception, image = ready(folded(Inception())), torch.rand(64, 3, 299, 299, device=device)
        found["Inception, 299 px"] = rate(lambda: inception(image), 64)
        faces, arc = ready(IResNet("iresnet50")), torch.rand(64, 3, 112, 112, device=device)
        found["ArcFace ResNet-50, 112 px"] = rate(lambda: faces(arc), 64)
        lpips, a = ready(LPIPS("alex")), 2 * torch.rand(64, 3, 256, 256, device=device) - 1
        found["LPIPS AlexNet, 256 px pairs"] = rate(lambda: lpips(a, a), 64)
        s3fd, hd = ready(S3FDNet()), torch.rand(8, 3, 480, 480, device=device)
        found["S3FD, 480 px"] = rate(lambda: s3fd(hd), 8)
        sync, lips = ready(SyncNet()), torch.rand(32, 3, 5, 224, 224, device=device)
        found["SyncNet lips, 5 x 224 px"] = rate(lambda: sync.netfclip(sync.netcnnlip(lips).flatten(1)), 32)
        for label, config in (("Base", BASE), ("Large", LARGE)):
            for dtype in (torch.float32, torch.bfloat16):
                from lipsync_eval.features.avhubert import Extractor

                extractor = Extractor(ready(AVHuBERT(config)), str(dtype).removeprefix("torch."))
                import numpy as np

                crops, audio = np.zeros((250, 88, 88), np.uint8), np.zeros((250, 104), np.float32)
                seen, heard = extractor.see(crops), extractor.hear(audio)
                kind = str(dtype).removeprefix("torch.")
                found[f"AV-HuBERT {label} front end, {kind}"] = rate(lambda e=extractor, c=crops: e.see(c), 250)
                found[f"AV-HuBERT {label} transformer, {kind}"] = rate(
                    lambda e=extractor, s=seen, h=heard: e.encode(s, h), 250
                )
    return found


def layouts(device: str) -> dict[str, float]:
    """Images per second of the convolutional networks, float32, by memory format and by cuDNN's search for a fast algorithm."""
    import torch

    from lipsync_eval.device import pick
    from lipsync_eval.features.inception import Inception, folded
    from lipsync_eval.features.iresnet import IResNet
    from lipsync_eval.features.lpips import LPIPS
    from lipsync_eval.features.s3fd_net import S3FDNet

    torch.manual_seed(0)
    pick(device)  # no TF32
    found: dict[str, float] = {}
    made: dict[str, tuple[Any, tuple[int, ...]]] = {
        "Inception": (folded(Inception()), (64, 3, 299, 299)), "iresnet50": (IResNet("iresnet50"), (64, 3, 112, 112)),
        "LPIPS": (LPIPS("alex"), (64, 3, 256, 256)), "S3FD": (S3FDNet(), (16, 3, 480, 480)),
    }  # fmt: skip
    for name, (net, shape) in made.items():
        net = net.eval().requires_grad_(False).to(device)
        for layout, search in product((torch.contiguous_format, torch.channels_last), (False, True)):
            net = net.to(memory_format=layout)
            x = (2 * torch.rand(shape, device=device) - 1).to(memory_format=layout)
            given = (x, x) if name == "LPIPS" else (x,)
            torch.backends.cudnn.benchmark = search
            with torch.inference_mode():
                rate = per_second(lambda net=net, given=given: net(*given), len(x), device, 0.5)
            found[f"{name}, {str(layout).removeprefix('torch.')}, search {search}"] = rate
            print(f"{name}, {layout}, search {search}: {rate:.0f} a second", flush=True)
    torch.backends.cudnn.benchmark = False
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--copies", type=int, default=96)
    parser.add_argument(
        "--runs", default="all:auto:fp32,all:auto:bf16,core:auto:fp32", help="metrics:workers:precision, ..."
    )
    parser.add_argument("--layouts", action="store_true", help="also memory formats")
    parser.add_argument("--networks", action="store_true", help="also each network alone")
    args = parser.parse_args()
    import torch

    args.out.mkdir(parents=True, exist_ok=True)
    card = torch.cuda.get_device_name() if args.device != "cpu" else platform.processor() or "cpu"
    about = {"card": card, "torch": torch.__version__, "cpus": os.cpu_count(), "copies": args.copies}
    results: dict[str, Any] = {"about": about, "networks": {}, "runs": {}}
    rows = [f"{card}, torch {torch.__version__}, {os.cpu_count()} CPU cores", "", "| what | rate |", "|---|---|"]

    def keep() -> None:
        (args.out / "metrics.json").write_text(json.dumps(results, indent=1) + "\n")
        (args.out / "metrics.md").write_text("\n".join(rows) + "\n")

    results["layouts"] = layouts(args.device) if args.layouts else {}
    rows += [f"| {name} | {value:.0f} a second |" for name, value in results["layouts"].items()]
    keep()
    folder = args.out / "clips"
    seconds = copies(args.clip, folder, args.copies)
    os.environ["LIPSYNC_EVAL_WEIGHTS"] = str(args.out / "weights")
    given = weights(args.out / "weights")
    for asked in args.runs.split(","):
        name, workers, precision = asked.split(":")
        found = run(name, workers, precision, folder, given, args.device, args.copies)
        ok = found["clips"] == args.copies  # a run that stopped has no rate
        found["times_real_time"] = args.copies * seconds / found["seconds"] if ok else None
        each = found["steady_seconds_a_clip"]
        found["steady_times_real_time"] = seconds / each if ok and each else None
        results["runs"][asked] = found
        shown = [found["times_real_time"], found["steady_times_real_time"], found["gpu_busy_percent"]]
        whole, steady, busy = ("-" if value is None else f"{value:.1f}" for value in shown)
        rows.append(
            f"| {name}, workers {workers}, {precision} | {whole} x real time, steady {steady}, GPU busy {busy} %, {found['ended']} |"
        )
        print(rows[-1], flush=True)
        print(json.dumps(found), flush=True)
        keep()
    results["networks"] = networks(args.device) if args.networks else {}
    rows += [f"| {name} | {rate:.0f} a second |" for name, rate in results["networks"].items()]
    print("\n".join(rows[-len(results["networks"]) :]), flush=True)
    keep()


if __name__ == "__main__":
    main()
