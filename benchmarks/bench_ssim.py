"""SSIM and MS-SSIM of 256x256 RGB frames: how much faster than the peers that can be imported, one thread.

    OMP_NUM_THREADS=1 python benchmarks/bench_ssim.py [--frames 24] [--rounds 15] [--side 256]

All see the same frames in one run, in turns, so that whatever else the machine does falls on all of them. The torch
peers get float32 tensors that are made beforehand, one frame at a time and all at once, without gradients; the better
of the two counts. A time is the least CPU time of the rounds, per frame: of all threads of the process, so that what
else runs on the machine counts little. Values are compared with float64 results: scikit-image for SSIM, pytorch-msssim
on float64 tensors for MS-SSIM.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import numpy as np

from lipsync_eval import ms_ssim, ssim

Measure = Callable[[], np.ndarray]


def pictures(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, side, side, 3) uint8 parts of scikit-image's astronaut, and the same with blur, noise and a shift."""
    import cv2
    from skimage.data import astronaut

    rng = np.random.default_rng(0)
    whole = cv2.resize(astronaut(), None, fx=max(1.0, 2 * side / 512), fy=max(1.0, 2 * side / 512))
    corners = rng.integers(0, np.array(whole.shape[:2]) - side + 1, (n, 2))
    real = np.stack([whole[y : y + side, x : x + side] for y, x in corners])
    worse = np.stack([cv2.GaussianBlur(np.roll(p, i % 3, 1), (0, 0), 0.5 + i % 4) for i, p in enumerate(real)])
    return real, np.clip(np.rint(worse + rng.normal(0, 4, worse.shape)), 0, 255).astype(np.uint8)


def skimage_peers(module: ModuleType, a: np.ndarray, b: np.ndarray) -> dict[str, dict[str, Measure]]:
    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 255,
        "channel_axis": -1,
    }
    metrics = import_module("skimage.metrics")
    return {
        "ssim": {
            "scikit-image": lambda: np.array([metrics.structural_similarity(x, y, **options) for x, y in zip(a, b)])
        }
    }


def torch_peers(module: ModuleType, a: np.ndarray, b: np.ndarray) -> dict[str, dict[str, Measure]]:
    """Both metrics of a torch package: frame by frame, and in one batch."""
    import torch

    x, y = (torch.from_numpy(p).permute(0, 3, 1, 2).float().contiguous() for p in (a, b))
    functions: dict[str, dict[str, Callable[..., torch.Tensor]]] = {
        "pytorch_msssim": lambda: {
            "ssim": lambda p, q: module.ssim(p, q, data_range=255, size_average=False),
            "ms_ssim": lambda p, q: module.ms_ssim(p, q, data_range=255, size_average=False),
        },
        "piq": lambda: {
            "ssim": lambda p, q: module.ssim(p, q, data_range=255, downsample=False, reduction="none"),
            "ms_ssim": lambda p, q: module.multi_scale_ssim(p, q, data_range=255, reduction="none"),
        },
        "torchmetrics": lambda: {
            "ssim": lambda p, q: import_module("torchmetrics.functional.image").structural_similarity_index_measure(
                p, q, data_range=255.0, reduction="none"
            ),
            "ms_ssim": lambda p, q: import_module(
                "torchmetrics.functional.image"
            ).multiscale_structural_similarity_index_measure(
                p, q, data_range=255.0, normalize="relu", reduction="none"
            ),
        },
    }[module.__name__]()
    out: dict[str, dict[str, Measure]] = {}
    for metric, function in functions.items():

        def one_by_one(function: Callable[..., torch.Tensor] = function) -> np.ndarray:
            with torch.inference_mode():
                return np.array([float(function(x[i : i + 1], y[i : i + 1])) for i in range(len(x))])

        def batched(function: Callable[..., torch.Tensor] = function) -> np.ndarray:
            with torch.inference_mode():
                return function(x, y).numpy().astype(np.float64)

        out[metric] = {module.__name__: one_by_one, f"{module.__name__}, batch of {len(x)}": batched}
    return out


PEERS = {"skimage": skimage_peers, "pytorch_msssim": torch_peers, "piq": torch_peers, "torchmetrics": torch_peers}


def peers(a: np.ndarray, b: np.ndarray) -> dict[str, dict[str, Measure]]:
    """metric -> name -> what measures all frames; ours first."""
    found: dict[str, dict[str, Measure]] = {
        "ssim": {"ours": lambda: np.asarray(ssim(b, a))},
        "ms_ssim": {"ours": lambda: np.asarray(ms_ssim(b, a))},
    }
    for name, make in PEERS.items():
        try:
            module = import_module(name)
        except Exception as error:
            print(f"left out: {name} cannot be imported ({str(error).splitlines()[0]})")
            continue
        for metric, measures in make(module, b, a).items():
            found[metric] |= measures
    return found


def reference(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """Values in float64."""
    out = {"ssim": skimage_peers(import_module("skimage"), b, a)["ssim"]["scikit-image"]()}
    try:
        module = import_module("pytorch_msssim")
    except ImportError:
        return out
    import torch

    x, y = (torch.from_numpy(p.astype(np.float64)).permute(0, 3, 1, 2) for p in (b, a))
    out["ms_ssim"] = np.array(
        [float(module.ms_ssim(x[i : i + 1], y[i : i + 1], data_range=255)) for i in range(len(a))]
    )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1 for a comparison on one thread")
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    a, b = pictures(given.frames, given.side)
    measures, right = peers(a, b), reference(a, b)
    best = {metric: dict.fromkeys(rows, np.inf) for metric, rows in measures.items()}
    values = {metric: {name: measure() for name, measure in rows.items()} for metric, rows in measures.items()}
    for _ in range(given.rounds):
        for metric, rows in measures.items():
            for name, measure in rows.items():
                start = time.process_time()
                measure()
                best[metric][name] = min(best[metric][name], (time.process_time() - start) / given.frames)
    for metric, times in best.items():
        print(f"\n{metric}, {given.frames} frames of {given.side}x{given.side}")
        for name, seconds in times.items():
            away = f"{np.abs(values[metric][name] - right[metric]).max():.1e}" if metric in right else "-"
            print(
                f"  {name:32} {seconds * 1e3:7.2f} ms  {seconds / times['ours']:6.2f}x ours  largest difference from float64 {away}"
            )
        others = [seconds for name, seconds in times.items() if name != "ours"]
        if others:
            print(f"  -> {min(others) / times['ours']:.1f} times as fast as the fastest peer")


if __name__ == "__main__":
    main()
