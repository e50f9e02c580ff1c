"""Metrics on a GPU: a run of many clips (core, all; 1 and 16 workers), and each network alone (fp32, bf16 where it has it).

    python benchmarks/gpu_metrics.py CLIP --out DIR [--avhubert FILE] [--device cuda] [--copies 32] [--workers 1,16]

CLIP is a talking clip; it is scored against a blurred copy of itself, under as many names as --copies says, without a
cache. Weights are seeded (speed does not depend on them), AV-HuBERT's from --avhubert, left out without it. Writes
DIR/metrics.json and DIR/metrics.md. Times are wall times; a GPU is waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

METRICS = {
    "core": "core,-mouth_mel_corr,-mouth_mel_offset",
    "all": "core,lpips,fid,fid_clean,lse_c,lse_d,av_offset,csim",
}


def weights(folder: Path, avhubert: Path | None) -> list[str]:
    """Seeded weights files, as options of `score`."""
    import torch
    from support import perception, syncnet_official

    from lipsync_eval.features.iresnet import IResNet

    folder.mkdir(parents=True, exist_ok=True)
    perception.write_lpips(folder)
    perception.write_inception(folder)
    torch.save(syncnet_official.seeded_state(1, 0.3), folder / "syncnet.pth")
    torch.save(perception.filled(IResNet("iresnet50").state_dict(), 3), folder / "r50.pt")
    given = [f"syncnet={folder / 'syncnet.pth'}", f"w600k_r50={folder / 'r50.pt'}"]
    given += [f"avhubert={avhubert}"] if avhubert else []
    return [part for value in given for part in ("--weights", value)]


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


def run(name: str, workers: int, folder: Path, given: list[str], device: str, env: dict[str, str]) -> dict[str, Any]:
    """One run of `score`."""
    ids = METRICS[name] + (",avs_u,avs_m,avs_v" if name == "all" and any("avhubert=" in g for g in given) else "")
    line = [sys.executable, "-m", "lipsync_eval", "score", str(folder / "gen"), str(folder / "gt"), "--metrics", ids]
    line += ["--workers", str(workers), "--no-cache", "--device", device, "--quiet", "--offline"]
    line += ["--out", str(folder / f"run-{name}-{workers}"), *given]
    began = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, env=env)
    seconds = time.perf_counter() - began
    text = f"exit {done.returncode}" + (f": {done.stderr[-300:]}" if done.returncode else "")
    return {"seconds": seconds, "ended": text}


def networks(device: str) -> dict[str, float]:
    """Frames (or crops) per second of each network alone, on random input that is already in memory."""
    import torch
    from torch import nn

    from lipsync_eval.features.avhubert import BASE, LARGE, AVHuBERT
    from lipsync_eval.features.inception import Inception
    from lipsync_eval.features.iresnet import IResNet
    from lipsync_eval.features.lpips import LPIPS
    from lipsync_eval.features.s3fd_net import S3FDNet
    from lipsync_eval.features.syncnet.net import SyncNet

    def rate(call: Callable[[], object], n: int) -> float:
        for _ in range(3):
            call()
        began, rounds = time.perf_counter(), 0
        while time.perf_counter() - began < 2.0:
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            rounds += 1
        return n * rounds / (time.perf_counter() - began)

    def ready(net: nn.Module) -> Any:
        return net.eval().requires_grad_(False).to(device)

    torch.manual_seed(0)
    found: dict[str, float] = {}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        inception, image = ready(Inception()), torch.rand(64, 3, 299, 299, device=device)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--avhubert", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--copies", type=int, default=32)
    parser.add_argument("--workers", default="1,16")
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

    folder = args.out / "clips"
    seconds = copies(args.clip, folder, args.copies)
    given = weights(args.out / "weights", args.avhubert)
    env = os.environ | {"LIPSYNC_EVAL_WEIGHTS": str(args.out / "weights"), "OMP_NUM_THREADS": "1"}
    for name in METRICS:
        for workers in map(int, args.workers.split(",")):
            found = run(name, workers, folder, given, args.device, env)
            ok = found["ended"] == "exit 0"  # a run that failed has no rate
            found["times_real_time"] = args.copies * seconds / found["seconds"] if ok else None
            results["runs"][f"{name}, {workers} workers"] = found
            rate = f"{found['times_real_time']:.1f} x real time" if ok else "failed"
            rows.append(f"| {name}, {workers} workers | {rate} ({found['ended'].strip()}) |")
            print(rows[-1], flush=True)
            keep()
    results["networks"] = networks(args.device)
    rows += [f"| {name} | {rate:.0f} a second |" for name, rate in results["networks"].items()]
    print("\n".join(rows[-len(results["networks"]) :]), flush=True)
    keep()


if __name__ == "__main__":
    main()
