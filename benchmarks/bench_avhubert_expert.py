"""The AV-HuBERT-expert generator on a GPU: seconds per training step with each of the four sync losses, at 96 px.

    python benchmarks/bench_avhubert_expert.py DATA AVHUBERT --out FILE.json [--batches 4,16] [--precisions fp32,bf16]

DATA is a folder of `avhubert-expert prepare`, AVHUBERT an official checkpoint. The lip expert is a seeded one of full
width: speed does not depend on what it has learnt. Every step is the whole one: generator, discriminator, sync loss.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from lipsync_eval.baselines.avhubert_expert import presets
from lipsync_eval.baselines.avhubert_expert.config import LIP_EXPERT
from lipsync_eval.baselines.avhubert_expert.data.inputs import open_pool
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import LipExpert
from lipsync_eval.baselines.avhubert_expert.training.generator import ExpertRecipe
from lipsync_eval.baselines.kit.training.checkpoints import save_checkpoint
from lipsync_eval.baselines.kit.training.generator import GeneratorTask
from lipsync_eval.baselines.kit.training.processes import Ranks

KINDS = ("lip_expert", "visual-visual", "multimodal", "unsupervised")
WARM = 5


def wait(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def speed(args, ranks, kind, precision, batch, expert):
    settings = [
        f"data.folder={json.dumps(str(args.data))}",
        f"data.holdout={args.holdout}",
        f"data.workers={args.workers}",
        f"expert.weights={json.dumps(str(expert))}",
        f"loss.sync_kind={kind}",
        f"loss.avhubert_weights={json.dumps(str(args.avhubert))}",
        f"train.batch={batch}",
        f"train.precision={precision}",
        "train.validation_windows=1",
    ]
    config = presets.load(overrides=settings, preset=args.preset)
    try:
        task = GeneratorTask(ExpertRecipe(config), ranks, open_pool(config))
        for number in range(WARM):
            task.step(number)
        if ranks.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        wait(ranks.device)
        begun = time.perf_counter()
        for number in range(WARM, WARM + args.steps):
            task.step(number)
        wait(ranks.device)
        seconds = (time.perf_counter() - begun) / args.steps
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None
    peak = torch.cuda.max_memory_allocated() / 2**20 if ranks.device.type == "cuda" else None
    return {"seconds_per_step": seconds, "peak_mib": peak}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("avhubert", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="avhubert-expert-96")
    parser.add_argument("--batches", default="4,16")
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--holdout", default="tail:0.2")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--device", default="cuda", help="cpu only to try the script")
    args = parser.parse_args()
    ranks = Ranks(0, 1, torch.device(args.device))
    name = torch.cuda.get_device_name() if args.device.startswith("cuda") else "cpu"
    found = {"device": name, "torch": torch.__version__, "preset": args.preset, "speed": {}}
    print(name, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        config = presets.load(preset=args.preset)
        torch.manual_seed(0)
        net = LipExpert(config.expert)
        expert = save_checkpoint(Path(folder), LIP_EXPERT, 1, config, net.state_dict(), {"x": torch.zeros(1)}, {})
        for precision in args.precisions.split(","):
            for batch in (int(b) for b in args.batches.split(",")):
                for kind in KINDS:
                    one = speed(args, ranks, kind, precision, batch, expert)
                    found["speed"][f"{kind} {precision} batch {batch}"] = one
                    peak = "" if one is None or one["peak_mib"] is None else f", peak {one['peak_mib']:.0f} MiB"
                    told = "out of memory" if one is None else f"{one['seconds_per_step']:.3f} s a step{peak}"
                    print(f"{kind} {precision} batch {batch}: {told}", flush=True)
                    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
