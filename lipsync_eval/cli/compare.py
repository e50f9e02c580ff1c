"""`lipsync-eval compare --methods ... --data MANIFEST --out DIR`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli.generators import (
    AGAIN_FAILED,
    CONFIG,
    DATA,
    ENHANCE,
    chosen,
    environments,
    reference_rule,
    report_failures,
    teller,
)
from lipsync_eval.cli.options import measuring, measuring_settings
from lipsync_eval.errors import OutputError, UsageError


@click.command()
@click.option("--methods", required=True, metavar="A,B,...", help="Generators, comma separated.")
@DATA
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="DIR/gen, DIR/runs, DIR/table.*, DIR/report."
)
@click.option("--metrics", default="core", show_default=True, help="As in `score`.")
@click.option("--layout", help="As in `table`.")
@click.option("--published", multiple=True, metavar="KEY", help="As in `table`.")
@reference_rule("--reference-frame")
@ENHANCE
@AGAIN_FAILED
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True)
@click.option("--skip-missing", is_flag=True, help="Score the rest when weights are missing.")
@click.option("--no-report", is_flag=True, help="Table only.")
@click.option("--quiet", is_flag=True)
@CONFIG
@measuring
def compare(
    methods: str,
    data: Path,
    out: Path,
    layout: str | None,
    published: tuple[str, ...],
    reference_frame: str,
    enhance: str | None,
    again_failed: bool,
    no_report: bool,
    quiet: bool,
    config: Path,
    **values: Any,
) -> int:
    """Run what is missing, score all methods, write the table and the page.

    Killed, it goes on where it was. What is done is not run again. Exit 3: some clips failed, the rest is scored.

    \b
    Example:
      lipsync-eval compare --methods wav2lip,ip_lap,radio --data hdtf.csv --out cmp --layout radio
    """
    manifest, comparison = (import_module(f"lipsync_eval.baselines.{m}") for m in ("manifest", "comparison"))
    known = environments(config)
    names = [m.strip() for m in methods.split(",") if m.strip()]
    if not names:
        raise UsageError("--methods names no generator")
    entries = manifest.read_manifest(data)
    pairs, step = chosen(names, known), chosen([enhance], known)[0] if enhance else None
    settings = measuring_settings(values)
    try:
        folders, outcomes = comparison.generate(
            pairs,
            entries,
            out / "gen",
            enhance=step,
            reference=reference_frame,
            seed=settings["seed"],
            again_failed=again_failed,
            event=teller(quiet),
        )
        there = [name for name in folders if any(comparison.find_result(out / "gen" / name, e.id) for e in entries)]
        for name in folders:
            if name not in there:
                click.echo(f"{name}: made no video at all, so it is not in the table", err=True)
        results = [_score(name, entries, out, settings, values, quiet) for name in there]
        if results:
            _write_table(results, out, layout, published)
        if results and not no_report:
            _write_report(there, out)
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    code = report_failures(outcomes)
    return code or (3 if any(r.failures for r in results) else 0)


def _score(name: str, entries: Any, out: Path, settings: dict[str, Any], values: dict[str, Any], quiet: bool) -> Any:
    from lipsync_eval.cli.progress import progress
    from lipsync_eval.cli.streams import isolated
    from lipsync_eval.engine.score import score

    run = out / "runs" / name
    run.parent.mkdir(parents=True, exist_ok=True)
    table = out / "runs" / f"{name}.pairs.csv"
    import_module("lipsync_eval.baselines.comparison").write_pairs(name, entries, out / "gen", table)

    def go(**how: Any) -> Any:
        with progress(quiet=quiet) as event:
            return score(
                out / "gen" / name,
                out / "gen" / name,
                pairs=table,
                out=run,
                name=name,
                event=event,
                command=["lipsync-eval", *sys.argv[1:]],
                isolate=isolated(),
                **values,
                **settings,
                **how,
            )

    try:
        return go(resume=True)
    except OutputError:  # another plan lies there: new videos, other metrics
        return go(overwrite=True)


def _write_table(results: Any, out: Path, layout: str | None, published: tuple[str, ...]) -> None:
    from lipsync_eval.files import write_text

    build = import_module("lipsync_eval.reports.table").build
    formats = import_module("lipsync_eval.reports.render").FORMATS
    numbers = [n for key in published for n in import_module("lipsync_eval.reports.published").select(key)]
    shape = import_module("lipsync_eval.reports.layout").get_layout(layout) if layout else None
    table = build(
        results, numbers, layout=shape, ignore=("data",)
    )  # one manifest: a clip that failed has no digest, which is no other data
    for form, suffix in (("text", "txt"), ("markdown", "md"), ("latex", "tex"), ("csv", "csv")):
        write_text(out / f"table.{suffix}", formats[form](table))
    click.echo(formats["text"](table), nl=False)


def _write_report(names: list[str], out: Path) -> None:
    from lipsync_eval.engine.preview import side_by_side
    from lipsync_eval.results.schema import ClipRow, load_result
    from lipsync_eval.results.store import load_frames

    def media(place: int, clip: ClipRow, folder: Path) -> str | None:
        name = f"{place:06d}.mp4"
        return name if side_by_side(clip, folder / name) else None

    runs = [out / "runs" / name for name in names]
    index = import_module("lipsync_eval.reports.page").write_page(
        [load_result(r) for r in runs], [load_frames(r) for r in runs], out / "report", [media] * len(runs)
    )
    click.echo(f"report: {index}")
