"""What the networks cost, as ratios of CPU seconds in one run. Seeded weights: speed does not depend on them.

    python benchmarks/bench_networks.py second CLIP [--metrics core|all] [--copies 2] [--cache-crops]
    python benchmarks/bench_networks.py lse CLIP [--copies 1]
    python benchmarks/bench_networks.py official CLIP [--frames 16]
    python benchmarks/bench_networks.py weights FOLDER

official: the networks of all metrics on crops of both videos as the official tools run them (one after the other, batch
        norm not folded, channels first, each frame alone where they do), against ours; and the share of `score`'s CPU
        time that is spent inside of networks.
second: a second generated folder against the same real folder with the same cache, against the first one.
weights: only the seeded weights of all networks, into FOLDER.
lse:    LSE alone from file to number, seconds a clip, against the time that its network (lips and audio) takes by itself.

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
from typing import Any

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
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode not in (0, 3):  # 3: a pooled metric may have too few windows in one clip
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


def models_ready(cache: Path) -> None:
    """Put dlib's models into the cache, as the first run on a machine does."""
    code = (
        "import sys; from pathlib import Path; from lipsync_eval.cache import Cache; from lipsync_eval.faces import dlib68; "
        "cache = Cache(Path(sys.argv[1])); dlib68._predictor(cache); dlib68._detector(cache)"
    )
    subprocess.run([sys.executable, "-c", code, str(cache)], check=True)


def second(args: argparse.Namespace, folder: Path, given: dict[str, Path]) -> dict[str, float]:
    """First and second generated folder."""
    clips(args.clip, folder, args.copies)
    models_ready(folder / "cache")
    seconds = [
        scoring(
            folder / side, folder / "gt", METRICS[args.metrics], given,
            "--cache", str(folder / "cache"), "--out", str(folder / f"run-{side}"),
            *(["--cache-crops"] if args.cache_crops else []),
        )
        for side in ("one", "two")
    ]  # fmt: skip
    return {"first": seconds[0], "second": seconds[1], "ratio": seconds[1] / seconds[0]}


def official(args: argparse.Namespace, folder: Path, given: dict[str, Path]) -> dict[str, float]:
    """Each network in both ways, in one process on one thread."""
    import time

    import numpy as np
    import torch
    from PIL import Image
    from support import syncnet_official

    from lipsync_eval.device import laid_out
    from lipsync_eval.features import inception, lpips, lpips_weights
    from lipsync_eval.features.arcface import FaceEmbedder
    from lipsync_eval.features.iresnet import IResNet
    from lipsync_eval.features.syncnet import net as syncnet_net
    from lipsync_eval.features.syncnet.track_scorer import TrackScorer
    from lipsync_eval.media import open_clip
    from lipsync_eval.metrics.fid import Fid
    from lipsync_eval.metrics.lpips import lpips as distances
    from lipsync_eval.types import Settings
    from lipsync_eval.weights import load_tensors, locate

    torch.set_num_threads(1)
    settings = Settings(weights=given, device="cpu")
    clip = open_clip(args.clip)
    shown = [np.asarray(Image.fromarray(f).resize((256, 256))) for f in clip.frames(0, args.frames)]
    crops = np.stack(shown)
    faces = np.stack([np.asarray(Image.fromarray(f).resize((112, 112))) for f in shown])
    lips = np.stack([np.asarray(Image.fromarray(f).resize((224, 224)))[..., ::-1] for f in shown])
    audio = np.random.default_rng(0).integers(-9000, 9000, 640 * args.frames).astype(np.int16)
    whole = inception.Inception().eval().requires_grad_(False)
    arc = IResNet("iresnet50").eval().requires_grad_(False)
    alex = lpips.LPIPS("alex").eval().requires_grad_(False)
    lse_net = syncnet_official.seeded_net()

    def nchw(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))).float()

    def fid_alone() -> None:
        whole(inception.prepare(nchw(crops).byte(), "pytorch"))
        large = [[np.asarray(Image.fromarray(f[..., c].astype(np.float32), mode="F").resize((299, 299), Image.Resampling.BICUBIC))
                  for c in range(3)] for f in shown]  # fmt: skip
        whole((torch.from_numpy(np.stack([np.stack(f) for f in large])).clamp(0, 255) - 128) / 128)

    def csim_alone() -> None:
        for x in nchw(faces):
            arc((x[None] - 127.5) / 127.5)

    def lpips_alone() -> None:
        for x in nchw(crops):
            alex(x[None] / 127.5 - 1, x[None].flip(3) / 127.5 - 1, check=False)

    def lse_ours() -> None:
        scorer = TrackScorer(net, audio, args.frames)
        for crop in lips:
            scorer.add(crop)
        scorer.finish()

    family = Fid(settings, frozenset({"fid", "fid_clean"}))
    embedder = FaceEmbedder(locate(settings, "w600k_r50", role="arcface"))
    net = syncnet_net.load(given["syncnet"], "x", "cpu")
    trunk = laid_out(lpips_weights.load("alex", *lpips_weights.find(settings, "alex")), torch.device("cpu"))
    load_tensors(given["syncnet"])
    ways = {
        "fid, fid_clean": (fid_alone, lambda: [family.embed(crops, m) for m in ("fid", "fid_clean")], 2),
        "csim": (csim_alone, lambda: embedder(faces), 2),
        "lpips": (lpips_alone, lambda: distances(trunk, crops, crops[:, :, ::-1]), 1),
        "lse": (lambda: syncnet_official.evaluate(lse_net, lips, audio), lse_ours, 2),
    }

    def spent(call: object) -> float:
        with torch.inference_mode():
            call()  # type: ignore[operator]
            began = time.process_time()
            call()  # type: ignore[operator]
            return time.process_time() - began

    found: dict[str, float] = {}
    total = [0.0, 0.0]
    for name, (theirs, ours, sides) in ways.items():
        a, b = spent(theirs) * sides, spent(ours) * sides
        total = [total[0] + a, total[1] + b]
        found[name] = a / b
    found["all, official seconds"], found["all, our seconds"], found["all"] = total[0], total[1], total[0] / total[1]
    found["share of score inside networks"] = share(args, folder, settings)
    return found


