"""Flags that several commands share: made from what settings, protocols and metric families declare."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from lipsync_eval.cache import find_cache_dir
from lipsync_eval.cli.pairs import pairs, weights_files
from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.registry import declared_options
from lipsync_eval.options import Option
from lipsync_eval.protocols.layout import CROP_FROM_OPTION, RADIUS_OPTION
from lipsync_eval.settings import RUN_OPTIONS, Settings
from lipsync_eval.urls import is_url, place

F = TypeVar("F", bound=Callable[..., Any])

FIRST: Final = "First"
"""The heading of the options that most runs need."""
HEADINGS: Final = (FIRST, "Speed", "Many machines", "Videos", "Faces", "Protocol", "Weights and cache", "Output")
"""Those of metric families follow, then the options without a heading."""
PROTOCOL_OPTIONS: Final = (CROP_FROM_OPTION, RADIUS_OPTION)


class Headed(click.Command):
    """A command whose help lists its options under headings, in place of one long list."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        names = [parameter.name for parameter in self.params]
        if twice := sorted({str(name) for name in names if names.count(name) > 1}):
            raise UsageError(
                f"two options are called --{twice[0].replace('_', '-')}: a plug-in takes a name that is in use"
            )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options that most runs need, then the others by heading, then those without a flag of their own."""
        by_heading: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (line := parameter.get_help_record(ctx)) is not None:
                usual = "Other" if parameter.name == "help" else FIRST
                by_heading.setdefault(getattr(parameter, "heading", usual), []).append(line)
        for option in _families() if any(p.name == "extra" for p in self.params) else ():
            if not option.flag:
                by_heading.setdefault(option.heading, []).append((f"--option {option.name}=...", _help(option)))
        other = by_heading.pop("Other", [])
        for heading, lines in [*by_heading.items(), ("Other", other)]:
            if lines:
                with formatter.section("Options that most runs need" if heading == FIRST else heading):
                    formatter.write_dl(lines)


class _Flag(click.Option):
    """An option of the command line that stands under a heading."""

    def __init__(self, *names: Any, heading: str, **how: Any) -> None:
        super().__init__(*names, **how)
        self.heading = heading


flag = functools.partial(click.option, cls=_Flag)
"""click.option with a `heading`."""


class _Place(click.Path):
    """A path, or a URL."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A Path or a Url."""
        return place(value) if is_url(str(value)) else super().convert(value, param, ctx)


PLACE: Final = _Place(path_type=Path)
METRICS: Final = flag(
    "--metrics",
    default="core",
    show_default=True,
    heading=FIRST,
    help="core | all | names, comma separated; -name leaves one out.",
)


def processes(value: object) -> int | str:
    """The value of --workers: a whole number of 1 or more, or 'auto'."""
    text = str(value)
    if text == "auto":
        return text
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise click.BadParameter(f"expected a whole number of 1 or more, or auto; got {text!r}")
    return int(text)


WORKERS_HELP: Final = "Processes, or auto: one a core that memory holds. The numbers do not depend on it."
WORKERS: Final = flag(
    "--workers",
    type=processes,
    metavar="N|auto",
    default=1,
    show_default=True,
    heading=FIRST,
    help=WORKERS_HELP,
)
THREADS: Final = flag(
    "--threads",
    type=click.IntRange(1),
    heading="Speed",
    help="Threads of each process's libraries [default: 1; with networks on the CPU all cores].",
)
SKIP_MISSING: Final = flag(
    "--skip-missing", is_flag=True, heading=FIRST, help="Score the rest when weights are missing."
)
QUIET: Final = flag("--quiet", is_flag=True, heading="Output", help="No progress, no warnings.")


STORES: Final = (
    flag("--weights", multiple=True, metavar="NAME=FILE", heading=FIRST, help="A weights file of yours; repeatable."),
    flag(
        "--cache", type=click.Path(path_type=Path, file_okay=False), heading="Weights and cache",
        help="Folder for tracks and features [default: the user's cache folder].",
    ),
    flag("--no-cache", is_flag=True, heading="Weights and cache", help="Keep no tracks or features."),
)  # fmt: skip
"""Where weights and the cache are."""


