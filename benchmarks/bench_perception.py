"""LPIPS of crop pairs against the lpips package, and the Frechet distance against scipy's sqrtm: time and memory, one thread.

    OMP_NUM_THREADS=1 python benchmarks/bench_perception.py [--pairs 250] [--side 256] [--rounds 3]

Every contender works in a process of its own, in turns, on the same frames (or feature sets) and seeded weights; its time
is the least CPU time of the rounds without loading, its memory the peak less what it held when the work began (Linux). Needs
lpips and torchvision for the first comparison; where torchvision's compiled part does not fit the torch that is
installed, the two operators whose absence breaks its import are declared, which changes nothing that lpips runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Work = Callable[[], np.ndarray]


def frames(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, side, side, 3) uint8 parts of scikit-image's astronaut, and the same blurred."""
    import cv2
    from skimage.data import astronaut

    rng = np.random.default_rng(0)
    corners = rng.integers(0, 512 - side + 1, (n, 2))
    real = np.stack([astronaut()[y : y + side, x : x + side] for y, x in corners])
    return real, np.stack([cv2.GaussianBlur(p, (0, 0), 0.5 + i % 4) for i, p in enumerate(real)])


def seeded(shapes: dict[str, Any]) -> dict[str, Any]:
    """Weights that both trunks get, by key."""
    import torch

    out = {}
    for key, old in sorted(shapes.items()):
        generator = torch.Generator().manual_seed(len(out))
        scale = (2 / np.prod(old.shape[1:])) ** 0.5 if old.ndim > 1 else 0.01
        out[key] = torch.randn(old.shape, generator=generator) * scale
    return out


def ours_lpips(n: int, side: int) -> Work:
    import torch

    from lipsync_eval.features.lpips import LPIPS
    from lipsync_eval.metrics.lpips import lpips

    torch.set_num_threads(1)
    network = LPIPS("alex")
    trunk = {k: v for k, v in network.state_dict().items() if k.startswith("features.")}
    network.load_state_dict(seeded(trunk) | {k: v for k, v in network.state_dict().items() if k.startswith("lins.")})
    real, made = frames(n, side)
    network.eval().to(memory_format=torch.channels_last)
    return lambda: lpips(network, made, real)


def peer_lpips(n: int, side: int, batch: int) -> Work:
    import torch

    torch.set_num_threads(1)
    package = _import_lpips()
    network = package.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).eval()
    from lipsync_eval.features.lpips import LPIPS

    trunk = {k: v for k, v in LPIPS("alex").state_dict().items() if k.startswith("features.")}
    weights = seeded(trunk)
    for name, parameter in network.net.named_parameters():
        parameter.data.copy_(weights["features." + name.split(".", 1)[1]])
    for k in range(5):
        linear = getattr(network, f"lin{k}").model[1].weight
        linear.data.fill_(1 / linear.shape[1])
    real, made = frames(n, side)

    def work() -> np.ndarray:
        out = []
        with torch.inference_mode():
            for i in range(0, n, batch):
                a, b = (
                    torch.from_numpy(x[i : i + batch]).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
                    for x in (made, real)
                )
                out.append(network(a, b).flatten().double().numpy())
        return np.concatenate(out)

    return work


def _import_lpips() -> Any:
    import torch

    try:
        import lpips
    except RuntimeError:
        for name in [n for n in sys.modules if n.split(".")[0] in {"torchvision", "lpips"}]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_library"] = library
        import lpips
    return lpips


def _sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(2048, 2048)) / 45
    return tuple(np.abs(rng.normal(size=(3000, 2048)) @ mix * s).astype(np.float32) for s in (1.0, 1.1))  # type: ignore[return-value]


def ours_frechet(n: int, side: int) -> Work:
    from lipsync_eval.metrics.helpers.frechet import Moments, frechet_distance

    a, b = (Moments.of(x) for x in _sets())
    return lambda: np.array([frechet_distance(a.mean, a.covariance, b.mean, b.covariance)])


def peer_frechet(n: int, side: int) -> Work:
    """pytorch-fid's formula: scipy's sqrtm of the product of the covariances."""
    from scipy.linalg import sqrtm

    x, y = (s.astype(np.float64) for s in _sets())
    m, s = (x.mean(0), y.mean(0)), (np.cov(x, rowvar=False), np.cov(y, rowvar=False))
    return lambda: np.array(
        [((m[0] - m[1]) ** 2).sum() + np.trace(s[0]) + np.trace(s[1]) - 2 * np.trace(sqrtm(s[0] @ s[1]).real)]
    )


CONTENDERS: dict[str, dict[str, Callable[[int, int], Work]]] = {
    "lpips": {
        "ours": ours_lpips,
        "lpips, batch of 16": lambda n, side: peer_lpips(n, side, 16),
        "lpips, one by one": lambda n, side: peer_lpips(n, side, 1),
        "lpips, all at once": lambda n, side: peer_lpips(n, side, n),
    },
    "frechet": {"ours": ours_frechet, "scipy sqrtm": peer_frechet},
}


def child(metric: str, name: str, n: int, side: int) -> None:
    """Do one contender's work once, and say what it cost."""
    work = CONTENDERS[metric][name](n, side)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before, start = _memory("VmRSS"), time.process_time()
    found = work()
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "mb": _memory("VmHWM") - before, "values": found.tolist()}))


def _memory(what: str) -> float:
    """MB, from Linux."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(what))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=250)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(*given.child, given.pairs, given.side)
        return
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1 for a comparison on one thread")
    for metric, contenders in CONTENDERS.items():
        best: dict[str, dict[str, Any]] = {}
        for _ in range(given.rounds):
            for name in contenders:
                command = [
                    sys.executable,
                    __file__,
                    "--child",
                    metric,
                    name,
                    "--pairs",
                    str(given.pairs),
                    "--side",
                    str(given.side),
                ]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    best.setdefault(name, {"error": done.stderr.strip().splitlines()[-1]})
                    continue
                found = json.loads(done.stdout)
                if name not in best or found["seconds"] < best[name]["seconds"]:
                    best[name] = found
        report(metric, best, given)


def report(metric: str, best: dict[str, dict[str, Any]], given: argparse.Namespace) -> None:
    """Print one table."""
    print(
        f"\n{metric}"
        + (f", {given.pairs} pairs of {given.side}x{given.side}" if metric == "lpips" else ", two covariances of 2048")
    )
    ours = best["ours"]
    for name, found in best.items():
        if "error" in found:
            print(f"  {name:20} left out: {found['error']}")
            continue
        away = np.abs(np.array(found["values"]) / np.array(ours["values"]) - 1).max()
        ratio = f"{found['seconds'] / ours['seconds']:5.2f}x the time, {found['mb'] / max(ours['mb'], 1):5.2f}x the memory of ours"
        print(
            f"  {name:20} {found['seconds']:7.2f} s CPU  {found['mb']:7.0f} MB more at peak   {ratio}, values within {away:.0e}"
        )


if __name__ == "__main__":
    main()
