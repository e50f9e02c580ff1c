"""Generators whose prepared copy takes the run's reference picture where its own code takes other frames."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from lipsync_eval.baselines.base import BaselineError, Job, Patch, Record
from lipsync_eval.baselines.patches import prepared_facts, read_prepared

FILE = "reference.png"
"""The picture's name in the folder where the command runs; the patched code reads it there."""


def with_reference(record: Record, patches: Sequence[Patch], note: str) -> Record:
    """The record of NAME_ref: the same code with patches that make it take the given picture."""
    return replace(
        record,
        name=f"{record.name}_ref",
        title=f"{record.title} (given reference)",
        reference="given",
        needs=(*(need for need in record.needs if need != "references"), "image"),
        patches=(*record.patches, *patches),
        notes=(*record.notes, note, "not the authors' own inference: name the patches beside its numbers"),
    )


def hand_over(record: Record, job: Job) -> list[str]:
    """Put the reference picture where the patched code looks for it.

    Returns:
        notes on what was done.

    Raises:
        BaselineError: the repository is no copy with the record's patches; its code would take other frames and not say so.
    """
    if read_prepared(job.repo) != prepared_facts(record):
        raise BaselineError(
            f"needs a copy made by `lipsync-eval baselines prepare {record.name}` with this adapter's patches: the code at "
            f"{job.repo} would not take the given reference"
        )
    place = job.view / FILE
    place.unlink(missing_ok=True)  # a link to one in the user's checkout would be written through
    shutil.copyfile(job.reference, place)
    return ["its network saw the given reference (patched)"]
