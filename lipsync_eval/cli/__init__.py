"""The command line: parse, call, print. Commands load on use, so `-h` answers at once and imports no torch.

Exit codes: 0 ok. 1 gate failed. 2 nothing was done (or its words could not be written). 3 some or all clips failed. 70 a
bug. 130 Ctrl-C.
"""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from pathlib import Path
from typing import cast

import click

from lipsync_eval.cli import streams
from lipsync_eval.errors import LipsyncError, UsageError
from lipsync_eval.logs import LEVELS, configure, note
from lipsync_eval.registry import load_object, no_such
from lipsync_eval.results.names import printable
from lipsync_eval.version import __version__

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_COMMANDS: dict[str, tuple[str, str]] = {
    "score": ("lipsync_eval.cli.score:score", "Score generated videos against real ones (the main job)."),
    "demo": ("lipsync_eval.cli.demo:demo", "Make a small pair of talking clips and score them."),
    "merge": ("lipsync_eval.cli.merge:merge", "Put the shards of a run together."),
    "list": ("lipsync_eval.cli.listing:list_", "List metrics, protocols, weights, baselines or published numbers."),
    "show": ("lipsync_eval.cli.listing:show", "All that a metric, protocol, weights row... declares."),
    "explain": ("lipsync_eval.cli.explain:explain", "Why two scores cannot be compared."),
    "weights": ("lipsync_eval.cli.weights:weights", "List, download and verify weights."),
    "cache": ("lipsync_eval.cli.cache:cache", "How large the cache is; make it smaller."),
    "table": ("lipsync_eval.cli.table:table", "Tables of runs for a terminal, a paper or a page."),
    "report": ("lipsync_eval.cli.report:report", "A page to look at runs clip by clip."),
    "plot": ("lipsync_eval.cli.plot:plot", "Plots of runs for a paper."),
    "figure": ("lipsync_eval.cli.figure:figure", "Frames of one clip under several methods, for a paper."),
    "gate": ("lipsync_eval.cli.gate:gate", "Stop a worse checkpoint in CI."),
    "watch": ("lipsync_eval.cli.watch:watch", "Score every new checkpoint of a training."),
    "export": ("lipsync_eval.cli.export:export", "Runs for wandb, MLflow, TensorBoard, a model card."),
    "study": ("lipsync_eval.cli.study:study", "A user study: make the page, collect the answers."),
    "correlate": ("lipsync_eval.cli.correlate:correlate", "Which metric agrees with people's scores."),
    "sensitivity": ("lipsync_eval.cli.sensitivity:sensitivity", "Which metrics a shift, blur, delay... moves."),
    "diagnose": ("lipsync_eval.cli.diagnose:diagnose", "Why a clip's sync score is what it is."),
    "style": ("lipsync_eval.cli.style:style", "Speaking styles: a map, StyleSim's constants, an encoder."),
    "baselines": ("lipsync_eval.cli.baselines:baselines", "Run other people's generators."),
    "compare": ("lipsync_eval.cli.compare:compare", "Run generators, score them all, write the table."),
    "radio": ("lipsync_eval.cli.radio:radio", "The reference generator: prepare, train, dub."),
    "avhubert-expert": (
        "lipsync_eval.cli.avhubert_expert:avhubert_expert",
        "Yaman et al.'s generator: prepare, train, dub.",
    ),
    "stylesync": ("lipsync_eval.cli.stylesync:stylesync", "StyleSync: prepare, train, personalise, dub."),
    "personatalk": ("lipsync_eval.cli.personatalk:personatalk", "The generator PersonaTalk: fit, train, dub, styles."),
    "schema": ("lipsync_eval.cli.schema:schema", "JSON Schema of results.json and other files."),
    "completion": ("lipsync_eval.cli.completion:completion", "Completion for bash, zsh or fish."),
}
"""Command -> where it is, and its line of help."""
_OLD_NAMES: dict[str, str] = {
    "style-map": "lipsync_eval.cli.style_map:style_map",
    "style-constants": "lipsync_eval.cli.style_constants:style_constants",
    "style-train": "lipsync_eval.cli.style_train:style_train",
}
"""Names that scripts may still use; no help shows them."""


class Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; an unknown name ends with near ones and the list."""
        target = _COMMANDS[cmd_name][0] if cmd_name in _COMMANDS else _OLD_NAMES.get(cmd_name)
        if target is None:
            raise click.UsageError(no_such("command", cmd_name, _COMMANDS), ctx)
        command: click.Command = load_object(target)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table's own words instead of importing every command for its first line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=Lazy, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="lipsync-eval")
@click.option(
    "--log-level", type=click.Choice(LEVELS), help="Least level of log messages [default: warning; file: info]."
)
@click.option(
    "--log-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append log messages, progress and warnings to a file.",
)
@click.pass_context
def cli(ctx: click.Context, log_level: str | None, log_file: Path | None) -> None:
    """Every number a lip-sync paper prints, computed one way, with a signature that says how.

    \b
    Examples:
      lipsync-eval demo
      lipsync-eval score gen/ gt/
      lipsync-eval score gen/ gt/ --metrics psnr,ssim,lmd --out runs/mine
      lipsync-eval table runs/mine runs/theirs --format latex
      lipsync-eval gate runs/new --baseline runs/old

    Defaults for options may stand in lipsync-eval.toml or in [tool.lipsync-eval] of pyproject.toml.
    """
    from lipsync_eval.cli import project_file

    if log_level or log_file:
        configure(log_level, log_file)
    project = project_file.find()
    if project.path is not None:
        ctx.obj = {**(ctx.obj or {}), "project": project}
        ctx.default_map = project_file.defaults(project, cast(click.Group, ctx.command), ctx)


def main() -> None:
    """Run the command line as a process of its own; every expected error is one clear message on stderr."""
    out, _ = streams.guard()
    configure()
    code = run(sys.argv[1:], isolate=True)
    if (why := streams.failure(out)) is not None:
        click.echo(f"error: standard output cannot be written ({why}); what is missing there was not shown", err=True)
        code = code or 2
    sys.exit(code)


def run(arguments: list[str], *, isolate: bool = False) -> int:
    """Run one command line in this process.

    Args:
        arguments: without the program's name.
        isolate: clips are measured in processes of their own, so that one that crashes is a failure row.

    Returns:
        the exit code.
    """
    try:
        code = cli.main(arguments, prog_name="lipsync-eval", standalone_mode=False, obj={"isolate": isolate})
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo(
            "interrupted: start the same command again; with --resume, where it has that option, it goes on with what is finished",
            err=True,
        )
        return 130
    except click.ClickException as error:
        click.echo(_usage(error), err=True)
        return 2
    except LipsyncError as error:
        click.echo(f"error: {safe(error)}", err=True)
        note(f"error: {safe(error)}", logging.ERROR)
        return 2 if isinstance(error, UsageError) else 3
    except BrokenPipeError:
        return 0
    except SystemExit as error:  # click's own answer to a closed pipe is 1, which means "worse" here
        broken = isinstance(error.__context__, OSError) and error.__context__.errno == errno.EPIPE
        return 0 if broken else error.code if isinstance(error.code, int) else 2
    except OSError as error:  # a file or a folder of the user, whoever asked for it
        place = f"{error.filename}: " if error.filename is not None else ""
        click.echo(f"error: {safe(f'{place}{error.strerror or error}')}", err=True)
        note(safe(traceback.format_exc()), logging.ERROR)
        return 2
    except Exception as error:
        if isinstance(error, RuntimeError) and "home directory" in str(error):  # pathlib's words, and platformdirs'
            click.echo(
                f"error: this user has no home folder ({safe(error)}): set HOME to a folder that can be written",
                err=True,
            )
            return 2
        click.echo(safe(traceback.format_exc()), err=True)
        note(safe(traceback.format_exc()), logging.ERROR)
        click.echo("this is a bug of lipsync-eval: please report it with the lines above", err=True)
        return 70


def safe(message: object) -> str:
    """A message of several lines that cannot drive a terminal, whatever names it holds."""
    return "\n".join(printable(line) for line in str(message).split("\n"))


def _usage(error: click.ClickException) -> str:
    """What click says about a wrong command line, with the nearest command or option."""
    context = getattr(error, "ctx", None)
    if context is None:
        return safe(f"Error: {error.format_message()}")
    help_ = f"Try '{context.command_path} {context.help_option_names[0]}' for help."
    return safe(f"{context.get_usage()}\n{help_}\n\nError: {error.format_message()}")
