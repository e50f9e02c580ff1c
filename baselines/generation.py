"""Generate what is missing of a manifest, and write the tables of pairs that the scorer reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.base import Adapter
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.baselines.runner import Crew, GeneratorOutcome, find_result, run_all
from lipsync_eval.files import write_text
from lipsync_eval.progress import Progress
from lipsync_eval.results.csv_text import csv_text

__all__ = ["enhanced", "find_result", "generate", "write_pairs"]


def write_pairs(method: str, entries: Sequence[ManifestEntry], generated: Path, path: Path) -> None:
    """A --pairs table for one method. A clip that was not generated keeps its row: the scorer makes it a failure row, so that it
    stays in the count."""
    rows = [("id", "gen", "gt")]
    for entry in entries:
        made = find_result(generated / method, entry.id) or generated / method / f"{entry.id}.mp4"
        rows.append((entry.id, str(made.resolve()), str(entry.real.resolve())))
    write_text(path, csv_text(rows))


def enhanced(entries: Sequence[ManifestEntry], method: str, generated: Path) -> list[ManifestEntry]:
    """Entries whose video is what `method` generated: input of an enhancement step. Clips that were not generated are left out of
    the step and stay failures of the method."""
    found = []
    for entry in entries:
        made = find_result(generated / method, entry.id)
        if made is not None:
            found.append(ManifestEntry(entry.id, made, entry.audio, None, entry.real))
    return found


def generate(
    pairs: Sequence[tuple[Adapter, Environment]],
    entries: Sequence[ManifestEntry],
    out: Path,
    *,
    enhance: tuple[Adapter, Environment] | None,
    reference: str,
    seed: int,
    again_failed: bool,
    progress: Progress,
    crew: Crew | None = None,
) -> tuple[list[str], list[GeneratorOutcome]]:
    """Run all methods, and the enhancement step after each where one is given; here, or on a cluster where there is a `crew`.

    Returns:
        names of the folders to score, and all outcomes.
    """
    how: dict[str, Any] = {"seed": seed, "again_failed": again_failed, "progress": progress, "crew": crew}
    outcomes = run_all(pairs, entries, out, reference=reference, **how)
    names = [adapter.record.name for adapter, _ in pairs]
    if enhance is None:
        return names, outcomes
    from dataclasses import replace

    step, environment = enhance
    after = []
    for name in names:
        label = f"{name}_{step.record.name}"
        renamed = replace(step, record=replace(step.record, name=label))
        outcomes += run_all([(renamed, environment)], enhanced(entries, name, out), out, reference="first", **how)
        after.append(label)
    return after, outcomes
