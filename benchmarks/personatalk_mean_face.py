"""Learn the mean face of PersonaTalk's provider `mediapipe` from clips of several people; writes its package data.

    python benchmarks/personatalk_mean_face.py face_landmarker.task CLIP... --out baselines/personatalk/geometry/mediapipe.json

Needs mediapipe. Every clip counts the same (every fifth frame of its first ten seconds). Faces are laid over each other by their rigid vertices,
averaged, made symmetric. Triangles are MediaPipe's own: eyes and the inside of the mouth are holes in them.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.personatalk.geometry import mediapipe
from lipsync_eval.baselines.personatalk.geometry.face import unpose
from lipsync_eval.baselines.personatalk.geometry.topology import Topology, normalised, to_json
from lipsync_eval.faces import track_faces
from lipsync_eval.faces.mediapipe import MESH_TO_68, Mesh3D
from lipsync_eval.media import open_clip

CENTRE = (10, 152)
"""Top of the forehead and chin: they lie on the plane of symmetry."""


def meshes(path, landmarker):
    clip = open_clip(path)
    track = track_faces(clip)
    mesh, found = Mesh3D(landmarker), []
    for i, frame in enumerate(islice(clip.frames(), 250)):
        if i % 5 == 0 and track.valid[i]:
            points = mediapipe.MediaPipe._vertices(mesh, frame, track.points[i])
            if points is not None:
                found.append(points)
    mesh.close()
    return np.stack(found)


def mirrored(mean):
    """For every vertex the one on the other side: the assignment with the smallest distance."""
    from scipy.optimize import linear_sum_assignment

    flipped = mean * (-1, 1, 1)
    return linear_sum_assignment(((flipped[:, None] - mean[None]) ** 2).sum(2))[1]


def triangles():
    """(852, 3) of the face mesh: three connections in a row are the sides of one."""
    from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarksConnections

    sides = FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION
    found = [sorted({v for s in sides[k : k + 3] for v in (s.start, s.end)}) for k in range(0, len(sides), 3)]
    return np.array(sorted(found))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("landmarker", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    people = [meshes(path, args.landmarker) for path in args.clips]
    keypoints, rigid = np.array(MESH_TO_68), np.array(mediapipe.RIGID)
    mean = normalised(people[0][0], keypoints)
    for _ in range(12):
        mean = normalised(np.mean([unpose(p, mean, rigid)[0].mean(0) for p in people], 0), keypoints)
        pairs = mirrored(mean)
        mean = normalised((mean + mean[pairs] * (-1, 1, 1)) / 2, keypoints)
        mean[:, 0] -= mean[list(CENTRE), 0].mean()
    topology = Topology("mediapipe", mean, triangles(), keypoints, rigid, np.array(mediapipe.LIPS))
    frames = sum(map(len, people))
    source = "MediaPipe's own (FACE_LANDMARKS_TESSELATION, Apache-2.0)"
    made = f"{len(people)} clips, {frames} frames, MediaPipe FaceLandmarker"
    text = f"{made}; triangles: {source}; benchmarks/personatalk_mean_face.py"
    args.out.write_text(json.dumps(to_json(topology, text)) + "\n")
    print(text, len(topology.triangles), "triangles", len(topology.low), "low", topology.digest)


main()
