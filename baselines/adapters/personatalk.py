"""PersonaTalk (Zhang et al., SIGGRAPH Asia 2024): this package's re-implementation, run like any other generator."""

from __future__ import annotations

from lipsync_eval.baselines.adapters._own import dub_line, own_record
from lipsync_eval.baselines.base import Adapter, Job, Weights

FILES = {
    "landmarker": "face_landmarker.task, for the provider mediapipe",
    "bfm_model": "BFM_model_front.mat, for the provider bfm",
    "bfm_network": "the ResNet-50 checkpoint, for the provider bfm",
    "flame_model": "FLAME as .npz, for the provider flame",
}

RECORD = own_record(
    name="personatalk",
    title="PersonaTalk (this package's)",
    paper="arXiv:2409.05379",
    weights=(
        Weights(file="", option="checkpoint", where="a folder that `lipsync-eval personatalk train-renderer` wrote"),
        Weights(file="", option="geometry", where="a folder that `lipsync-eval personatalk train-geometry` wrote"),
    ),
    resolution="the checkpoint's (128 or 256), pasted back",
    reference="drawn",
    options={
        "checkpoint": "folder of the renderer's checkpoint",
        "geometry": "folder of stage 1's checkpoint",
        **FILES,
    },
    checked="`compare` run to its table on a CPU, with personatalk-128 checkpoints of 8 training steps (docs/baselines-checked.md)",
    notes=(
        "a re-implementation from the paper, whose code is not public; its choices are in docs/personatalk-generator.md",
        "the published numbers (`list published`, personatalk) are the authors', not this code's",
    ),
)


def command(job: Job) -> list[str]:
    """`lipsync-eval personatalk dub` in the interpreter of baselines.toml."""
    line = dub_line(job, "personatalk", "--geometry", str(job.repo / job.option("geometry")), reference=False)
    for name in FILES:
        if value := job.options.get(name):
            line += [f"--{name.replace('_', '-')}", str(job.repo / value)]
    return line


ADAPTER = Adapter(record=RECORD, command=command)
