"""`lipsync-eval cache list|prune|clear`."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lipsync_eval.cache import CacheEntry

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_FOLDER = click.option(
    "--cache",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder [default: the user's cache folder].",
)
_DRY = click.option("--dry-run", is_flag=True, help="Say what would go, and keep it.")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@click.group(context_settings=_CONTEXT)
def cache() -> None:
    """How large the cache of tracks and features is; make it smaller.

    A file that is gone is made anew by the next run that needs it: slower, with the same numbers. Weights are not touched.

    \b
    Examples:
      lipsync-eval cache list
      lipsync-eval cache prune --max-size 20GB
      lipsync-eval cache clear
    """


@cache.command("list", context_settings=_CONTEXT)
@_FOLDER
def list_(folder: Path | None) -> None:
    """Where the cache is, how many files it holds, and how large they are.

    \b
    Examples:
      lipsync-eval cache list
      lipsync-eval cache list --cache /scratch/cache
    """
    from lipsync_eval.cache import default_cache_dir, inspect

    where = folder or default_cache_dir()
    entries = inspect(where)
    click.echo(f"folder   {where}")
    click.echo(f"files    {len(entries)}")
    click.echo(f"size     {size(sum(e.size for e in entries))}")
    if entries:
        click.echo(f"largest  {size(max(e.size for e in entries))}")
        click.echo(f"oldest   unused for {(time.time() - entries[0].used) / 86400:.1f} days")


@cache.command(context_settings=_CONTEXT)
@click.option("--max-size", metavar="SIZE", help="What may stay, e.g. 20GB, 500MB; what was used last stays.")
@click.option("--older-than", metavar="DAYS", type=click.FloatRange(0), help="Files not used for so many days go.")
@_FOLDER
@_DRY
def prune(max_size: str | None, older_than: float | None, folder: Path | None, dry_run: bool) -> None:
    """Remove what was not used for longest, down to a size or an age.

    \b
    Examples:
      lipsync-eval cache prune --max-size 20GB
      lipsync-eval cache prune --older-than 30 --dry-run
    """
    from lipsync_eval.cache import default_cache_dir, inspect, surplus

    if max_size is None and older_than is None:
        raise click.UsageError("say what may stay: --max-size SIZE, --older-than DAYS, or both")
    entries = inspect(folder or default_cache_dir())
    gone = surplus(entries, largest=None if max_size is None else _bytes(max_size), days=older_than)
    _remove(entries, gone, dry_run)


@cache.command(context_settings=_CONTEXT)
@_FOLDER
@_DRY
def clear(folder: Path | None, dry_run: bool) -> None:
    """Remove all of the cache's files. Weights, and files that are not the cache's, stay.

    \b
    Examples:
      lipsync-eval cache clear
    """
    from lipsync_eval.cache import default_cache_dir, inspect

    entries = inspect(folder or default_cache_dir())
    _remove(entries, entries, dry_run)


def size(count: int) -> str:
    """'1.5 GB' (decimal units)."""
    value, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def _bytes(text: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text.upper())
    if found is None:
        raise click.BadParameter(f"--max-size {text!r}: expected a number and a unit, e.g. 20GB or 500MB")
    return int(float(found.group(1)) * _UNITS[found.group(2)])


def _remove(entries: list[CacheEntry], gone: list[CacheEntry], dry_run: bool) -> None:
    from lipsync_eval.cache import remove

    freed = sum(e.size for e in gone) if dry_run else remove(gone)
    left = sum(e.size for e in entries) - freed
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{len(gone)} of {len(entries)} files {verb}: {size(freed)}; {size(left)} left")
