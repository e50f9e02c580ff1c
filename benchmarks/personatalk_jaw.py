"""How far the jaw of a dubbed video follows stage 1, and how far it is the old one, copied from the face references.

    python benchmarks/personatalk_jaw.py VIDEO SPEECH DUBBED --geometry RUN --checkpoint RUN [--landmarker FILE]

DUBBED is what `personatalk dub` made of VIDEO and SPEECH with the same checkpoints. Chin points (5 to 11 of the 68, as
vertices of MediaPipe's mesh) of three faces: `old` of VIDEO, `wanted` of stage 1, `made`, found in DUBBED. Distances are
means over frames and points, in hundredths of the distance of the outer eye corners. `follows` is the share of the step
from old to wanted that is found in DUBBED (least squares): 1 follows, 0 copies. Of the frames with the tenth of the
largest steps too, where the error of the landmark finder counts least. Needs mediapipe.
"""

import argparse
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.personatalk.config import GeometryConfig
from lipsync_eval.baselines.personatalk.dubbing.fitting import fit_clip
from lipsync_eval.baselines.personatalk.dubbing.generator import load_generator
from lipsync_eval.faces.mediapipe import MESH_TO_68
from lipsync_eval.media import open_clip

CHIN = list(MESH_TO_68[5:12])
EYES = [MESH_TO_68[36], MESH_TO_68[45]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("video", "speech", "dubbed", "--geometry", "--checkpoint"):
        parser.add_argument(name, type=Path, **({"required": True} if name.startswith("-") else {}))
    parser.add_argument("--landmarker", type=Path)
    asked = parser.parse_args()
    generator = load_generator(asked.geometry, asked.checkpoint, "cpu", GeometryConfig(landmarker=asked.landmarker))
    face = fit_clip(generator.provider, asked.video)
    made = fit_clip(generator.provider, asked.dubbed)
    count = min(len(face.vertices), len(made.vertices))
    speech = open_clip(asked.video, audio=asked.speech).audio.samples
    target = generator.drive(face, speech, np.arange(len(face.vertices)) / 25)
    found = face.valid[:count] & made.valid[:count]
    old, wanted, seen = (
        camera.pose(g.vertices)[:count][found]
        for camera, g in ((face.camera, face), (face.camera, target), (made.camera, made))
    )
    unit = np.linalg.norm(np.diff(old[:, EYES, :2], axis=1)[:, 0], axis=1)[:, None, None] / 100
    old, wanted, seen = (x[:, CHIN, :2] / unit for x in (old, wanted, seen))
    moved = np.linalg.norm(wanted - old, axis=2).mean(1)
    for name, at in (("all", slice(None)), ("largest tenth", moved >= np.quantile(moved, 0.9))):
        step, there = (wanted - old)[at], (seen - old)[at]
        distance = {
            "old to wanted": step,
            "made to wanted": (seen - wanted)[at],
            "made to old": there,
        }
        text = "  ".join(f"{k} {np.linalg.norm(v, axis=2).mean():.2f}" for k, v in distance.items())
        print(f"{name}: {len(step)} frames  {text}  follows {(there * step).sum() / (step**2).sum():.2f}")


if __name__ == "__main__":
    main()
