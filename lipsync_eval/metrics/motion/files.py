"""Files that only the user can make, beside the clips: `aue_l`, `aue_u`, `lve_vertices`, `fdd_vertices`.

    <stem>.csv           OpenFace 2's FeatureExtraction of that video
    <stem>.vertices.npz  as in lipsync_eval.features.style.files: vertices (T, L, 3), template (L, 3)
    <stem>.deep3d.npz    exp (T, 64): expression coefficients of Deep3DFaceRecon

One row for every frame of the clip at 25 fps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, MetricError, UsageError
from lipsync_eval.features.style.files import VERTICES, beside, read_arrays, read_vertices
from lipsync_eval.metrics.base import Failure, Family, Measurement, MetricSpec
from lipsync_eval.metrics.motion.measures.action_units import LOWER, UPPER, action_unit_error, read_openface
from lipsync_eval.metrics.motion.measures.vertices import fdd, lip_vertex_error, read_indices
from lipsync_eval.metrics.motion.whole import WholeClipMeter
from lipsync_eval.options import Option
from lipsync_eval.types import Clip, Float, Pair

OPENFACE: Final = ".csv"
DEEP3D: Final = ".deep3d.npz"
LIP_VERTICES: Final = Option(
    name="lip_vertices", heading="Motion", kind="path", moves=True,
    help="lve_vertices: file of lip vertex numbers, apart by commas (CodeTalker's lve.txt).",
)  # fmt: skip
UPPER_VERTICES: Final = Option(
    name="upper_vertices", heading="Motion", kind="path", moves=True,
    help="fdd_vertices: file of upper-face vertex numbers, apart by commas (as fdd.txt).",
)  # fmt: skip
_CODETALKER: Final = "Richard et al.: MeshTalk, ICCV 2021, arXiv:2104.08223 (LVE); Xing et al.: CodeTalker, CVPR 2023, arXiv:2301.02379 (FDD and the code)"

_AUE_L: Final = MetricSpec(
    name="aue_l", title="AUE-L", direction="down", unit="1", range=(0.0, 25.0 * len(LOWER)), decimals=3, needs=frozenset({"npz"}), pooling="clip-mean",
    group="user-file", weights=(),
    summary=(
        "Sum over the lower face's action units (10, 12, 14, 15, 17, 20, 23, 25, 26) of the mean squared difference of OpenFace's intensities (0..5), from "
        "<stem>.csv beside both videos; mean over clips."
    ),
    reads="How far mouth and chin are from the real ones, frame by frame, as OpenFace sees them. It is a sum: compare it only with sums over the same units. Late lips cost much.",
    citation="Li et al.: TalkingGaussian, ECCV 2024, arXiv:2404.15264", reference="Fictionarry/TalkingGaussian@5acdaaa", tolerance=1e-9, version=1, real="content",
)  # fmt: skip
_LVE: Final = MetricSpec(
    name="lve_vertices", title="LVE (vertices)", direction="down", unit="1", range=(0.0, float("inf")), decimals=8, needs=frozenset({"npz"}),
    pooling="clip-mean", group="user-file", weights=(),
    summary=(
        "Largest SQUARED distance of the lip vertices (option lip_vertices) in a frame, from <stem>.vertices.npz beside both videos, in the square of their unit; "
        "mean over frames, then over clips."
    ),
    reads="What CodeTalker's code prints as lip vertex error, but for its mean over all frames of all clips together. MeshTalk's text has the distance, not its square.",
    citation=_CODETALKER, reference="Doubiiu/CodeTalker@1ef925e", tolerance=1e-9, version=1, real="content",
)  # fmt: skip


class ActionUnits(Family):
    """aue_l, aue_u."""

    specs = (
        _AUE_L,
        replace(
            _AUE_L, name="aue_u", title="AUE-U", range=(0.0, 25.0 * len(UPPER)),
            summary=_AUE_L.summary.replace("lower face's action units (10, 12, 14, 15, 17, 20, 23, 25, 26)", "upper face's action units (1, 2, 4, 5, 6, 7, 9, 45)"),
            reads="How far brows, eyes and nose are from the real ones, frame by frame. Speech fixes them little: blinks at other moments alone make it large.",
        ),
    )  # fmt: skip

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError: a file is missing, malformed, or of another length than its clip."""
        n, found = pair.n_frames, Measurement()
        gen, real = (_openface(side.clip, which)[:n] for side, which in ((pair.gen, "generated"), (pair.real, "real")))
        for name, units in (("aue_l", LOWER), ("aue_u", UPPER)):
            if name in self.metrics:
                value = action_unit_error(gen, real, units)
                found.values[name] = None if np.isnan(value) else value
                if np.isnan(value):
                    found.failures.append(
                        Failure(name, "MetricError", "OpenFace found a face in both videos in no frame")
                    )
        if gone := int((~np.isfinite(gen + real).all(axis=1)).sum()):
            found.details["aue_frames_skipped"] = gone
            found.notes.append(f"aue: {gone} of {n} frames in which OpenFace found no face in both videos are left out")
        return found


