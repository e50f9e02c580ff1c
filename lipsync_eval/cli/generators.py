"""What `baselines` and `compare` share: which generators, where they run, and what is said while they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipsync_eval.errors import UsageError
from lipsync_eval.progress import Progress, silent
from lipsync_eval.results.names import printable

if TYPE_CHECKING:
    from lipsync_eval.baselines.base import Adapter
    from lipsync_eval.baselines.environments import Environment
    from lipsync_eval.baselines.runner import Crew, GeneratorOutcome

CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("baselines.toml"),
    show_default=True,
    help="Where each generator's code and environment are.",
)
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Manifest: CSV with columns id,video,audio[,reference][,real].",
)
ENHANCE = click.option("--enhance", metavar="NAME", help="gfpgan or gpen after every generator.")
AGAIN_FAILED = click.option("--again-failed", is_flag=True, help="Run clips again that failed before.")


def reference_rule(flag: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that says which reference image a clip without one of its own gets."""
    return click.option(
        flag,
        type=click.Choice(["first", "random"]),
        default="first",
        show_default=True,
        help="Reference frame where the manifest names none.",
    )


def environments(config: Path) -> dict[str, Environment]:
    """Tables of baselines.toml; none when the default file is not there."""
    from lipsync_eval.baselines.environments import read_environments

    if not config.exists() and config == Path("baselines.toml"):
        return {}
    return read_environments(config)


def chosen(names: Sequence[str], known: Mapping[str, Environment]) -> list[tuple[Adapter, Environment]]:
    """(adapter, environment) for each name.

    Raises:
        UsageError: no such generator, a name twice, or no table for it.
    """
    from lipsync_eval.baselines import get_adapter

    if len(set(names)) < len(names):
        raise UsageError(f"a generator is named twice: {', '.join(names)}")
    pairs = []
    for name in names:
        adapter = get_adapter(name, known)
        if adapter.command is None:
            raise UsageError(
                f"{name} has no public code: only its published numbers are here (lipsync-eval list published)"
            )
        if name not in known:
            raise UsageError(
                f"no [{name}] in baselines.toml: say there where its code and its python are (docs/baselines.md), or try `lipsync-eval baselines show {name}`"
            )
        environment = known[name]
        if unknown := set(environment.options) - set(adapter.record.options):
            there = ", ".join(adapter.record.options) or "none"
            raise UsageError(
                f"[{name}.options] in baselines.toml: {', '.join(sorted(unknown))} is no option of {name}; it has: {there}"
            )
        pairs.append((adapter, environment))
    return pairs


@contextmanager
def on_one_cluster(values: dict[str, Any]) -> Iterator[Crew | None]:
    """The cluster that a command's options ask for, for all its steps; None where they ask for none.

    Args:
        values: parameters of the command; its options become those of `score` with the address of this cluster.

    Raises:
        UsageError: it cannot be reached or started.
    """
    from lipsync_eval.baselines.on_cluster import cluster_run
    from lipsync_eval.engine.cluster.start import ClusterAsk

    ask = ClusterAsk.parse(values["scheduler"], values["cluster"], values["cluster_options"])
    with cluster_run(ask) as run:
        values |= {"scheduler": None if run is None else run.scheduler, "cluster": None, "cluster_options": None}
        yield None if run is None else run.crew


def teller(quiet: bool) -> Progress:
    """Progress as one line a step on stderr."""

    def tell(item: str, stage: str, share: float) -> None:
        click.echo(f"{printable(item)}: {stage}", err=True)

    return silent if quiet else tell


def report_failures(outcomes: Sequence[GeneratorOutcome]) -> int:
    """Print what failed; returns 3 when something did, else 0."""
    bad = [o for o in outcomes if not o.ok]
    for o in bad:
        click.echo(f"failed: {o.generator}: {printable(o.id)}: {o.message.splitlines()[0]}", err=True)
    return 3 if bad else 0
