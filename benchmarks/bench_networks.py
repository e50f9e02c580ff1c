"""What the networks cost, as ratios of CPU seconds in one run. Seeded weights: speed does not depend on them.

    python benchmarks/bench_networks.py second CLIP [--metrics core|all] [--copies 2]
    python benchmarks/bench_networks.py lse CLIP

second: a second generated folder against the same real folder with the same cache, against the first one.
lse:    LSE alone from file to number, against the time that its network (lips and audio) takes by itself.

Every run of `score` is a process of its own on one thread; start-up is in it unless --copies makes it small.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

METRICS = {
    "core": "core",
    "all": "core,lpips,fid,fid_clean,fvd_styleganv,lse_c,lse_d,av_offset,csim,avs_u,avs_m,avs_v",
    "lse": "lse_c,lse_d,av_offset",
}


def weights(folder: Path) -> dict[str, Path]:
    """Seeded weights files by row; Inception, LPIPS and I3D go by their published names into the folder."""
    import torch
    from golden.seeded_weights import fill
    from support import perception, quality, syncnet_official

    from lipsync_eval.features.iresnet import IResNet

    folder.mkdir(parents=True, exist_ok=True)
    perception.write_lpips(folder)
    perception.write_inception(folder)
    quality.write_fvd(folder)
    torch.save(syncnet_official.seeded_state(1, 0.3), folder / "syncnet.pth")
    torch.save(fill(IResNet("iresnet50").state_dict(), 3), folder / "r50.pt")
    avhubert(folder / "avhubert.pt")
    return {
        "syncnet": folder / "syncnet.pth",
        "w600k_r50": folder / "r50.pt",
        "avhubert-base-vox-433h": folder / "avhubert.pt",
    }


def avhubert(path: Path) -> None:
    """A Base encoder with random weights, in the form of a pre-trained checkpoint."""
    import torch

    from lipsync_eval.features.avhubert import BASE, AVHuBERT

    torch.manual_seed(0)
    model = AVHuBERT(BASE)
    cfg = {
        "encoder_layers": BASE.layers, "encoder_embed_dim": BASE.dim, "encoder_ffn_embed_dim": BASE.ffn,
        "encoder_attention_heads": BASE.heads, "layer_norm_first": True, "modality_fuse": "concat",
        "activation_fn": "gelu", "audio_feat_dim": 104, "resnet_relu_type": "prelu", "sim_type": "cosine",
    }  # fmt: skip
    task = {"normalize": True, "stack_order_audio": 4, "image_mean": 0.421, "image_std": 0.165, "image_crop_size": 88}
    torch.save({"model": model.state_dict(), "cfg": {"model": cfg, "task": task}}, path)


def clips(clip: Path, folder: Path, copies: int) -> None:
    """Real videos and two generated folders (blurred by 1.0 and 1.5), `copies` of each, no two with equal bytes."""
    import cv2

    from lipsync_eval.media import open_clip, write_video

    real = open_clip(clip)
    audio = None if real.audio is None else real.audio.samples
    for k in range(copies):
        for side, blur in (("gt", 0.0), ("one", 1.0), ("two", 1.5)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            frames = (cv2.GaussianBlur(f, (0, 0), blur) if blur else f for f in real.frames())
            write_video(folder / side / f"{k}.mp4", frames, audio=audio, codec="h264", crf=12 + k)


def cpu(command: list[str]) -> float:
    """CPU seconds of a process and of its children."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "LIPSYNC_EVAL_WEIGHTS": os.environ["LIPSYNC_EVAL_WEIGHTS"]}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def scoring(gen: Path, gt: Path | None, metrics: str, given: dict[str, Path], *more: str) -> float:
    """CPU seconds of one run of `score`."""
    line = [sys.executable, "-m", "lipsync_eval", "score", str(gen), *([str(gt)] if gt else [])]
    line += ["--metrics", metrics, "--device", "cpu", "--quiet", "--offline", *more]
    for row, file in given.items():
        line += ["--weights", f"{row}={file}"]
    return cpu(line)


def second(args: argparse.Namespace, folder: Path, given: dict[str, Path]) -> dict[str, float]:
    """First and second generated folder."""
    clips(args.clip, folder, args.copies)
    seconds = [
        scoring(
            folder / side, folder / "gt", METRICS[args.metrics], given,
            "--cache", str(folder / "cache"), "--out", str(folder / f"run-{side}"),
        )
        for side in ("one", "two")
    ]  # fmt: skip
    return {"first": seconds[0], "second": seconds[1], "ratio": seconds[1] / seconds[0]}


NETWORK = """
import json, resource, sys
import numpy as np, torch
from lipsync_eval.features.syncnet import net
def spent():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
loaded = net.load(__import__("pathlib").Path(sys.argv[1]), "x", torch.device("cpu"))
n = int(sys.argv[2])
crops = np.random.default_rng(0).integers(0, 256, (n, 224, 224, 3), np.uint8)
columns = np.random.default_rng(0).normal(size=(13, 4 * (n - 5) + 20))
loaded.lip(crops[:8])
began = spent()
for i in range(0, n - 4, loaded.rows):
    loaded.lip(crops[i : i + loaded.rows + 4])
loaded.audio(columns)
print(spent() - began)
"""


def lse(args: argparse.Namespace, folder: Path, given: dict[str, Path]) -> dict[str, float]:
    """From file to number, the same with faces from the cache, and the network alone."""
    from lipsync_eval.media import open_clip

    clips(args.clip, folder, 1)
    n = open_clip(args.clip).n_frames
    cache = ["--cache", str(folder / "cache"), "--overwrite", "--out", str(folder / "run")]
    syncnet = {"syncnet": given["syncnet"]}
    whole = scoring(folder / "one", None, METRICS["lse"], syncnet, *cache)
    known = scoring(folder / "one", None, METRICS["lse"], syncnet, *cache)
    nothing = cpu([sys.executable, "-m", "lipsync_eval", "list", "metrics"])
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-c", NETWORK, str(given["syncnet"]), str(n)]
    alone = float(subprocess.run(line, capture_output=True, text=True, check=True, env=env).stdout)
    return {
        "from file": whole, "faces known": known, "start-up": nothing, "network": alone,
        "ratio": whole / alone, "ratio, faces known": known / alone,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("second", "lse"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--metrics", choices=("core", "all"), default="core")
    parser.add_argument("--copies", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["LIPSYNC_EVAL_WEIGHTS"] = str(folder / "weights")
        given = weights(folder / "weights")
        found = {"second": second, "lse": lse}[args.what](args, folder, given)
    print(json.dumps({name: round(value, 2) for name, value in found.items()}))


if __name__ == "__main__":
    main()
