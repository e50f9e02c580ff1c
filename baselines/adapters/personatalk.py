"""PersonaTalk (Zhang et al., SIGGRAPH Asia 2024): this package's re-implementation, run like any other generator."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

FILES = {
    "landmarker": "face_landmarker.task, for the provider mediapipe",
    "bfm_model": "BFM_model_front.mat, for the provider bfm",
    "bfm_network": "the ResNet-50 checkpoint, for the provider bfm",
    "flame_model": "FLAME as .npz, for the provider flame",
}

RECORD = Record(
    name="personatalk",
    title="PersonaTalk (this package's)",
    repository="",
    commit="",
    licence="MIT (the code); a checkpoint has the licence of what it was trained on",
    paper="arXiv:2409.05379",
    python="3.11 or later",
    torch="2.4 or later",
    weights=(
        Weights(file="", option="checkpoint", where="a folder that `lipsync-eval personatalk train-renderer` wrote"),
        Weights(file="", option="geometry", where="a folder that `lipsync-eval personatalk train-geometry` wrote"),
    ),
    imports=("lipsync_eval",),
    entry="",
    gpu=False,
    fps="anything in, the same out",
    resolution="the checkpoint's (128 or 256), pasted back",
    audio="16 kHz",
    reference="drawn",
    needs=("video", "audio"),
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
    files = [
        part
        for name in FILES
        if (value := job.options.get(name))
        for part in (f"--{name.replace('_', '-')}", str(job.repo / value))
    ]
    return [
        *job.python,
        "-P",
        "-m",
        "lipsync_eval",
        "personatalk",
        "dub",
        "--geometry",
        str(job.repo / job.option("geometry")),
        "--checkpoint",
        str(job.repo / job.option("checkpoint")),
        "--device",
        job.device,
        "--video",
        str(job.video),
        "--audio",
        str(job.audio),
        "--length",
        "shortest",
        *files,
        "--out",
        str(job.output),
    ]


ADAPTER = Adapter(record=RECORD, command=command)