def declared(option: Option, default: str | None = None) -> Callable[[F], F]:
    """The flag of a declared option; its value is `default` where it is not given (for a switch too)."""
    types: dict[str, Any] = {"choice": click.Choice(option.choices), "path": click.Path(path_type=Path)}
    types |= {"text": click.STRING, "int": click.INT, "float": click.FLOAT}
    how: dict[str, Any] = {"is_flag": True} if option.kind == "flag" else {"type": types[option.kind]}
    name = f"--{option.name.replace('_', '-')}"
    return flag(name, heading=option.heading, help=_help(option), default=default, **how)


def on_cluster(command: F) -> F:
    """Add the options that let a Dask cluster do the work."""
    heading = "Many machines"
    for option in (
        flag(
            "--cluster-options", type=click.Path(path_type=Path), metavar="FILE", heading=heading,
            help="TOML: how --cluster is started (queue, memory, walltime...).",
        ),
        flag(
            "--cluster", metavar="KIND[:N]", heading=heading,
            help="Start a Dask cluster: local:N | slurm:N | pbs:N | lsf:N | sge:N | ssh:HOST,HOST | k8s:N.",
        ),
        flag("--scheduler", metavar="ADDRESS", heading=heading, help="Use a Dask scheduler that runs: tcp://host:8786."),
    ):  # fmt: skip
        command = option(command)
    return command


def measuring(command: F) -> F:
    """Add the options that say how clips are measured."""
    for option in reversed(_measuring()):
        command = option(command)
    return command


def _measuring() -> list[Callable[..., Any]]:
    own = [option for option in _families() if option.flag]
    return [
        *(declared(option, option.default or None) for option in RUN_OPTIONS),
        *(declared(option) for option in (*PROTOCOL_OPTIONS, *own)),
        *STORES,
        flag(
            "--option", "extra", multiple=True, metavar="NAME=VALUE", heading="Other",
            help="An option of a metric, or of the protocol as protocol.NAME=VALUE; repeatable.",
        ),
    ]  # fmt: skip


def measuring_settings(values: dict[str, Any]) -> Settings:
    """Take the measuring options out of a command's parameters and give them as Settings.

    Raises:
        click.BadParameter: a NAME=FILE or NAME=VALUE without '=', or one option given twice with two values.
    """
    take = values.pop
    protocol_options = _given(values, PROTOCOL_OPTIONS)
    options = _given(values, [option for option in _families() if option.flag])
    for key, value in pairs(take("extra"), "--option", "NAME=VALUE"):
        name = key.removeprefix("protocol.")
        chosen = options if name == key else protocol_options
        if chosen.setdefault(name, value) != value:
            raise click.BadParameter(f"{key} is given twice, as {chosen[name]} and {value}; leave one out")
    run: dict[str, Any] = {o.name: bool(take(o.name)) if o.kind == "flag" else take(o.name) for o in RUN_OPTIONS}
    return Settings(**run, **stores(values), protocol_options=protocol_options, options=options)


def stores(values: dict[str, Any]) -> dict[str, Any]:
    """Take the options STORES out of a command's parameters and give them as arguments of Settings.

    Raises:
        click.BadParameter: a NAME=FILE without '='.
    """
    no_cache, cache = values.pop("no_cache"), values.pop("cache")
    return {
        "weights": weights_files(values.pop("weights")),
        "cache_dir": None if no_cache else cache or find_cache_dir(),
    }


def _families() -> list[Option]:
    return list(declared_options().values())


def _given(values: dict[str, Any], options: Sequence[Option]) -> dict[str, str]:
    return {option.name: str(value) for option in options if (value := values.pop(option.name)) is not None}


def _help(option: Option) -> str:
    return f"{option.help}  [default: {option.default}]" if option.default else option.help
