"""A job's own view of a generator's repository: links to everything in it, with the folders that its code writes into replaced by
empty ones. What one clip leaves behind can then never be taken for another's result, and the user's checkout stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath


def make_view(repo: Path, view: Path, writes: Sequence[str]) -> Path:
    """Make the folder `view` with a link for every entry of `repo`; folders in `writes` become real and empty.

    Args:
        repo: the checkout.
        view: a folder that does not exist yet.
        writes: paths of folders inside the repository, '/' between parts.

    Returns:
        `view`.

    Raises:
        OSError: the repository cannot be read or links cannot be made.
    """
    _mirror(repo, view, [PurePosixPath(w).parts for w in writes])
    return view


def _mirror(source: Path, target: Path, own: list[tuple[str, ...]]) -> None:
    target.mkdir(parents=True)
    names = {path[0] for path in own}
    for entry in source.iterdir():
        if entry.name not in names and entry.name != ".git":
            (target / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
    for name in names:
        below = [path[1:] for path in own if path[0] == name and len(path) > 1]
        if below and (source / name).is_dir():
            _mirror(source / name, target / name, below)
        else:
            (target / name).mkdir()
