"""RADIO on a GPU, one command: training speed and memory, table 2 under one equal budget, dubbing.

    python benchmarks/bench_radio_gpu.py DATA VIDEO --out runs/gpu [--minutes 20] [--precision bf16] [--sync RUN] [--vgg FILE]

DATA is a folder of `radio prepare` (192 px), VIDEO a clip to dub. In order:
  1. images per second and peak memory of a training step, 96 and 192 px, fp32 and bf16, for growing batches;
  2. table 2's variants A, B, C, D at 96 px and the supplement's ViT(1,1), (1,2), (2,2): the same number of steps, batch,
     seed and data for each; the number of steps is what D does in its share of --minutes;
  3. the default 192-pixel model for its share;
  4. dubbing: frames per second and the network's share, 96 and 192 px.
Learning curves are in every run's log.jsonl (and TensorBoard); everything printed is also in OUT/results.json. Nothing is
tuned to a variant: the numbers are printed however they come out.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from lipsync_eval.baselines.kit.dubbing.dub import dub
from lipsync_eval.baselines.kit.training.generator import GeneratorTask
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.baselines.radio import presets
from lipsync_eval.baselines.radio.data.inputs import open_pool
from lipsync_eval.baselines.radio.dubbing.generator import load_generator
from lipsync_eval.baselines.radio.training.generator import RadioRecipe, run_training

WINDOW = 5
"""Frames in a training window."""
VARIANTS = {
    "A": ("model.variant=A",),
    "B": ("model.variant=B",),
    "C": ("model.variant=C",),
    "D = ViT(2,2)": (),
    "ViT(1,1)": ("model.vit_blocks=1", "model.vit_layers=1"),
    "ViT(1,2)": ("model.vit_blocks=1", "model.vit_layers=2"),
}


def resolve(args, preset, *more):
    given = [
        f"data.folder={json.dumps(str(args.data))}",
        f"data.holdout={args.holdout}",
        f"data.workers={args.workers}",
    ]
    for key, value in (("loss.sync_checkpoint", args.sync), ("loss.vgg_weights", args.vgg)):
        given += [f"{key}={json.dumps(str(value))}"] if value else []
    return presets.load(overrides=[*given, *more], preset=preset)


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def speed(args, ranks, preset, precision, batch, steps=12, more=()):
    """Frames per second of training steps and peak memory in MiB; None where the memory does not suffice."""
    config = resolve(
        args, preset, f"train.batch={batch}", f"train.precision={precision}", "train.validation_windows=1", *more
    )
    try:
        task = GeneratorTask(RadioRecipe(config), ranks, open_pool(config))
        for number in range(1, 4):
            task.step(number)
        if ranks.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        wait(ranks.device)
        begun = time.perf_counter()
        for number in range(16, 16 + steps):  # one R1 step in it
            task.step(number)
        wait(ranks.device)
        rate = steps * batch * WINDOW / (time.perf_counter() - begun)
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None
    peak = torch.cuda.max_memory_allocated() / 2**20 if ranks.device.type == "cuda" else float("nan")
    return {"frames_per_second": rate, "peak_mib": peak}


def curve(run):
    return [(line["step"], line["val_psnr"], line.get("val_sync")) for line in read_log(run) if "val_psnr" in line]


def trained(args, ranks, label, preset, more, steps, out):
    every, batch = max(1, steps // 10), args.batch
    settings = {
        "steps": steps,
        "batch": batch,
        "precision": args.precision,
        "validate_every": every,
        "save_every": steps,
        "log_every": every,
    }
    config = resolve(args, preset, *more, *(f"train.{key}={value}" for key, value in settings.items()))
    begun = time.perf_counter()
    run_training(config, out, ranks, resume=False, say=lambda text: None)
    points = curve(out)
    first, last = points[0], points[-1]
    line = {
        "steps": steps,
        "batch": batch,
        "seconds": time.perf_counter() - begun,
        "first_psnr": first[1],
        "last_psnr": last[1],
    }
    line |= {"last_sync": last[2], "curve": points}
    sync = "off" if last[2] is None else f"{last[2]:.3f}"
    print(
        f"{label:16} {steps} steps of {batch}: PSNR {first[1]:.2f} -> {last[1]:.2f} dB, sync {sync}, {line['seconds']:.0f} s",
        flush=True,
    )
    return line


def affordable(args, ranks, preset, seconds):
    """Steps of the full model (D) that fit into `seconds`; at least 10."""
    found = speed(args, ranks, preset, args.precision, args.batch)
    if found is None:
        raise SystemExit(f"--batch {args.batch} does not fit into the memory at {preset}; give a smaller one")
    return max(10, int(seconds * found["frames_per_second"] / (args.batch * WINDOW)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0, help="for all trainings together")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--holdout", default="clips:0.2")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--sync", type=Path, help="run of train-sync")
    parser.add_argument("--vgg", type=Path, help="torchvision VGG state dict")
    parser.add_argument("--device", default="cuda", help="cpu only to try the script")
    parser.add_argument(
        "--try", dest="small", action="store_true", help="radio-48 in place of both sizes: tries the script on a CPU"
    )
    parser.add_argument("--batches", default="4,16,32", help="of step 1")
    parser.add_argument("--speed-only", action="store_true", help="step 1 alone")
    args = parser.parse_args()
    ranks = Ranks(0, 1, torch.device(args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    results = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "torch": torch.__version__,
        "speed": {},
    }
    print(results["device"], flush=True)
    small, large = ("radio-48", "radio-48") if args.small else ("radio-96", "radio-192")
    for preset in dict.fromkeys((small, large)):
        for precision in ("fp32", "bf16"):
            for batch in (int(b) for b in args.batches.split(",")):
                found = speed(args, ranks, preset, precision, batch)
                results["speed"][f"{preset} {precision} batch {batch}"] = found
                told = (
                    "out of memory"
                    if found is None
                    else f"{found['frames_per_second']:.1f} frames/s, peak {found['peak_mib']:.0f} MiB"
                )
                print(f"{preset} {precision} batch {batch}: {told}", flush=True)
    (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    if args.speed_only:
        return
    share = args.minutes * 60 / (len(VARIANTS) + 2)
    results["training"] = {}
    steps = affordable(args, ranks, small, share)
    for number, (label, more) in enumerate(VARIANTS.items()):
        results["training"][label] = trained(args, ranks, label, small, more, steps, args.out / f"{number}")
    steps = affordable(args, ranks, large, 2 * share)
    results["training"]["192"] = trained(args, ranks, "192", large, (), steps, args.out / "large")
    results["dub"] = {}
    for label, run in (("96", "3"), ("192", "large")):
        with tempfile.TemporaryDirectory() as folder:
            report = dub(args.video, args.video, Path(folder) / "out.mp4", load_generator(args.out / run, args.device))
        results["dub"][label] = {"frames_per_second": report.frames_per_second, "network_share": report.network_share}
        print(
            f"dub {label}: {report.frames_per_second:.1f} frames/s, {100 * report.network_share:.0f} % in the network",
            flush=True,
        )
    (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
