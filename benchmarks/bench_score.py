"""`lipsync-eval score --metrics core` on a pair of clips: seconds against the clip's own length, and peak memory, also for a clip ten times as long.

    python benchmarks/bench_score.py CLIP.mp4 [--times 10]

The generated side is a slightly blurred lossless copy. Each measurement is a process of its own without cache; times of the clip's own length are
given as a ratio (below 1: faster than real time).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from lipsync_eval.media import open_clip, write_video
from lipsync_eval.types import Frame

RUN = (
    "import resource, sys; from lipsync_eval import Settings, score; "
    "r = score(sys.argv[1], sys.argv[2], metrics='core', settings=Settings(cache_dir=None)); "
    "print(r['psnr'].value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def repeated(path: Path, times: int, sigma: float) -> Iterator[Frame]:
    for _ in range(times):
        for frame in open_clip(path).frames():
            yield cv2.GaussianBlur(frame, (0, 0), sigma) if sigma else frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--times", type=int, default=10)
    given = parser.parse_args()
    clip = open_clip(given.clip)
    sound = clip.audio.samples if clip.audio is not None else None
    print(f"{given.clip.name}: {clip.width}x{clip.height}, {clip.n_frames} frames")
    with tempfile.TemporaryDirectory() as temporary:
        for times in (1, given.times):
            folder = Path(temporary)
            audio = None if sound is None else np.tile(sound[: clip.n_frames * 640], times)
            write_video(folder / "gt.mp4", repeated(given.clip, times, 0), audio=audio, codec="h264", crf=12)
            write_video(folder / "gen.mp4", repeated(given.clip, times, 1.0), audio=audio, codec="h264", crf=12)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", RUN, str(folder / "gen.mp4"), str(folder / "gt.mp4")],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds = time.perf_counter() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            length = times * clip.n_frames / 25
            print(
                f"{length:6.1f} s of video: {seconds:6.1f} s = {seconds / length:.2f} of real time ({cpu:.1f} s of processor time), peak {float(done.stdout.split()[1]):.0f} MB"
            )


if __name__ == "__main__":
    main()
