"""Where StyleSync's mask lies on real faces: shares of frames with mouth, jaw and eyes where they should be.

    python benchmarks/stylesync_mask.py CLIPS [--out FIGURE.png]

CLIPS is a folder of talking videos. The mask is drawn from the mean points of all of them, every clip weighing the same.
Jaw: points 6 to 10; wide: the tenth of a clip's frames with the widest inner lips. The figure has, for each clip, the
eyes-aligned first frame, the same with the mask, and the authors' alignment.
"""

import argparse
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.kit.data.alignment import one_crop, to_crops
from lipsync_eval.baselines.kit.data.layouts import SUFFIXES
from lipsync_eval.baselines.stylesync.data.alignment import AUTHORS, EYES
from lipsync_eval.baselines.stylesync.data.mask import u_mask
from lipsync_eval.faces import track_faces
from lipsync_eval.media import open_clip

SIZE = 256
MOUTH, JAW, EYE_POINTS = slice(48, 68), slice(6, 11), slice(36, 48)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found, shown = {}, []
    for path in sorted(p for p in args.clips.iterdir() if p.suffix in SUFFIXES):
        clip = open_clip(path)
        track = track_faces(clip)
        first = int(np.flatnonzero(track.valid)[0])
        found[path.name] = to_crops(EYES, track.points[track.valid], SIZE)
        frame, points = next(clip.frames(first, first + 1)), track.points[first]
        shown.append([one_crop(how, frame, points, SIZE) for how in (EYES, EYES, AUTHORS)])
    mask = u_mask(np.mean([points.mean(0) for points in found.values()], axis=0))
    print(f"{'clip':34} {'frames':>6} {'mouth':>6} {'jaw':>6} {'wide':>6} {'eyes out':>8}")
    for name, points in found.items():
        at = np.rint(points).astype(int).clip(0, SIZE - 1)
        inside = (mask[at[..., 1], at[..., 0]] == 1) & (points[..., 1] < SIZE)
        jaw = inside[:, JAW].all(1)
        gap = np.linalg.norm(points[:, 62] - points[:, 66], axis=1)
        shares = (
            inside[:, MOUTH].all(1).mean(),
            jaw.mean(),
            jaw[gap >= np.quantile(gap, 0.9)].mean(),
            (~inside[:, EYE_POINTS]).all(1).mean(),
        )
        print(f"{name:34} {len(points):6} " + " ".join(f"{x:6.3f}" for x in shares))
    if args.out:
        import cv2

        for row in shown:
            row[1][mask > 0] //= 2
        cv2.imwrite(str(args.out), np.concatenate([np.concatenate(row, 1) for row in shown])[:, :, ::-1])


if __name__ == "__main__":
    main()
