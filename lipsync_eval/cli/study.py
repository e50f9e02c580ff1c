"""`lipsync-eval study RUN... --out DIR` and `lipsync-eval study collect ...`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from lipsync_eval.cli.runs import read_runs
from lipsync_eval.errors import OutputError
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import RESULTS, load_result

UNFINISHED = ".unfinished"
"""Lies in a study's folder while it is made: such a folder may be made again."""


class _WithDefault(click.Group):
    """`study RUN...` means `study make RUN...`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `make` in front of what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["make", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of `make` too, since it may be left out."""
        records = [r for p in self.commands["make"].get_params(ctx) if (r := p.get_help_record(ctx)) is not None]
        with formatter.section("Options of make (the word may be left out)"):
            formatter.write_dl(records)
        super().format_options(ctx, formatter)


@click.group(cls=_WithDefault)
def study() -> None:
    """A user study: a blinded page to rate videos on, then mean opinion scores.

    \b
    Examples:
      lipsync-eval study runs/a runs/b --out study          makes study/page (for raters) and study/key.json (keep it)
      lipsync-eval study collect study/key.json answers-*.json --out runs/mos
      lipsync-eval table runs/mos/*
    """


@study.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN[=NAME]...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the study.")
@click.option(
    "--questions",
    default="sync,visual,realness",
    show_default=True,
    help="Of: sync, visual, realness, persona, overall.",
)
@click.option("--clips", "most", type=click.IntRange(1), help="At most so many clips, chosen by seed [default: all].")
@click.option("--with-real", is_flag=True, help="Show the real videos as one more method.")
@click.option("--seed", type=int, default=12345, show_default=True, help="Of names and choice of clips.")
def make(runs: tuple[str, ...], out: Path, questions: str, most: int | None, with_real: bool, seed: int) -> None:
    """Make the page: every clip under every method, blinded, balanced, in an order of each rater's own.

    \b
    Example:
      lipsync-eval study make runs/a runs/b --out study --clips 10 --with-real
    """
    from lipsync_eval.engine.preview import alone
    from lipsync_eval.reports import study as core

    if out.exists() and not (out / UNFINISHED).exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"--out {out}: exists and is not empty; name a new folder (a study's key must not be lost)")
    items = core.make_items(read_runs(runs), seed=seed, with_real=with_real, most=most)
    core.check_videos(items)
    names = [q.strip() for q in questions.split(",") if q.strip()]
    core.check_questions(names)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / UNFINISHED).touch()
        shutil.rmtree(out / "page", ignore_errors=True)
        index = core.write_study(items, out, questions=names, seed=seed, encode=alone)
        (out / UNFINISHED).unlink()
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    click.echo(
        f"{index}: {len(items)} videos; give the folder `page` to raters, each with a number of their own, and keep {out / core.KEY}"
    )


@study.command()
@click.argument("key", type=click.Path(path_type=Path))
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--watched-only", is_flag=True, help="Leave out videos that the rater did not watch to the end.")
@click.option("--out", type=click.Path(path_type=Path), help="Write one run a method, which `table` prints.")
def collect(key: Path, answers: tuple[Path, ...], watched_only: bool, out: Path | None) -> None:
    """Mean opinion scores with intervals over clips, and the raters' agreement (Krippendorff's alpha).

    \b
    Example:
      lipsync-eval study collect study/key.json answers-*.json --out runs/mos
    """
    from lipsync_eval.reports import study as core

    known = core.read_key(key)
    opinions = [o for path in answers for o in core.read_answers(path, known)]
    unwatched = sum(not o.watched for o in opinions)
    results = core.collect(known, [o for o in opinions if o.watched] if watched_only else opinions)
    for result in results:
        for s in result.scores:
            interval = "" if s.ci is None else f"  [{s.printed(s.ci.low)}, {s.printed(s.ci.high)}]"
            click.echo(f"{printable(result.run.name):<24}{s.metric:<16}{s.printed(s.value)}{interval}")
    alphas = ", ".join(
        f"{s.metric} {'undefined' if (a := s.details['krippendorff_alpha']) is None else f'{a:.3f}'}"
        for s in results[0].scores
    )
    click.echo(f"{len(answers)} raters; agreement (Krippendorff's alpha, interval scale): {alphas}")
    if unwatched:
        what = "left out" if watched_only else "counted all the same (--watched-only leaves them out)"
        click.echo(f"{unwatched} of {len(opinions)} answers are on videos that were not watched to the end: {what}")
    if out is None:
        return
    for i, result in enumerate(results):
        if (out / f"{i:02d}" / RESULTS).exists() and load_result(out / f"{i:02d}").run.command != result.run.command:
            raise OutputError(f"--out {out}: {out / f'{i:02d}'} holds a run of its own; name another folder")
    for i, result in enumerate(results):
        result.save(out / f"{i:02d}", overwrite=True)
    click.echo(f"runs: {out}")
