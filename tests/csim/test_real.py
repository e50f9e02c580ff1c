"""Real faces and a real network: the same person is near, others are far."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from lipsync_eval.faces import track_faces
from lipsync_eval.features.arcface import FaceEmbedder
from lipsync_eval.media import open_clip
from lipsync_eval.types import Settings
from lipsync_eval.weights import locate

CLIPS = (
    "original/grid_bbaf2n.mpg",
    "original/grid_lbax4n.mpg",
    "original/vrt_face2.mp4",
    "original/edtalk_klobuchar_gtvideo.mp4",
)
OTHER = "dubbed/edtalk_klobuchar_otheridentity.mp4"


@pytest.fixture(scope="module")
def vectors() -> dict[str, dict[int, np.ndarray]]:
    import os

    folder = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
    if not folder:
        pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set: no real clips here")
    path = Path(folder) / "weights" / "mobilefacenet_arcface_foamliu.onnx"
    embedder = FaceEmbedder(locate(Settings(weights={"mobilefacenet": path}), "mobilefacenet", role="arcface"))
    assert embedder.file.verified
    found = {}
    for name in (*CLIPS, OTHER):
        clip = open_clip(Path(folder) / "clips" / name)
        track = track_faces(clip)
        rows = {}
        for i, frame in enumerate(clip.frames()):
            if i % 5 == 0 and track.valid[i]:
                rows[i] = embedder.embed([frame], track.points[i][None])[0]
        found[name] = rows
    return found


def likeness(a: dict[int, np.ndarray], b: dict[int, np.ndarray], lag: int) -> float:
    return float(np.mean([a[i] @ b[i + lag] for i in a if i + lag in b]))


@pytest.mark.parametrize("clip", CLIPS)
def test_the_same_person_a_second_later(clip: str, vectors: dict[str, dict[int, np.ndarray]]) -> None:
    assert likeness(vectors[clip], vectors[clip], 25) > 0.7


def test_different_people(vectors: dict[str, dict[int, np.ndarray]]) -> None:
    assert max(likeness(vectors[a], vectors[b], 0) for a, b in combinations((*CLIPS, OTHER), 2)) < 0.45