def share(args: argparse.Namespace, folder: Path, settings: object) -> float:
    """CPU seconds inside of networks over those of a whole `score` of both videos."""
    import time
    from itertools import islice

    import cv2

    import lipsync_eval
    from lipsync_eval.features.arcface import FaceNetwork
    from lipsync_eval.features.inception import Pool3
    from lipsync_eval.features.syncnet.net import Folded
    from lipsync_eval.media import open_clip, write_video
    from lipsync_eval.metrics.lpips import LpipsDistances

    real = open_clip(args.clip)
    audio = None if real.audio is None else real.audio.samples[: args.frames * 640]
    for side, blur in (("gt", 0.0), ("one", 1.0)):
        (folder / side).mkdir()
        frames = (cv2.GaussianBlur(f, (0, 0), blur) if blur else f for f in islice(real.frames(), args.frames))
        write_video(folder / side / "0.mp4", frames, audio=audio, codec="h264", crf=12)
    inside = 0.0

    def timed(method: Any) -> Any:
        def call(*given: Any, **how: Any) -> Any:
            nonlocal inside
            began = time.process_time()
            out = method(*given, **how)
            inside += time.process_time() - began
            return out

        return call

    kinds = ((Pool3, "embed"), (Folded, "lip"), (Folded, "audio"), (FaceNetwork, "run"), (LpipsDistances, "measure"))
    for kind, name in kinds:
        setattr(kind, name, timed(getattr(kind, name)))
    names = "core,lpips,fid,fid_clean,lse_c,lse_d,av_offset,csim"
    how = {"metrics": names, "settings": __import__("dataclasses").replace(settings, cache_dir=None)}
    lipsync_eval.score(folder / "one", folder / "gt", **how)  # loads everything
    inside, began = 0.0, time.process_time()
    lipsync_eval.score(folder / "one", folder / "gt", **how)
    return inside / (time.process_time() - began)


NETWORK = """
import json, resource, sys
import numpy as np, torch
from lipsync_eval.features.syncnet import net
def spent():
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
loaded = net.load(__import__("pathlib").Path(sys.argv[1]), "x", "cpu")
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

    clips(args.clip, folder, args.copies)
    models_ready(folder / "cache")
    n = open_clip(args.clip).n_frames
    cache = ["--cache", str(folder / "cache"), "--overwrite", "--out", str(folder / "run")]
    syncnet = {"syncnet": given["syncnet"]}
    whole, known = (scoring(folder / "one", None, METRICS["lse"], syncnet, *cache) / args.copies for _ in range(2))
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
    parser.add_argument("what", choices=("second", "lse", "official", "weights"))
    parser.add_argument("clip", type=Path, help="a video; with `weights` the folder to write")
    parser.add_argument("--metrics", choices=("core", "all"), default="core")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--cache-crops", action="store_true")
    args = parser.parse_args()
    if args.what == "weights":
        weights(args.clip)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["LIPSYNC_EVAL_WEIGHTS"] = str(folder / "weights")
        given = weights(folder / "weights")
        tree = Path(__file__).resolve().parent.parent
        parts = [str(tree / part) for part in ("lipsync_eval", "protocols", "baselines", "reports")]
        subprocess.run([sys.executable, "-m", "compileall", "-q", *parts], check=True)  # as an installation does
        found = {"second": second, "lse": lse, "official": official}[args.what](args, folder, given)
    print(json.dumps({name: round(value, 2) for name, value in found.items()}))


if __name__ == "__main__":
    main()
