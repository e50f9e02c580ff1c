"""The site's generated pages as Markdown text: every command's help, and the Python API by mkdocstrings."""

from __future__ import annotations

import click

_API = {
    "Score and compare": ("lipsync_eval", "score score_shard merge Settings Result table gate figure correlate"),
    "One metric on arrays": (
        "lipsync_eval",
        "psnr psnr_pooled ssim ms_ssim lmd lmd_centered lmd_norm f_lmd lmd_atvg_sum lpips fid lse avs csim stylesim",
    ),
    "Videos and faces": ("lipsync_eval", "open_clip track_faces"),
    "What there is": ("lipsync_eval", "list_metrics get_metric list_protocols check_metric LipsyncError"),
    "Training loops": (
        "lipsync_eval.torch",
        "PSNR SSIM MSSSIM LPIPS FID LMD CSIM LSE AVS BackgroundScore LipsyncCallback",
    ),
    "A metric of your own": ("lipsync_eval.metrics.base", "MetricSpec Family Meter Measurement Failure Pooled"),
    "A protocol of your own": ("lipsync_eval.protocol", "Protocol ProtocolSpec SyncRules"),
}
"""Heading -> where the names are imported from, the names."""


def api_pages() -> dict[str, str]:
    """{address: Markdown with mkdocstrings' directives}, one page a group of names."""
    pages = {}
    for heading, (module, names) in _API.items():
        parts = [f"# {heading}\n", f"`from {module} import ...`\n", *(f"::: {module}.{n}\n" for n in names.split())]
        pages[f"api/{heading.lower().replace(' ', '-')}.md"] = "\n".join(parts)
    return pages


def api_names() -> set[str]:
    """Names of the package root that some page shows."""
    return {name for module, names in _API.values() if module == "lipsync_eval" for name in names.split()}


def command_pages() -> dict[str, str]:
    """{address: Markdown}: the help of every command and of its subcommands, as the terminal shows it."""
    from lipsync_eval.cli import cli

    context = click.Context(cli, info_name="lipsync-eval", max_content_width=80, terminal_width=80)
    pages = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(f"the command {name} is listed but cannot be loaded")
        pages[f"commands/{name}.md"] = "\n".join(_help(command, context, name, 1))
    return pages


def _help(command: click.Command, parent: click.Context, name: str, level: int) -> list[str]:
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        max_content_width=80,
        terminal_width=80,
        help_option_names=["-h", "--help"],
    )
    lines = [f"{'#' * level} {context.command_path.removeprefix('lipsync-eval ')}\n"]
    lines += ["```text", command.get_help(context).rstrip(), "```\n"]
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            if found is not None and not found.hidden:
                lines += _help(found, context, each, level + 1)
    return lines
