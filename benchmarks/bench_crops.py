"""One 256 px crop of a 512 px frame: `warp.render` against peers that sample bilinearly.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_crops.py. Prints processor time and how many times longer a peer takes.
scikit-image samples as exactly (float64) but does not antialias; cv2.warpAffine rounds places to 1/32 px and does not
antialias.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
from skimage.transform import AffineTransform, warp

from lipsync_eval.warp import invert, render


def crop(shrink: float, angle: float, centre: tuple[float, float], side: int = 256) -> np.ndarray:
    c, s = np.cos(angle) / shrink, np.sin(angle) / shrink
    linear = np.array([[c, s], [-s, c]])
    return np.c_[linear, (side - 1) / 2 - linear @ centre]


def best(call, rounds: int = 30) -> float:
    """Milliseconds of processor time, the least of several rounds."""
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return 1000 * min(times)


def main() -> None:
    cv2.setNumThreads(1)
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    cases = {
        "shrinks 1.5": (1.5, (256, 256)),
        "enlarges 1.4": (0.7, (256, 256)),
        "shrinks 1.8, overflows": (1.8, (256, 330)),
    }
    for name, (shrink, centre) in cases.items():
        matrix = crop(shrink, 0.05, centre)
        back = AffineTransform(np.vstack([invert(matrix), [0, 0, 1]]))
        ours = best(lambda m=matrix: render(picture, m, (256, 256)))
        exact = best(lambda b=back: warp(picture, b, output_shape=(256, 256), order=1, mode="reflect"), 5)
        rough = best(lambda m=matrix: cv2.warpAffine(picture, m, (256, 256), borderMode=cv2.BORDER_REFLECT_101))
        print(f"{name:24} {ours:6.2f} ms   scikit-image {exact / ours:6.2f} x   cv2.warpAffine {rough / ours:6.2f} x")


if __name__ == "__main__":
    main()
