"""cpbd, niqe and brisque of frames against the public Python ports, side by side in one run: numbers and CPU time, one thread.

    OMP_NUM_THREADS=1 python benchmarks/bench_quality.py --weights FOLDER [--frames 6] [--side 256] [--rounds 3]

The ports are imported where they are installed, and left out with the reason where they are not:

    pip install --no-deps cpbd==1.0.7 brisque==0.2.0 libsvm-official scikit-video==1.1.11 basicsr==1.4.2 pyiqa

They are old, so what they import and newer libraries no longer have is put back first (`scipy.ndimage.imread`,
`scipy.ndimage.filters`, `scipy.misc.imresize` as Pillow's float resize, `numpy.int`); nothing of their arithmetic is touched.
FOLDER holds the files of the rows niqe-live, niqe-skvideo and brisque-pypi. Times are the least CPU time of the rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

Measure = Callable[[np.ndarray], float]


def frames(n: int, side: int) -> list[np.ndarray]:
    """(side, side, 3) uint8 parts of scikit-image's astronaut: as they are, blurred, noised, in turn."""
    import cv2
    from skimage.data import astronaut

    rng = np.random.default_rng(0)
    whole = astronaut()
    made = []
    for k in range(n):
        y, x = rng.integers(0, 512 - side + 1, 2)
        part = whole[y : y + side, x : x + side]
        worse = (part, cv2.GaussianBlur(part, (0, 0), 1.5), np.clip(part + rng.normal(0, 10, part.shape), 0, 255))[
            k % 3
        ]
        made.append(np.ascontiguousarray(worse, np.uint8))
    return made


def restore() -> None:
    """Put back names that the ports import and newer libraries dropped."""
    import scipy.linalg
    import scipy.ndimage
    from PIL import Image

    def imresize(image: np.ndarray, scale: float, interp: str, mode: str) -> np.ndarray:
        size = (int(image.shape[1] * scale), int(image.shape[0] * scale))
        return np.asarray(Image.fromarray(image.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))

    scipy.ndimage.imread = None
    misc: Any = types.ModuleType("scipy.misc")
    misc.imresize = imresize
    scipy.misc = sys.modules["scipy.misc"] = misc
    filters: Any = types.ModuleType("scipy.ndimage.filters")
    filters.convolve = scipy.ndimage.convolve
    sys.modules["scipy.ndimage.filters"] = filters
    scipy.ndarray = np.ndarray  # type: ignore[attr-defined]
    setattr(np, "int", int)  # noqa: B010  (numpy dropped the alias)


def port_cpbd() -> Measure:
    from lipsync_eval.metrics.quality.grey import pillow_l

    package = import_module("cpbd")
    return lambda frame: float(package.compute(pillow_l(frame)))


def port_basicsr() -> Measure:
    """Only `basicsr/metrics/niqe.py` and what it imports: the package itself wants torchvision."""
    import importlib.util

    spec = importlib.util.find_spec("basicsr")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("basicsr is not installed")
    root = Path(spec.submodule_search_locations[0])
    for name in ("basicsr", "basicsr.utils", "basicsr.metrics"):
        module = types.ModuleType(name)
        module.__path__ = [str(root / name.partition(".")[2])]
        sys.modules[name] = module
    color = import_module("basicsr.utils.color_util")
    sys.modules["basicsr.utils"].bgr2ycbcr = color.bgr2ycbcr  # type: ignore[attr-defined]
    niqe = import_module("basicsr.metrics.niqe")
    return lambda frame: float(niqe.calculate_niqe(frame[..., ::-1].copy(), 0))


def port_skvideo() -> Measure:
    from lipsync_eval.metrics.quality.grey import pillow_l

    import_module("skvideo.measure.niqe")
    niqe = sys.modules["skvideo.measure.niqe"].niqe  # type: ignore[attr-defined]
    return lambda frame: float(niqe(pillow_l(frame))[0])


