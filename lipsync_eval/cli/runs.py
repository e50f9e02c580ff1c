"""Runs on the command line: RUN, or RUN=NAME to give it another name without scoring again."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path

import click

from lipsync_eval.errors import UsageError
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import Result

RESAMPLE = click.option(
    "--resample",
    type=click.Choice(["clip", "speaker"]),
    default="clip",
    show_default=True,
    help="What tests and intervals draw; speaker: the column of --pairs, with all clips of a person.",
)


def read_run(text: str) -> Result:
    """The run that RUN or RUN=NAME names; raises as `split_name` and `load_result`."""
    from lipsync_eval.results.schema import load_result

    path, name = split_name(text)
    return _kept(load_result(path), name)


def _kept(result: Result, name: str | None) -> Result:
    """The run under its name; it stays to the end of the command, so the collector of cycles need not look at it."""
    gc.freeze()
    return result if name is None else result.renamed(name)


def split_name(text: str) -> tuple[Path, str | None]:
    """(path, name) of RUN or RUN=NAME. A path that holds '=' itself is taken whole where it exists.

    Raises:
        UsageError: an empty name.
    """
    path, equals, name = text.rpartition("=")
    if not equals or os.path.exists(text):  # noqa: PTH110 (False, not an error, where a name is too long)
        return Path(text), None
    if not name.strip() or not path:
        raise UsageError(f"{printable(text)!r}: expected RUN=NAME, e.g. runs/a=ours")
    return Path(path), name


def read_gated(run: str, baseline: str | None) -> tuple[Result, Result | None]:
    """The two runs of `gate`. The folder of a watch stands for its newest checkpoint, as a baseline for the one before."""
    from lipsync_eval.results.history import newest_run
    from lipsync_eval.results.schema import load_result

    path, name = split_name(run)
    path = newest_run(path)
    new = _kept(load_result(path), name)
    if baseline is None:
        return new, None
    old_path, old_name = split_name(baseline)
    return new, _kept(load_result(newest_run(old_path, besides=path)), old_name)


def read_runs(texts: Sequence[str]) -> list[Result]:
    """All runs, in order.

    Raises:
        UsageError: the folder of a watch: the command wants single runs.
    """
    from lipsync_eval.results.history import history_file, scored_runs

    for text in texts:
        if (file := history_file(split_name(text)[0])) is not None:
            raise UsageError(
                f"{printable(text)}: that is the history of a watch; name runs of its checkpoints, e.g. {scored_runs(file)[0][-1]}"
            )
    return [read_run(text) for text in texts]


def read_methods(texts: Sequence[str]) -> list[Result]:
    """All runs, in order, where the folder of a watch stands for all its scored checkpoints, each called by its name.

    Checkpoints without a run are told on stderr. HISTORY=NAME puts NAME before the names of its checkpoints.
    """
    from lipsync_eval.results.history import history_file, scored_runs
    from lipsync_eval.results.schema import load_result

    found = []
    for text in texts:
        path, name = split_name(text)
        if (file := history_file(path)) is None:
            found.append(read_run(text))
            continue
        runs, others = scored_runs(file)
        for sentence in others:
            click.echo(f"warning: {file}: {printable(sentence)}", err=True)
        results = [_kept(load_result(run), None) for run in runs]
        found += results if name is None else [r.renamed(f"{name} {r.run.name}") for r in results]
    return found


def metric_list(text: str | None) -> list[str] | None:
    """'psnr, lmd' -> ['psnr', 'lmd']; None where nothing is named."""
    names = [m.strip() for m in (text or "").split(",") if m.strip()]
    return names or None
