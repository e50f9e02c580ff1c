"""StyleSync (Guan et al., CVPR 2023) as this package trains it: the generalised model G and the personalised model P.

The authors' own code is the generator `stylesync` (stylesync.py).
"""

from __future__ import annotations

from dataclasses import replace

from lipsync_eval.baselines.adapters._own import dub_line, own_record, trained_by
from lipsync_eval.baselines.base import Adapter, BaselineError, Job

RECORD = own_record(
    name="stylesync_g",
    title="StyleSync G (this package's)",
    paper="Guan et al., StyleSync: High-Fidelity Generalized and Personalized Lip Sync in Style-based Generator, CVPR 2023",
    weights=(trained_by("stylesync train"),),
    resolution="the checkpoint's (256, or 64 for a CPU), pasted back",
    options={"checkpoint": "folder of a run or checkpoint of `stylesync train`"},
    checked="`compare` run to its table on a CPU, with a stylesync-64 checkpoint of 8 training steps (docs/baselines-checked.md)",
    notes=("a re-implementation from the paper; its choices are in docs/stylesync-choices.md",),
)


def command(job: Job) -> list[str]:
    """`lipsync-eval stylesync dub` in the interpreter of baselines.toml."""
    return dub_line(job, "stylesync")


ADAPTER = Adapter(record=RECORD, command=command)

PERSONAL_RECORD = replace(
    RECORD,
    name="stylesync_p",
    title="StyleSync P (this package's)",
    needs=(*RECORD.needs, "per-person training"),
    options={
        **RECORD.options,
        "personal": "folder with one run of `stylesync personalise` for every clip, ID/",
    },
    notes=(
        *RECORD.notes,
        "every clip needs a personalisation on its own video first: its frames were seen in training, as in the paper",
    ),
)


def personal_command(job: Job) -> list[str]:
    """The same with the clip's own personalisation."""
    run = job.repo / job.option("personal") / job.id
    if not run.is_dir():
        raise BaselineError(
            f"needs a personalisation of this clip: {run} is missing; make it with `lipsync-eval stylesync personalise "
            f"CHECKPOINT --video VIDEO --general DATA --out {run}`, or all of a manifest's with docs/stylesync-personalise.sh"
        )
    return [*command(job), "--personal", str(run)]


PERSONAL = Adapter(record=PERSONAL_RECORD, command=personal_command)
