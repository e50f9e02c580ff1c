"""Decoding speed against OpenCV and plain PyAV, and peak memory against the length of the clip. One thread.

OMP_NUM_THREADS=1 python benchmarks/media_decode.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIZE, N = 512, 200


def make(path: Path, n: int) -> None:
    """A 512x512 H.264 clip of a textured image that moves."""
    from lipsync_eval.media import write_video

    rng = np.random.default_rng(0)
    base = np.repeat(np.repeat(rng.integers(0, 256, (160, 160, 3), dtype=np.uint8), 8, 0), 8, 1)
    tone = (0.3 * np.sin(np.arange(n * 640) * 0.1)).astype(np.float32)
    write_video(
        path,
        (base[i % 500 : i % 500 + SIZE, 2 * (i % 300) :][:, :SIZE] for i in range(n)),
        audio=tone,
        codec="h264",
        crf=23,
    )


def ours(path: Path) -> int:
    from lipsync_eval.media import open_clip

    return sum(1 for _ in open_clip(path).read(0, N))


def scan(path: Path) -> int:
    from lipsync_eval.media import open_clip

    return open_clip(path).n_frames


def pyav(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(frame.to_ndarray(format="rgb24").shape[2] // 3 for frame in container.decode(stream))


def opencv(path: Path) -> int:
    import cv2

    cv2.setNumThreads(1)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    n = 0
    while video.read()[0]:
        n += 1
    return n


def rate(job: Callable[[Path], int], path: Path) -> float:
    """Frames per second of processor time, the best of five."""
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        n = job(path)
        best = max(best, n / (time.process_time() - start))
    return best


def peak(path: Path) -> float:
    """MB at most in a fresh process that opens a clip and reads all of it."""
    done = subprocess.run([sys.executable, __file__, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder, "short.mp4"), Path(folder, "long.mp4")
        make(short, N)
        make(long, 10 * N)
        rates = {
            "open_clip": rate(scan, short),
            "open_clip + frames": rate(ours, short),
            "pyav": rate(pyav, short),
            "opencv": rate(opencv, short),
        }
        frames = 1 / (1 / rates["open_clip + frames"] - 1 / rates["open_clip"])
        print(
            json.dumps(
                {
                    "frames per second": {name: round(value) for name, value in {**rates, "frames": frames}.items()},
                    "frames / pyav": round(frames / rates["pyav"], 2),
                    "frames / opencv": round(frames / rates["opencv"], 2),
                    "peak MB": {"8 s": round(peak(short)), "80 s": round(peak(long))},
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from lipsync_eval.media import open_clip

        for _ in open_clip(Path(sys.argv[1])).frames():
            pass
        sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    else:
        main()
