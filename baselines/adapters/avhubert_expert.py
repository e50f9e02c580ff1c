"""The AV-HuBERT-expert generator (Yaman et al., CVPRW 2024): this package's own re-implementation, run like any other."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="avhubert_expert",
    title="AV-HuBERT expert (this package's)",
    repository="",
    commit="",
    licence="MIT (the code); a checkpoint has the licences of its data, of AV-HuBERT and of Wav2Lip's lip expert (research only)",
    paper="Yaman et al., Audio-Visual Speech Representation Expert for Enhanced Talking Face Video Generation and Evaluation, CVPRW 2024",
    python="3.11 or later",
    torch="2.4 or later",
    weights=(
        Weights(
            file="",
            option="checkpoint",
            where="a folder that `lipsync-eval avhubert-expert train` wrote; none is published",
        ),
    ),
    imports=("lipsync_eval",),
    entry="",
    gpu=False,
    fps="anything in, the same out",
    resolution="the checkpoint's (96 or 48), pasted back",
    audio="16 kHz",
    reference="given",
    needs=("video", "audio", "image"),
    options={
        "checkpoint": "folder of a run or checkpoint",
        "lead": "frames by which a mel window begins before its frame, 0 or 1 [0]",
        "mask": "what is pasted back: box, lower or face [box]",
    },
    checked="`compare` run to its table on a CPU, with an avhubert-expert-48 checkpoint of 8 training steps (docs/baselines-checked.md)",
    notes=("a re-implementation from the paper; its choices are in docs/avhubert-expert-choices.md",),
)


def command(job: Job) -> list[str]:
    """`lipsync-eval avhubert-expert dub` in the interpreter of baselines.toml."""
    line = [
        *job.python,
        "-P",
        "-m",
        "lipsync_eval",
        "avhubert-expert",
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
    for name in ("lead", "mask"):
        if name in job.options:
            line += [f"--{name}", job.options[name]]
    return line


ADAPTER = Adapter(record=RECORD, command=command)
