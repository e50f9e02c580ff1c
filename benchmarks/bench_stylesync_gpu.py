"""StyleSync on a GPU: frames per second and peak memory of training steps at 256 px, and of dubbing.

    python benchmarks/bench_stylesync_gpu.py DATA --out OUT [--device cuda] [--preset stylesync-256] [--batches 4,8]

DATA is a folder of `stylesync prepare` (256 px). A step is one update of G and of D on `batch` windows of 5 frames, VGG and
sync loss off; one of the 12 timed steps has the R1 penalty. Everything printed is also in OUT/stylesync.json.
"""

import argparse
import json
import time
from pathlib import Path

import torch

from lipsync_eval.baselines.kit.training.generator import GeneratorTask
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.stylesync import presets
from lipsync_eval.baselines.stylesync.data.inputs import open_pool
from lipsync_eval.baselines.stylesync.network.build import build
from lipsync_eval.baselines.stylesync.training.generator import StyleSyncRecipe

WINDOW = 5
STEPS = 12


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak(device):
    return torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None


def fresh(device):
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def training(args, ranks, precision, batch):
    """Frames per second and peak memory (MiB); None where the memory does not suffice."""
    settings = [
        f"data.folder={json.dumps(str(args.data))}",
        f"data.holdout={args.holdout}",
        f"data.workers={args.workers}",
        f"train.batch={batch}",
        f"train.precision={precision}",
        "train.validation_windows=1",
    ]
    config = presets.load(overrides=settings, preset=args.preset)
    fresh(ranks.device)
    try:
        pool = open_pool(config)
        task = GeneratorTask(StyleSyncRecipe(config, pool), ranks, pool)
        for number in range(1, 4):
            task.step(number)
        wait(ranks.device)
        begun = time.perf_counter()
        for number in range(16, 16 + args.steps):
            task.step(number)
        wait(ranks.device)
    except torch.cuda.OutOfMemoryError:
        return None
    rate = args.steps * batch * WINDOW / (time.perf_counter() - begun)
    return {"frames_per_second": rate, "peak_mib": peak(ranks.device)}


@torch.inference_mode()
def inference(args, device, precision, batch):
    """Frames per second of G alone and peak memory (MiB)."""
    config = presets.load(preset=args.preset).model
    fresh(device)
    model = build(config).eval().to(device)
    frames = torch.zeros(batch, 3, config.size, config.size, device=device)
    mel = torch.zeros(batch, 1, 80, 16, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        for _ in range(2):
            model(frames, frames, mel)
        wait(device)
        begun = time.perf_counter()
        for _ in range(args.steps):
            model(frames, frames, mel)
        wait(device)
    return {"frames_per_second": args.steps * batch / (time.perf_counter() - begun), "peak_mib": peak(device)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--preset", default="stylesync-256")
    parser.add_argument("--batches", default="8")
    parser.add_argument("--holdout", default="clips:0.5")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    device = torch.device(args.device)
    ranks = Ranks(0, 1, device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    found = {"device": name, "preset": args.preset, "rows": []}
    for precision in ("fp32", "bf16"):
        for batch in map(int, args.batches.split(",")):
            for what, numbers in (
                ("training", training(args, ranks, precision, batch)),
                ("inference", inference(args, device, precision, batch)),
            ):
                found["rows"].append({"what": what, "precision": precision, "batch": batch, **(numbers or {})})
                said = "out of memory" if numbers is None else f"{numbers['frames_per_second']:.2f} frames/s"
                memory = f", peak {numbers['peak_mib']:.0f} MiB" if numbers and numbers["peak_mib"] else ""
                print(f"{name}, {args.preset}, {what}, {precision}, batch {batch}: {said}{memory}", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "stylesync.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
