"""RADIO (Lee et al., WACV 2024): this package's own reference generator, run like any other."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="radio",
    title="RADIO (this package's)",
    repository="",
    commit="",
    licence="MIT (the code); a checkpoint has the licence of what it was trained on",
    paper="Lee et al., RADIO: Reference-Agnostic Dubbing Video Synthesis, WACV 2024",
    python="3.11 or later",
    torch="2.4 or later",
    weights=(
        Weights(
            file="", option="checkpoint", where="a folder that `lipsync-eval radio train` wrote; none is published"
        ),
    ),
    imports=("lipsync_eval",),
    entry="",
    gpu=False,
    fps="anything in, the same out",
    resolution="the checkpoint's (96 or 192), pasted back",
    audio="16 kHz",
    reference="given",
    needs=("video", "audio", "image"),
    options={"checkpoint": "folder or file of a checkpoint"},
    checked="run end to end on a CPU with a radio-48 checkpoint of 60 steps (docs/baselines-checked.md)",
    notes=("a re-implementation from the paper; its choices are in docs/radio-choices.md",),
)


def command(job: Job) -> list[str]:
    """`lipsync-eval radio dub` in the interpreter of baselines.toml."""
    return [
        *job.python,
        "-P",
        "-m",
        "lipsync_eval",
        "radio",
        "dub",
        "--checkpoint",
        str(job.repo / job.option("checkpoint")),
        "--device",
        job.device,
        "--video",
        str(job.video),
        "--audio",
        str(job.audio),
        "--reference",
        str(job.reference),
        "--length",
        "shortest",
        "--out",
        str(job.output),
    ]


ADAPTER = Adapter(record=RECORD, command=command)
