"""Options and course of every `train*` command: parse, describe with --dry-run, or train. Torch is imported inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from lipsync_eval.cli.radio_options import DEVICE, FILE, FOLDER, say
from lipsync_eval.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Asked:
    """What the options of `training_options` say."""

    config: Path | None
    preset: str | None
    overrides: tuple[str, ...]
    data: Path | None
    out: Path | None
    resume: bool
    dry_run: bool
    device: str

    def settings(self) -> tuple[str, ...]:
        """The overrides, with the data folder among them."""
        return (*self.overrides, *([f"data.folder={json.dumps(str(self.data))}"] if self.data else []))


def training_options(presets: str, prepare: str) -> Callable[[F], F]:
    """Options of a training command; the command gets `Asked(**options)`'s fields.

    Args:
        presets: the help text of --preset.
        prepare: the command that makes the data, e.g. 'radio prepare'.
    """
    options = (
        click.option("--config", type=FILE, help='TOML file: preset = "..." and sections as --dry-run prints them.'),
        click.option("--preset", help=presets),
        click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Override; repeatable."),
        click.option("--data", type=FOLDER, help=f"Folder made by `{prepare}`."),
        click.option("--out", type=FOLDER, help="Folder of the run."),
        click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out."),
        click.option("--dry-run", is_flag=True, help="Print configuration and shapes; touch no data."),
        DEVICE,
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def train_or_describe(asked: Asked, config: Any, shapes: Callable[[Any], str], run: Callable[..., None]) -> None:
    """Print the configuration and shapes under --dry-run, else train.

    Args:
        asked: the options.
        config: the resolved configuration.
        shapes: what --dry-run prints of its networks.
        run: run(config, out, ranks, resume=, say=).

    Raises:
        UsageError: no --out.
    """
    if asked.dry_run:
        from lipsync_eval.baselines.kit.training.dry_run import dry_run

        click.echo(dry_run(config, shapes), nl=False)
        return
    from lipsync_eval.baselines.kit.training.processes import ranks

    if asked.out is None:
        raise UsageError("no folder for the run; give --out DIR")
    with ranks(asked.device) as mine:
        run(config, asked.out, mine, resume=asked.resume, say=say if mine.first else lambda text: None)
