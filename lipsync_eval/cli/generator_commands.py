"""What `prepare`, `train*` and `dub` of every trainable generator do once parsed. Torch is imported inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from lipsync_eval.cache import Cache, default_cache_dir
from lipsync_eval.cli.generator_options import say
from lipsync_eval.errors import UsageError


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

    def resolved(self, load: Callable[..., Any], *more: str) -> Any:
        """The configuration; `load`: of the generator's presets.py, `more`: overrides after those of --set."""
        return load(self.config, (*self.settings(), *more), self.preset)


def prepare(videos: Path, out: Path, workers: int, options: Any) -> int:
    """Prepare data, print a summary; the exit code. `options`: a `kit.data.cutting.Options`."""
    from lipsync_eval.baselines.kit.data.preparation import prepare as run
    from lipsync_eval.baselines.kit.data.preparation import summary

    found = summary(run(videos, out, options, workers=workers, say=say))
    for failure in found["failures"]:
        say(f"failed: {failure['source']}: {failure['message']}")
    click.echo(json.dumps(found, indent=1))
    return 3 if found["failures"] else 0


def dub(generator: Any, video: Path, audio: Path, out: Path, **options: Any) -> None:
    """Dub, print the report. `generator`: a `kit.dubbing.generator.Generator`; `options`: of `kit.dubbing.dub.dub`."""
    from lipsync_eval.baselines.kit.dubbing.dub import dub as run

    report = run(video, audio, out, generator, cache=Cache(default_cache_dir()), say=say, **options)
    click.echo(json.dumps(asdict(report), indent=1))


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


def train_or_check(
    asked: Asked,
    config: Any,
    shapes: Callable[[Any], str],
    run: Callable[..., None],
    check: Callable[..., Any],
    steps: int | None,
) -> None:
    """`train_or_describe`; with --overfit-check STEPS, and without --dry-run, only that check.

    Args:
        asked, config, shapes, run: of `train_or_describe`.
        check: check(config, ranks, steps, say).
        steps: of --overfit-check.

    Raises:
        UsageError: no --out, or less than one step.
    """
    if steps is None or asked.dry_run:
        return train_or_describe(asked, config, shapes, run)
    if steps < 1:
        raise UsageError(f"--overfit-check {steps}: give at least 1 step")
    from lipsync_eval.baselines.kit.training.processes import ranks

    with ranks(asked.device) as mine:
        check(config, mine, steps, say)
    return None
