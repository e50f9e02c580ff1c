"""From a manifest to a table and a page: generate what is missing, score every method, put the runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lipsync_eval.baselines.base import REFERENCES, Adapter, Reference
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.baselines.generation import find_result, generate, write_pairs
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.baselines.runner import Crew, GeneratorOutcome
from lipsync_eval.engine.preview import preview
from lipsync_eval.errors import OtherRun
from lipsync_eval.files import write_text
from lipsync_eval.media.names import is_video
from lipsync_eval.progress import Progress
from lipsync_eval.reports.layout import get_layout
from lipsync_eval.reports.page import write_page
from lipsync_eval.reports.published import select
from lipsync_eval.reports.render import as_text, write_all
from lipsync_eval.reports.table import build
from lipsync_eval.results.schema import RESULTS, Result, load_result
from lipsync_eval.results.store import load_frames


@dataclass(frozen=True, slots=True)
class MethodJob:
    """One method to score: where its videos are and where the run goes."""

    name: str
    generated: Path
    """Folder of its videos."""
    pairs: Path
    """The --pairs table."""
    run: Path


Measure = Callable[[MethodJob, bool], Result]
"""measure(job, resume): score one method; resume=False replaces what the run's folder holds."""


@dataclass(frozen=True, slots=True)
class ComparedMethods:
    """What became of the methods."""

    results: tuple[Result, ...]
    names: tuple[str, ...]
    """Of the results: folders in OUT/runs."""
    empty: tuple[str, ...]
    """Methods that made no video at all; they have no result."""
    outcomes: tuple[GeneratorOutcome, ...]
    """One for each video asked for."""
    references: tuple[Reference, ...]
    """Of the results: where each method's reference frame comes from."""
    notes: tuple[str, ...]
    """What a reader must know about the reference frames; footnotes of the table."""


def compare(
    generators: Sequence[tuple[Adapter, Environment]],
    entries: Sequence[ManifestEntry],
    out: Path,
    measure: Measure,
    *,
    enhance: tuple[Adapter, Environment] | None,
    reference: str,
    seed: int,
    again_failed: bool,
    progress: Progress,
    crew: Crew | None = None,
) -> ComparedMethods:
    """Run what is missing into OUT/gen and score all methods into OUT/runs; what is done is not run again.

    Args:
        generators: with their environments.
        entries: clips of the manifest.
        out: folder, made if absent.
        measure: scores one method.
        enhance, reference, seed, again_failed, progress, crew: as in generation.generate.

    Raises:
        OSError: the folder cannot be written.
        UsageError: a method cannot be run or scored.
    """
    names, outcomes = generate(
        generators,
        entries,
        out / "gen",
        enhance=enhance,
        reference=reference,
        seed=seed,
        again_failed=again_failed,
        progress=progress,
        crew=crew,
    )
    there = tuple(name for name in names if any(find_result(out / "gen" / name, e.id) for e in entries))
    made = {name: adapter.record.reference for name, (adapter, _) in zip(names, generators, strict=True)}
    kinds = tuple(made[name] for name in there)
    results = tuple(_score(name, made[name], entries, out, measure) for name in there)
    empty = tuple(name for name in names if name not in there)
    return ComparedMethods(results, there, empty, tuple(outcomes), kinds, tuple(_notes(kinds, entries, reference)))


def _notes(kinds: Sequence[Reference], entries: Sequence[ManifestEntry], rule: str) -> list[str]:
    """What the labels of the rows mean, and on how many clips the true mouth can have reached a network."""
    given = f"{REFERENCES['given']} ({'the first frame' if rule == 'first' else 'a frame drawn by the clip’s id'}, or the manifest's own)"
    words = {**REFERENCES, "given": given}
    notes = ["Reference frame: " + "; ".join(f"[{_label(k)}] {words[k]}" for k in dict.fromkeys(kinds)) + "."]
    own = sum(e.audio == e.video for e in entries)
    if own and {"own-frame", "drawn"} & set(kinds):
        notes.append(
            f"{own} of {len(entries)} clips are dubbed with the audio of the same video: there the networks of [own-frame] rows see the "
            "mouth that they are to make, those of [drawn] rows may see it. Their numbers are not comparable with [given] rows."
        )
    if other := sum(e.audio != e.video and e.real == e.video and is_video(e.audio) for e in entries):
        notes.append(
            f"{other} of {len(entries)} clips are dubbed with the audio of another video: metrics that compare with the real video "
            "compare with a mouth that says something else."
        )
    return notes


def _label(kind: Reference) -> str:
    return kind or "not stated"


def write_table(found: ComparedMethods, out: Path, layout: str | None, published: Sequence[str]) -> str:
    """Write OUT/table.txt, .md, .tex and .csv; each measured row and a footnote say where its reference frame comes from.

    Args:
        found: what `compare` gave, with at least one result.
        out: folder.
        layout: as in `table --layout`.
        published: as in `table --published`.

    Returns:
        the table as text.
    """
    numbers = [number for key in published for number in select(key)]
    # One manifest: a clip that failed has no digest, which is no other data.
    table = build(found.results, numbers, layout=get_layout(layout) if layout else None, ignore=("data",))
    table = replace(table, footnotes=(*found.notes, *table.footnotes))
    write_all(table, out)
    return as_text(table)


def write_report(names: Sequence[str], out: Path) -> Path:
    """Write the page OUT/report of the runs OUT/runs/NAME; returns its first file."""
    runs = [out / "runs" / name for name in names]
    loaded, frames = [load_result(run) for run in runs], [load_frames(run) for run in runs]
    return write_page(loaded, frames, out / "report", [preview] * len(runs))


def _score(name: str, kind: Reference, entries: Sequence[ManifestEntry], out: Path, measure: Measure) -> Result:
    """Score one method; its results.json then says where its reference frame comes from, for every later table."""
    job = MethodJob(name, out / "gen" / name, out / "runs" / f"{name}.pairs.csv", out / "runs" / name)
    job.run.parent.mkdir(parents=True, exist_ok=True)
    write_pairs(name, entries, out / "gen", job.pairs)
    result = measured(job, measure)
    result = result.model_copy(update={"run": result.run.model_copy(update={"reference": _label(kind)})})
    write_text(job.run / RESULTS, result.to_json(job.run))
    return result


def measured(job: MethodJob, measure: Measure) -> Result:
    """The scores of one method: its run is continued, or begun anew where it is one of other videos, metrics or settings."""
    try:
        return measure(job, True)
    except OtherRun:
        return measure(job, False)
