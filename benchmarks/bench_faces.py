"""Faces: frames per second of `track_faces` against dlib as it is usually called, and how steady the points of both are.

    OMP_NUM_THREADS=1 python benchmarks/bench_faces.py VIDEO... [--frames 200] [--rounds 2]

"dlib" is the detector on every frame at its own size in RGB, then one call of the predictor. Both read the same frames
from memory, in turns, in one process; the figure is the least CPU time of the rounds. "steady" is the mean second
difference of the points in time, px in a face crop of 256 px: real motion and tremble together.
"""

import argparse
import hashlib
import time
from pathlib import Path

import cv2
import numpy as np

from lipsync_eval.faces import dlib68, track_faces
from lipsync_eval.faces.points import CHIN
from lipsync_eval.media import open_clip
from lipsync_eval.types import Clip


def in_memory(path, n):
    clip = open_clip(path)
    frames = list(clip.frames(0, min(n, clip.n_frames)))

    def read(start, stop):
        return iter(frames[start:stop])

    digest = hashlib.sha256(str(path).encode()).hexdigest()
    return Clip(path, len(frames), clip.height, clip.width, 25.0, digest, None, read)


def usual(clip):
    import dlib

    detector, predictor = dlib68._detector(), dlib.shape_predictor(str(dlib68.model_path()))
    points = np.full((clip.n_frames, 68, 2), np.nan)
    for time_, frame in enumerate(clip.frames()):
        boxes, scores, _ = detector.run(frame, 0, 0.0)
        if len(boxes):
            box = boxes[int(np.argmax(scores))]
            points[time_] = [(p.x, p.y) for p in predictor(frame, dlib.rectangle(box)).parts()]
    return points


def steady(points):
    scale = 256 / (2 * np.nanmean(points[:, CHIN, 1] - points[:, 29, 1]))
    return float(np.nanmean(np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=-1)) * scale)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    print(
        f"{'video':32} {'frame':>10} {'n':>4} {'ours/s':>7} {'dlib/s':>7} {'ratio':>6} {'looks':>6} {'steady':>7} {'dlib':>6}"
    )
    for path in args.videos:
        clip = in_memory(path, args.frames)
        best = {"ours": np.inf, "dlib": np.inf}
        for _ in range(args.rounds):
            for name, call in (("ours", track_faces), ("dlib", usual)):
                start = time.process_time()
                found = call(clip)
                best[name] = min(best[name], time.process_time() - start)
                if name == "ours":
                    track = found
                else:
                    theirs = found
        ours, dlib = clip.n_frames / best["ours"], clip.n_frames / best["dlib"]
        print(
            f"{path.stem[:32]:32} {clip.width:>5}x{clip.height:<4} {clip.n_frames:4d} {ours:7.0f} {dlib:7.0f} {ours / dlib:6.2f} "
            f"{(track.n_faces >= 0).sum():6d} {steady(track.points):7.2f} {steady(theirs):6.2f}"
        )


if __name__ == "__main__":
    main()
