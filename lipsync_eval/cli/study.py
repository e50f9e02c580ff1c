"""`lipsync-eval study RUN... --out DIR` and `lipsync-eval study collect ...`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from lipsync_eval.errors import OutputError


class _WithDefault(click.Group):
    """`study RUN...` means `study make RUN...`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `make` in front of what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["make", *args]
        return super().parse_args(ctx, args)


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
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the study.")
@click.option(
    "--questions",
    default="sync,visual,realness",
    show_default=True,
    help="Of: sync, visual, realness, persona, overall.",
)
@click.option("--clips", "most", type=click.IntRange(1), help="At most so many clips, chosen by seed [default: all].")
@click.option("--with-real", is_flag=True, help="Show the real videos as one more method.")
@click.option("--seed", type=int, default=12345, show_default=True)
def make(runs: tuple[Path, ...], out: Path, questions: str, most: int | None, with_real: bool, seed: int) -> None:
    """Make the page: every clip under every method, blinded, balanced, in an order of each rater's own.

    \b
    Example:
      lipsync-eval study make runs/a runs/b --out study --clips 10 --with-real
    """
    from lipsync_eval.engine.preview import alone
    from lipsync_eval.results.schema import load_result

    core = import_module("lipsync_eval.reports.study")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"--out {out}: exists and is not empty; name a new folder (a study's key must not be lost)")
    items = core.make_items([load_result(r) for r in runs], seed=seed, with_real=with_real, most=most)
    names = [q.strip() for q in questions.split(",") if q.strip()]
    try:
        index = core.write_study(items, out, questions=names, seed=seed, encode=alone)
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    click.echo(
        f"{index}: {len(items)} videos; give the folder `page` to raters, each with a number of their own, and keep {out / core.KEY}"
    )


@study.command()
@click.argument("key", type=click.Path(path_type=Path))
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write one run a method, which `table` prints.")
def collect(key: Path, answers: tuple[Path, ...], out: Path | None) -> None:
    """Mean opinion scores with intervals over clips, and the raters' agreement (Krippendorff's alpha).

    \b
    Example:
      lipsync-eval study collect study/key.json answers-*.json --out runs/mos
    """
    from lipsync_eval.files import write_text

    core = import_module("lipsync_eval.reports.study")
    known = core.read_key(key)
    results = core.collect(known, [o for path in answers for o in core.read_answers(path, known)])
    for result in results:
        for s in result.scores:
            interval = "" if s.ci is None else f"  [{s.ci.low:.2f}, {s.ci.high:.2f}]"
            click.echo(f"{result.run.name:<24}{s.metric:<16}{s.value:.3f}{interval}")
    alphas = ", ".join(
        f"{s.metric} {'undefined' if (a := s.details['krippendorff_alpha']) is None else f'{a:.3f}'}"
        for s in results[0].scores
    )
    click.echo(f"{len(answers)} raters; agreement (Krippendorff's alpha, interval scale): {alphas}")
    if out is None:
        return
    try:
        for i, result in enumerate(results):
            folder = out / f"{i:02d}"
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / "results.json", result.to_json())
    except OSError as error:
        raise OutputError(f"--out {out}: cannot be written ({error.strerror or error})") from error
    click.echo(f"runs: {out}")
