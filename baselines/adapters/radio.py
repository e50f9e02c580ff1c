"""RADIO (Lee et al., WACV 2024): this package's own reference generator, run like any other."""

from __future__ import annotations

from lipsync_eval.baselines.adapters._own import dub_line, own_record, trained_by
from lipsync_eval.baselines.base import Adapter, Job

RECORD = own_record(
    name="radio",
    title="RADIO (this package's)",
    paper="Lee et al., RADIO: Reference-Agnostic Dubbing Video Synthesis, WACV 2024",
    weights=(trained_by("radio train"),),
    resolution="the checkpoint's (96 or 192), pasted back",
    options={"checkpoint": "folder or file of a checkpoint"},
    checked="run end to end on a CPU with a radio-48 checkpoint of 60 steps (docs/baselines-checked.md)",
    notes=("a re-implementation from the paper; its choices are in docs/radio-choices.md",),
)


def command(job: Job) -> list[str]:
    """`lipsync-eval radio dub` in the interpreter of baselines.toml."""
    return dub_line(job, "radio")


ADAPTER = Adapter(record=RECORD, command=command)
