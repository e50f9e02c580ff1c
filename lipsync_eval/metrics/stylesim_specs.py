"""What the StyleSim metrics declare about themselves."""

from __future__ import annotations

from typing import Final

from lipsync_eval.metrics.base import Group, MetricSpec

_PERSONATALK: Final = "Zhang, Liang, Ge, Hu: PersonaTalk: Bring Attention to Your Persona in Visual Dubbing, SIGGRAPH Asia 2024 (StyleSim)"
_DIFFPOSETALK: Final = f"Sun et al.: DiffPoseTalk, ACM TOG (SIGGRAPH) 2024, arXiv:2310.00434 (encoder); {_PERSONATALK}"
_COMMON: Final = (
    "Whether the mouth moves in this speaker's manner (how far, how fast, around which rest), not whether it fits the sound. 1 = same style; unrelated speakers scatter "
    "around 0. It is no number of PersonaTalk's, whose encoder is not public: compare only equal signatures. Short clips (under 4 s) are mostly noise."
)
_MEAN: Final = (
    "How alike the two face movements are in this space. The space is not centred on an average speaker, so unrelated speakers can lie far above 0: look at the real video's "
    "own value against the reference. It is no number of PersonaTalk's, whose encoder is not public."
)


def _pair(
    features: str,
    title: str,
    summary: str,
    reads: str,
    *,
    needs: frozenset[str],
    group: Group,
    weights: tuple[str, ...],
    citation: str,
    reference: str,
    tolerance: float,
) -> tuple[MetricSpec, MetricSpec]:
    """`stylesim_<features>` (generated against real) and `stylesim_<features>_ref` (generated against a reference)."""
    name = f"stylesim_{features}"
    own = MetricSpec(
        name=name, title=title, direction="up", unit="1", range=(-1.0, 1.0), decimals=3, needs=needs, pooling="clip-mean", group=group,
        weights=weights, summary=f"{summary} Cosine between the codes of the generated and the real video; mean over clips.", reads=reads,
        citation=citation, reference=reference, tolerance=tolerance, version=1,
    )  # fmt: skip
    ref = MetricSpec(
        name=f"{name}_ref", title=f"{title} (reference)", direction="up", unit="1", range=(-1.0, 1.0), decimals=3,
        needs=frozenset(n for n in needs if not n.startswith("gt.")) | {"reference"}, pooling="clip-mean", group="user-file", weights=weights,
        summary=f"{summary} Cosine between the codes of the generated and the reference video; mean over clips.",
        reads=f"{reads} Against another recording the real video itself stays below 1: its own value is given beside.",
        citation=citation, reference=reference, tolerance=tolerance, version=1,
    )  # fmt: skip
    return own, ref


POINTS68: Final = _pair(
    "points68", "StyleSim (68 points)",
    "Style code = mean, log std and log speed of mouth and chin points over the clip, head pose and resting face taken out, standardised by shipped constants.",
    _COMMON + " Landmark jitter enters the speeds: a noisier or coarser video changes the code too.",
    needs=frozenset({"gen.points", "gt.points"}), group="core", weights=(), citation=_PERSONATALK, reference="ours", tolerance=1e-6,
)  # fmt: skip
BLENDSHAPES: Final = _pair(
    "blendshapes", "StyleSim (blendshapes)",
    "Style code = mean, log std and log speed of MediaPipe's jaw, mouth and cheek blendshapes over the clip, standardised by shipped constants.",
    _COMMON + " MediaPipe's resting values differ from face to face, so a part of the code is identity.",
    needs=frozenset({"gen.points", "gt.points", "gen.frames", "gt.frames", "weights"}), group="weights", weights=("face_landmarker",),
    citation=f"{_PERSONATALK}; Grishchenko et al., CVPR Workshops 2020 (MediaPipe)", reference="mediapipe==1.2.2", tolerance=1e-3,
)  # fmt: skip
DIFFPOSETALK: Final = _pair(
    "diffposetalk", "StyleSim (DiffPoseTalk)",
    "Style code of DiffPoseTalk's released encoder, fed with FLAME coefficients from <stem>.flame.npz beside the clips, windows of 100 frames averaged.",
    _MEAN, needs=frozenset({"npz", "weights"}), group="user-file", weights=("diffposetalk",), citation=_DIFFPOSETALK,
    reference="DiffPoseTalk/DiffPoseTalk@2c761f1", tolerance=1e-4,
)  # fmt: skip
VERTICES: Final = _pair(
    "vertices", "StyleSim (vertices)",
    "Style code = mean and std over the clip of expression-only vertices from <stem>.vertices.npz beside the clips, as PersonaTalk's encoder pools them, without its trained layers.",
    _MEAN + " Without a template in the file the mean face rules and every value is near 1.",
    needs=frozenset({"npz"}), group="user-file", weights=(), citation=_PERSONATALK, reference="ours", tolerance=1e-6,
)  # fmt: skip