def port_pyiqa(folder: Path) -> Measure:
    """IQA-PyTorch's function with BasicSR's parameters, as the golden numbers were made."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # its compiled part does not fit this torch: declare what it misses, which NIQE does not use
        for name in [n for n in sys.modules if n.split(".")[0] in {"torchvision", "pyiqa"}]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_library"] = library
    calculate = import_module("pyiqa.archs.niqe_arch").calculate_niqe
    with np.load(folder / "niqe_pris_params.npz") as held:
        mean, covariance = (torch.from_numpy(held[key]) for key in ("mu_pris_param", "cov_pris_param"))

    def measure(frame: np.ndarray) -> float:
        with torch.inference_mode():
            x = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
            return float(calculate(x, mu_pris_param=mean.ravel(), cov_pris_param=covariance))

    return measure


def port_brisque() -> Measure:
    package = import_module("brisque")
    scorer = package.BRISQUE(url=False)
    low, high = (np.array(scorer.scale_params[key], float) for key in ("min_", "max_"))

    def scaled(features: Any) -> np.ndarray:
        return -1 + (2.0 / (high - low) * (np.array([np.ravel(f)[0] for f in features], float) - low))

    scorer.scale_features = scaled  # its own fails on numpy 2: float() of arrays with one element
    return lambda frame: float(scorer.score(frame))


def ours(folder: Path) -> dict[str, Measure]:
    from lipsync_eval.metrics.quality.brisque_score import brisque
    from lipsync_eval.metrics.quality.cpbd_score import cpbd
    from lipsync_eval.metrics.quality.grey import pillow_l
    from lipsync_eval.metrics.quality.models import load_brisque_pypi, load_niqe
    from lipsync_eval.metrics.quality.niqe_score import niqe

    live, own = load_niqe(folder / "niqe_pris_params.npz"), load_niqe(folder / "niqe_image_params.mat")
    model = load_brisque_pypi(folder / "brisque_svm.txt", folder / "brisque_normalize.pickle")
    return {
        "cpbd": lambda frame: cpbd(pillow_l(frame)),
        "niqe (basicsr)": lambda frame: niqe(frame, live, "basicsr"),
        "niqe (pyiqa)": lambda frame: niqe(frame, live, "pyiqa"),
        "niqe (skvideo)": lambda frame: niqe(frame, own, "skvideo"),
        "brisque (pypi)": lambda frame: brisque(frame, model, "pypi"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        parser.error("set OMP_NUM_THREADS=1 for a comparison on one thread")
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    restore()
    makers: dict[str, Callable[[], Measure]] = {
        "cpbd": port_cpbd,
        "niqe (basicsr)": port_basicsr,
        "niqe (pyiqa)": lambda: port_pyiqa(given.weights),
        "niqe (skvideo)": port_skvideo,
        "brisque (pypi)": port_brisque,
    }
    made = frames(given.frames, given.side)
    print(f"{given.frames} frames of {given.side} x {given.side}, one thread, least CPU time of {given.rounds} rounds")
    for name, mine in ours(given.weights).items():
        try:
            theirs = makers[name]()
            theirs(made[0])
        except Exception as error:
            print(f"  {name:16} left out: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            continue
        best = {"ours": np.inf, "port": np.inf}
        values = {"ours": [mine(f) for f in made], "port": [theirs(f) for f in made]}
        for _ in range(given.rounds):
            for who, measure in (("ours", mine), ("port", theirs)):
                start = time.process_time()
                for frame in made:
                    measure(frame)
                best[who] = min(best[who], (time.process_time() - start) / len(made) * 1e3)
        away = np.abs(np.array(values["ours"]) / np.array(values["port"]) - 1).max()
        print(
            f"  {name:16} port {best['port']:8.1f} ms  ours {best['ours']:6.1f} ms  {best['port'] / best['ours']:5.1f} times as fast, values within {away:.0e}"
        )


if __name__ == "__main__":
    main()
