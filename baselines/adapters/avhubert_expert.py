"""The AV-HuBERT-expert generator (Yaman et al., CVPRW 2024): this package's own re-implementation, run like any other."""

from __future__ import annotations

from lipsync_eval.baselines.adapters._own import dub_line, own_record, trained_by
from lipsync_eval.baselines.base import Adapter, Job

RECORD = own_record(
    name="avhubert_expert",
    title="AV-HuBERT expert (this package's)",
    licence="MIT (the code); a checkpoint has the licences of its data, of AV-HuBERT and of Wav2Lip's lip expert (research only)",
    paper="Yaman et al., Audio-Visual Speech Representation Expert for Enhanced Talking Face Video Generation and Evaluation, CVPRW 2024",
    weights=(trained_by("avhubert-expert train"),),
    resolution="the checkpoint's (96 or 48), pasted back",
    options={
        "checkpoint": "folder of a run or checkpoint",
        "lead": "frames by which a mel window begins before its frame, 0 or 1 [1]",
        "mask": "what is pasted back: box, lower or face [box]",
    },
    checked="`compare` run to its table on a CPU, with an avhubert-expert-48 checkpoint of 8 training steps (docs/baselines-checked.md)",
    notes=("a re-implementation from the paper; its choices are in docs/avhubert-expert-choices.md",),
)


def command(job: Job) -> list[str]:
    """`lipsync-eval avhubert-expert dub` in the interpreter of baselines.toml."""
    line = dub_line(job, "avhubert-expert")
    for name in ("lead", "mask"):
        if name in job.options:
            line += [f"--{name}", job.options[name]]
    return line


ADAPTER = Adapter(record=RECORD, command=command)
