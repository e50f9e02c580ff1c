"""`lipsync-eval baselines list|show|check|prepare|run|manifest`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipsync_eval.cli import output_files
from lipsync_eval.cli.generators import (
    AGAIN_FAILED,
    CONFIG,
    DATA,
    ENHANCE,
    chosen,
    environments,
    on_one_cluster,
    reference_rule,
    report_failures,
    teller,
)
from lipsync_eval.cli.options import on_cluster


@click.group()
def baselines() -> None:
    """Other people's generators, each in an environment and a process of its own.

    \b
    Examples:
      lipsync-eval baselines list
      lipsync-eval baselines prepare wav2lip --from ~/Wav2Lip --to ~/Wav2Lip-current
      lipsync-eval baselines check wav2lip
      lipsync-eval baselines manifest hdtf ~/HDTF --n 50 --out hdtf.csv
      lipsync-eval baselines run wav2lip --data hdtf.csv --out gen
    """


@baselines.command("list")
def list_() -> None:
    """One line per generator."""
    from lipsync_eval.baselines import listing

    for line in listing():
        click.echo(line)


@baselines.command()
@click.argument("name")
@CONFIG
def show(name: str, config: Path) -> None:
    """All facts about a generator, with its source."""
    from lipsync_eval.baselines import get_adapter
    from lipsync_eval.cli.listing import field_text, rows

    adapter = get_adapter(name, environments(config))
    for key, value in rows(adapter.record):
        click.echo(field_text(key, value))


@baselines.command()
@click.argument("names", nargs=-1, required=True)
@CONFIG
def check(names: tuple[str, ...], config: Path) -> int:
    """Prove an environment without running it: repository at its commit, weights and hashes, imports, GPU.

    Exit 0: ready. 2: something is missing.
    """
    from lipsync_eval.baselines import check as checks
    from lipsync_eval.baselines import get_adapter
    from lipsync_eval.baselines.environments import own_environment

    known = environments(config)
    ready = True
    for name in names:
        adapter, environment = get_adapter(name, known), known.get(name)
        if environment is None and adapter.record.imports == ("lipsync_eval",):  # our own: it needs no other place
            environment = own_environment(name, Path.cwd())
        for finding in checks.check(adapter, environment):
            ready &= finding.ok
            click.echo(f"{name}: {'ok  ' if finding.ok else 'NOT '} {finding.what}: {finding.message}")
    return 0 if ready else 2


@baselines.command()
@click.argument("name")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Your checkout of its repository.",
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="New folder for the copy; set it as `repo` in baselines.toml.",
)
def prepare(name: str, source: Path, target: Path) -> None:
    """Copy a checkout and make the listed small changes that current versions of its dependencies need.

    \b
    Example:
      lipsync-eval baselines prepare wav2lip --from ~/Wav2Lip --to ~/Wav2Lip-current
    """
    from lipsync_eval.baselines import get_adapter
    from lipsync_eval.baselines.patches import prepare as prepared

    for line in prepared(get_adapter(name).record, source, target):
        click.echo(line)


@baselines.command()
@click.argument("names", nargs=-1, required=True)
@DATA
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder; each generator gets a folder in it."
)
@reference_rule("--reference")
@ENHANCE
@AGAIN_FAILED
@click.option("--seed", type=int, default=12345, show_default=True)
@on_cluster
@click.option("--quiet", is_flag=True)
@CONFIG
def run(
    names: tuple[str, ...],
    data: Path,
    out: Path,
    reference: str,
    enhance: str | None,
    again_failed: bool,
    seed: int,
    quiet: bool,
    config: Path,
    **values: Any,
) -> int:
    """Generate what is missing. Exit 3: some clips failed, the rest is there.

    On a cluster every worker runs generators on its share of the clips, on its GPU; the manifest's files, the generators and
    OUT must then lie on a disk that all workers share (docs/scale.md).

    \b
    Examples:
      lipsync-eval baselines run wav2lip ip_lap --data hdtf.csv --out gen
      lipsync-eval baselines run radio --data hdtf.csv --out gen --cluster local:8
    """
    from lipsync_eval.baselines.generation import generate
    from lipsync_eval.baselines.manifest import read_manifest

    known = environments(config)
    step = chosen([enhance], known)[0] if enhance else None
    how: dict[str, Any] = {"enhance": step, "reference": reference, "seed": seed, "again_failed": again_failed}
    generators, entries = chosen(names, known), read_manifest(data)
    with on_one_cluster(values) as crew:
        _, outcomes = generate(generators, entries, out, **how, progress=teller(quiet), crew=crew)
    done = sum(o.ok for o in outcomes)
    click.echo(f"{done} of {len(outcomes)} videos are there: {out}")
    return report_failures(outcomes)


@baselines.command("manifest")
@click.argument("layout", type=click.Choice(["hdtf", "voxceleb2", "lrw", "lrs2"]))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="CSV to write.")
@click.option("--n", type=click.IntRange(1), default=50, show_default=True, help="Clips (RADIO: 50; PersonaTalk: 30).")
@click.option(
    "--seed", type=int, default=12345, show_default=True, help="The papers' own lists are not public: state seed and n."
)
@click.option(
    "--pair",
    type=click.Choice(["self", "other"]),
    default="self",
    show_default=True,
    help="self: each video with its own audio. other: with the audio of another drawn clip.",
)
def manifest_(layout: str, folder: Path, out: Path, n: int, seed: int, pair: str) -> None:
    """Draw a manifest by seed from your own copy of a data set. Nothing is downloaded.

    \b
    Examples:
      lipsync-eval baselines manifest lrs2 ~/LRS2 --n 100 --out lrs2.csv
      lipsync-eval baselines manifest lrs2 ~/LRS2 --n 100 --pair other --out lrs2_cross.csv
    """
    from lipsync_eval.baselines.manifest import draw_manifest

    output_files.check_output(out, "--out", output_files.text)
    found = draw_manifest(layout, folder, out, n=n, seed=seed, pair=pair)
    click.echo(f"{out}: {found} clips, layout {layout}, seed {seed}, pair {pair}")