def _openface(clip: Clip, which: str) -> Float:
    try:
        rows = read_openface(beside(clip.path, OPENFACE))
    except MetricError as error:
        raise MetricError(f"{which} video: {error}") from error
    if len(rows) != clip.n_frames:
        raise MetricError(
            f"{which} video: OpenFace's CSV has {len(rows)} rows, the clip {clip.n_frames} frames at 25 fps; run OpenFace on the video at 25 fps"
        )
    return rows


class VertexErrors(Family):
    """lve_vertices, fdd_vertices."""

    specs = (
        _LVE,
        replace(
            _LVE, name="fdd_vertices", real="person", title="FDD (vertices)", direction="zero", range=(float("-inf"), float("inf")),
            summary=(
                "Mean over upper-face vertices (option upper_vertices) of the standard deviation over time of their squared distance from the template, real less "
                "generated, from <stem>.vertices.npz beside both videos; mean over clips."
            ),
            reads="Positive: the generated upper face moves less. It compares how much, not how.",
        ),
    )  # fmt: skip
    options = (LIP_VERTICES, UPPER_VERTICES)

    def check(self) -> None:
        """The region files are given."""
        for option, metric in ((LIP_VERTICES, "lve_vertices"), (UPPER_VERTICES, "fdd_vertices")):
            if metric in self.metrics and not self.option(option.name):
                raise UsageError(f"{metric} needs to know which vertices it looks at: give --option {option.name}=FILE")
            if metric in self.metrics and not Path(self.option(option.name)).is_file():
                raise UsageError(f"{option.name}={self.option(option.name)}: there is no such file")

    def keys(self, metric: str) -> dict[str, str]:
        """Each metric has its own region file alone."""
        keys = super().keys(metric)
        keys.pop(UPPER_VERTICES.name if metric == "lve_vertices" else LIP_VERTICES.name, None)
        return keys

    def start(self, pair: Pair) -> WholeClipMeter:
        """A meter for one pair; the frames are not looked at."""
        return WholeClipMeter(pair, self._compute)

    def _compute(self, pair: Pair) -> Measurement:
        """Raises MetricError: a file is missing or malformed, or the two are of different topology."""
        found = Measurement()
        gen, real = (
            read_vertices(beside(side.clip.path, VERTICES), side.clip.n_frames).cut(n)
            for side, n in ((pair.gen, pair.n_frames), (pair.real, pair.gt_frames))
        )
        if gen.flat.shape[1] != real.flat.shape[1] or gen.has_template != real.has_template:
            raise MetricError(
                f"the two videos have vertices of {gen.flat.shape[1] // 3} and {real.flat.shape[1] // 3} points, or only one has a template; bring both to one topology"
            )
        a, b = (x.flat.reshape(len(x.flat), -1, 3) for x in (gen, real))
        if "lve_vertices" in self.metrics:
            lips = self._region(LIP_VERTICES, a.shape[1])
            frames = lip_vertex_error(a[:, lips], b[:, lips], squared=True)
            found.frames["lve_vertices"] = frames
            found.values["lve_vertices"] = float(frames.mean())
        if "fdd_vertices" in self.metrics and not real.has_template:
            found.values["fdd_vertices"] = None
            message = f"there is no template in {VERTICES}: FDD is about motion from the face at rest"
            found.failures.append(Failure("fdd_vertices", "MetricError", message))
        elif "fdd_vertices" in self.metrics:
            upper = self._region(UPPER_VERTICES, a.shape[1])
            found.values["fdd_vertices"] = fdd(a[:, upper], b[:, upper], np.zeros((len(upper), 3)), paired=pair.paired)
        return found

    def _region(self, option: Option, n_vertices: int) -> NDArray[np.intp]:
        try:
            return read_indices(Path(self.option(option.name)).read_text(encoding="utf-8"), n_vertices)
        except (OSError, UnicodeDecodeError, InputError) as error:
            raise MetricError(f"{option.name}: {error}") from error


def read_deep3d(clip: Clip) -> Float:
    """(T, 64) expression coefficients of a clip.

    Raises:
        MetricError: the file is missing or malformed, or has another number of rows than the clip has frames.
    """
    path = beside(clip.path, DEEP3D)
    exp = read_arrays(path, "exp (T, 64)")("exp")
    if exp.ndim != 2 or exp.shape[1] != 64 or len(exp) != clip.n_frames:
        raise MetricError(
            f"{path.name} should hold exp ({clip.n_frames}, 64), one row a frame at 25 fps; it holds {exp.shape}"
        )
    return exp
