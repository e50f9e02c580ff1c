"""What the StyleSim metrics declare about themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lipsync_eval.metrics.base import MetricSpec

_PERSONATALK: Final = "Zhang, Liang, Ge, Hu: PersonaTalk: Bring Attention to Your Persona in Visual Dubbing, SIGGRAPH Asia 2024 (StyleSim)"
_SUN_2024: Final = f"Sun et al.: DiffPoseTalk, ACM TOG (SIGGRAPH) 2024, arXiv:2310.00434 (encoder); {_PERSONATALK}"
_COMMON: Final = (
    "Whether the mouth moves in this speaker's manner (how far, how fast, around which rest), not whether it fits the audio. 1 = same style; unrelated speakers scatter "
    "around 0. It is no number of PersonaTalk's, whose encoder is not public: compare only equal signatures. Short clips (under 4 s) are mostly noise."
)
_MEAN: Final = (
    "How alike the two face movements are in this space. The space is not centred on an average speaker, so unrelated speakers can lie far above 0: look at the real video's "
    "own value against the reference. It is no number of PersonaTalk's, whose encoder is not public."
)


_OWN: Final = " Cosine between the codes of the generated and the real video; mean over clips."
_REF: Final = " Cosine between the codes of the generated and the reference video; mean over clips."
_REF_READS: Final = " Against another recording the real video itself stays below 1: its own value is given beside."

_POINTS68: Final = MetricSpec(
    name="stylesim_points68",
    title="StyleSim (68 points)",
    direction="up",
    unit="1",
    range=(-1.0, 1.0),
    decimals=3,
    needs=frozenset({"gen.points", "gt.points"}),
    pooling="clip-mean",
    group="core",
    weights=(),
    summary="Style code = mean, log std and log speed of mouth and chin points over the clip, head pose and resting face taken out, standardised by shipped constants."
    + _OWN,
    reads=_COMMON + " Landmark jitter enters the speeds: a noisier or coarser video changes the code too.",
    citation=_PERSONATALK,
    reference="ours",
    tolerance=1e-6,
    version=1,
    real="person",
)
_BLENDSHAPES: Final = replace(
    _POINTS68,
    name="stylesim_blendshapes",
    title="StyleSim (blendshapes)",
    needs=frozenset({"gen.points", "gt.points", "gen.frames", "gt.frames", "weights"}),
    group="weights",
    weights=("face_landmarker",),
    summary="Style code = mean, log std and log speed of MediaPipe's jaw, mouth and cheek blendshapes over the clip, standardised by shipped constants."
    + _OWN,
    reads=_COMMON + " MediaPipe's resting values differ from face to face, so a part of the code is identity.",
    citation=f"{_PERSONATALK}; Grishchenko et al., CVPR Workshops 2020 (MediaPipe)",
    reference="mediapipe==1.2.2",
    tolerance=1e-3,
)
_DIFFPOSETALK: Final = replace(
    _POINTS68,
    name="stylesim_diffposetalk",
    title="StyleSim (DiffPoseTalk)",
    needs=frozenset({"npz", "weights"}),
    group="user-file",
    weights=("diffposetalk",),
    summary="Style code of DiffPoseTalk's released encoder, fed with FLAME coefficients from <stem>.flame.npz beside the clips, windows of 100 frames averaged."
    + _OWN,
    reads=_MEAN,
    citation=_SUN_2024,
    reference="DiffPoseTalk/DiffPoseTalk@2c761f1",
    tolerance=1e-4,
)
_VERTICES: Final = replace(
    _POINTS68,
    name="stylesim_vertices",
    title="StyleSim (vertices)",
    needs=frozenset({"npz"}),
    group="user-file",
    summary="Style code = mean and std over the clip of expression-only vertices from <stem>.vertices.npz beside the clips, as PersonaTalk's encoder pools them, without its trained layers."
    + _OWN,
    reads=_MEAN + " Without a template in the file the mean face rules and every value is near 1.",
)
_VERTICES_ENCODER: Final = replace(
    _VERTICES,
    name="stylesim_vertices_encoder",
    title="StyleSim (own encoder)",
    summary="Style code of an encoder of your own (style train --features vertices; DiffPoseTalk's architecture), fed with expression-only vertices from <stem>.vertices.npz "
    "beside the clips; the encoder is given by --option style_encoder=FILE." + _OWN,
    reads=_MEAN + " It means what the encoder has learnt: values of two encoders cannot be compared.",
    citation=_SUN_2024,
)


def _with_reference(own: MetricSpec) -> tuple[MetricSpec, MetricSpec]:
    """The metric (generated against real) and its _ref twin (generated against a reference)."""
    twin = replace(
        own,
        name=f"{own.name}_ref",
        title=f"{own.title} (reference)",
        needs=frozenset(n for n in own.needs if not n.startswith("gt.")) | {"reference"},
        group="user-file",
        real="none",
        summary=own.summary.removesuffix(_OWN) + _REF,
        reads=own.reads + _REF_READS,
    )
    return own, twin


POINTS68: Final = _with_reference(_POINTS68)
BLENDSHAPES: Final = _with_reference(_BLENDSHAPES)
DIFFPOSETALK: Final = _with_reference(_DIFFPOSETALK)
VERTICES: Final = _with_reference(_VERTICES)
VERTICES_ENCODER: Final = _with_reference(_VERTICES_ENCODER)
