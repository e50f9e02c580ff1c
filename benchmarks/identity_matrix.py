"""CSIM over a folder of real clips: who is like whom, for a look at whether a network and its preprocessing work.

    python benchmarks/identity_matrix.py CLIPS --weights mobilefacenet=FILE [--every 5]

Diagonal: mean cosine of frames one second apart in one clip. Elsewhere: mean cosine of frame t of one and frame t of the
other clip.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lipsync_eval.cache import Cache, default_cache_dir
from lipsync_eval.errors import ClipError
from lipsync_eval.faces import track_faces
from lipsync_eval.features.arcface import FaceEmbedder
from lipsync_eval.media import open_clip
from lipsync_eval.media.tree import find_clips
from lipsync_eval.types import FPS, Settings
from lipsync_eval.weights import locate


def vectors(path: Path, embedder: FaceEmbedder, cache: Cache, every: int) -> dict[int, np.ndarray]:
    """Frame number -> unit vector."""
    clip = open_clip(path)
    track = track_faces(clip, cache=cache)
    found = {}
    for i, frame in enumerate(clip.frames()):
        if track.valid[i] and i % every == 0:
            found[i] = embedder.embed([frame], track.points[i][None])[0]
    return found


def likeness(a: dict[int, np.ndarray], b: dict[int, np.ndarray], lag: int) -> float:
    """Mean cosine of frame t of a and frame t + lag of b."""
    values = [float(a[i] @ b[i + lag]) for i in a if i + lag in b]
    return float(np.mean(values)) if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument(
        "--weights", default="", help="NAME=FILE; default: the row mobilefacenet from the weights folder"
    )
    parser.add_argument("--every", type=int, default=5, help="look at every n-th frame; a divisor of 25")
    given = parser.parse_args()
    name, _, file = given.weights.partition("=")
    settings = Settings(weights={name: Path(file)} if file else {})
    embedder = FaceEmbedder(locate(settings, name or "mobilefacenet"))
    cache = Cache(default_cache_dir())
    rows = {}
    for clip, paths in sorted(find_clips(given.clips).clips.items()):
        try:
            rows[clip] = vectors(paths[0], embedder, cache, given.every)
        except ClipError as error:
            print(f"{clip}: left out, {error}")
    width = max(map(len, rows))
    print(f"{embedder.file.signature}, diagonal: frames one second apart")
    for clip, a in rows.items():
        line = "".join(f"{likeness(a, b, FPS if other == clip else 0):6.2f}" for other, b in rows.items())
        print(clip.ljust(width) + line)


if __name__ == "__main__":
    main()
