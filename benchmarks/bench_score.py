"""`lipsync-eval score --metrics core` on a pair of clips: processor seconds against the clip's own length and against the
official tools in a row, and peak memory, also for a clip many times as long.

    python benchmarks/bench_score.py CLIP.mp4 [--times 75] [--rounds 3] [--protocol radio] [--against OTHER_TREE]

The generated side is a slightly blurred copy. Each measurement is a process of its own, one thread a library; the least of
the rounds counts, and what is compared is measured in turn. The cache holds what does not depend on the videos (dlib's models,
ready for reading; from the second round on) and nothing of them; byte code is kept, as in an installation. `--no-cache` keeps
nothing. "Official tools" is what a paper's
evaluation does: OpenCV decodes both videos, dlib finds a face and 68 points in every frame, OpenCV cuts and scales the face
to 256 px, scikit-image gives PSNR and SSIM (Gaussian window), pytorch-msssim MS-SSIM. `--against` also measures another
checkout of this project. `--times 1` leaves the long clip out.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lipsync_eval.engine.threads import variables
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.types import Frame

OURS = """
import resource, sys
from pathlib import Path
from lipsync_eval import Settings, score
cache = Path(sys.argv[4]) if sys.argv[4] else None
r = score(sys.argv[1], sys.argv[2], metrics="core", settings=Settings(cache_dir=cache, protocol=sys.argv[3]))
print(r["psnr"].value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
OFFICIAL = """
import resource, sys
import cv2, dlib, numpy as np, torch
from pytorch_msssim import ms_ssim
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from lipsync_eval.faces.dlib68 import model_path
cv2.setNumThreads(1)
torch.set_num_threads(1)
detect, predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(model_path()))
def frames(path):
    video = cv2.VideoCapture(path)
    while (read := video.read())[0]:
        yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
def points(frame):
    faces = detect(frame, 0)
    if not faces:
        return None
    return np.array([(p.x, p.y) for p in predict(frame, max(faces, key=lambda f: f.area())).parts()], float)
found = []
for gen, gt in zip(frames(sys.argv[1]), frames(sys.argv[2])):
    a, b = points(gen), points(gt)
    if a is None or b is None:
        continue
    middle, half = b.mean(axis=0), 1.3 * np.ptp(b, axis=0).max() / 2
    way = np.array([[128 / half, 0, 128 - 128 / half * middle[0]], [0, 128 / half, 128 - 128 / half * middle[1]]])
    x, y = (cv2.warpAffine(frame, way, (256, 256), flags=cv2.INTER_LINEAR) for frame in (gen, gt))
    both = [torch.from_numpy(v).permute(2, 0, 1)[None].float() for v in (x, y)]
    found.append((
        peak_signal_noise_ratio(y, x, data_range=255),
        structural_similarity(y, x, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255),
        float(ms_ssim(*both, data_range=255)),
        np.linalg.norm(a[48:] - b[48:], axis=1).mean(),
    ))
print(np.mean(found, axis=0)[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def repeated(path: Path, times: int, sigma: float) -> Iterator[Frame]:
    for _ in range(times):
        for frame in open_clip(path).frames():
            yield cv2.GaussianBlur(frame, (0, 0), sigma) if sigma else frame


def measured(code: str, arguments: list[str], tree: Path, folder: Path) -> tuple[float, float]:
    """Processor seconds and peak MB of a process that runs the project in `tree`; `folder` keeps byte code and the cache."""
    for found in (folder / "cache").rglob("*.npz"):
        found.unlink()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = {**os.environ, **variables(1), "PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": str(folder / "code")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=env, cwd=tree
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, float(done.stdout.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--times", type=int, default=75)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--protocol", default="radio")
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    here = Path(__file__).resolve().parent.parent
    clip = open_clip(given.clip)
    sound = clip.audio.samples if clip.audio is not None else None
    print(
        f"{given.clip.name}: {clip.width}x{clip.height}, {clip.n_frames} frames, {given.protocol}, load {os.getloadavg()[0]:.0f}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        for times in dict.fromkeys((1, given.times)):
            audio = None if sound is None else np.tile(sound[: clip.n_frames * 640], times)
            for name, sigma in (("gt", 0.0), ("gen", 1.0)):
                frames = repeated(given.clip, times, sigma)
                write_video(folder / f"{name}.mp4", frames, audio=audio, codec="h264", crf=12)
            pair = [str(folder / "gen.mp4"), str(folder / "gt.mp4")]
            ours = [*pair, given.protocol, "" if given.no_cache else str(folder / "cache")]
            what = {"this tree": (OURS, ours, here)}
            if given.against:
                what["other tree"] = OURS, ours, given.against.resolve()
            if times == 1:
                what["official tools"] = OFFICIAL, pair, here
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in what}
            for _ in range(given.rounds if times == 1 else 1):
                for name, call in what.items():
                    found[name].append(measured(*call, folder))
            length = times * clip.n_frames / 25
            own = min(found["this tree"])[0]
            for name, rounds in found.items():
                seconds, peak = min(rounds)[0], max(p for _, p in rounds)
                print(
                    f"{length:6.1f} s of video, {name:14}: {seconds:6.1f} s of processor time, {seconds / length:.2f} of its "
                    f"length, {seconds / own:.2f} of this tree's, peak {peak:.0f} MB"
                )


if __name__ == "__main__":
    main()
