"""`lipsync-eval completion bash|zsh|fish`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_LIPSYNC_EVAL_COMPLETE"
"""The shell sets it to ask for words instead of running a command; click reads it under this name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the lines that let a shell complete commands, options and their choices.

    \b
    Examples:
      lipsync-eval completion bash >> ~/.bashrc
      lipsync-eval completion zsh >> ~/.zshrc
      lipsync-eval completion fish > ~/.config/fish/completions/lipsync-eval.fish
    """
    known = get_completion_class(shell)
    if known is None:  # click ships these three
        raise click.BadParameter(f"click has no completion for {shell}", ctx)
    program = ctx.find_root().info_name or "lipsync-eval"
    made = known(ctx.find_root().command, {}, program, VARIABLE)
    # not source(): it starts bash to look at its version, and the lines may be meant for another machine
    click.echo(made.source_template % made.source_vars())
