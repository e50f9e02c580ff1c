"""The clips in a folder, found recursively."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

from lipsync_eval.errors import PairingError
from lipsync_eval.media.names import is_hidden, is_image, is_video, key, number
from lipsync_eval.urls import Url

MAX_ENTRIES: Final = 2_000_000
"""More files and folders than this in one tree are refused: it is a wrong folder, or links that lead round and round."""

P = TypeVar("P", Path, Url)


@dataclass
class Tree(Generic[P]):
    """What lies in a folder."""

    root: P
    clips: dict[str, list[P]] = field(default_factory=dict)
    """id (path below the root without suffix, '/' between folders, Unicode NFC) -> the files and image folders of that name."""
    others: Counter[str] = field(default_factory=Counter)
    """Suffix -> number of files that are no clips."""
    audio: dict[str, list[P]] = field(default_factory=dict)
    """id -> audio files of that name, of a folder by URL; on disk they are looked for beside each video."""
    entries: int = 0

    @property
    def doubled(self) -> dict[str, list[P]]:
        """Ids that more than one file has."""
        return {name: paths for name, paths in self.clips.items() if len(paths) > 1}


def find_clips(root: Path) -> Tree[Path]:
    """Look for videos and folders of numbered images below `root`; links are followed, loops are not.

    A folder is a clip when it directly holds numbered images and neither it nor a folder in it holds another clip.
    Hidden names, audio files, loose images and other files are no clips.

    Raises:
        PairingError: a folder cannot be read, or the tree is endless.
    """
    tree = Tree(root)
    _walk(root, _parents(root), tree)
    return tree


def _parents(root: Path) -> tuple[tuple[int, int], ...]:
    """(device, inode) of all folders above, so that a link to one of them is not followed."""
    try:
        return tuple((found.st_dev, found.st_ino) for found in (p.stat() for p in root.resolve().parents))
    except OSError:  # not allowed to look; links there cannot be followed either
        return ()


def is_image_folder(path: Path) -> bool:
    """Whether the folder itself is one clip: numbered images in it, and no other clip below it."""
    return path.is_dir() and list(find_clips(path).clips.values()) == [[path]]


def _walk(folder: Path, above: tuple[tuple[int, int], ...], tree: Tree[Path]) -> bool:
    """Add the clips below `folder`; whether there are any."""
    try:
        here = folder.stat()
        if (here.st_dev, here.st_ino) in above:
            return False
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PairingError(f"the folder {str(folder)!r} cannot be read ({error}); check its permissions") from error
    tree.entries += len(entries)
    if tree.entries > MAX_ENTRIES:
        raise PairingError(
            f"{str(tree.root)!r} holds more than {MAX_ENTRIES} files; give the folder of the videos alone"
        )
    found = numbered = False
    for path in entries:
        if is_hidden(path):
            continue
        if path.is_dir():
            found |= _walk(path, (*above, (here.st_dev, here.st_ino)), tree)
        elif is_video(path):
            _add(tree, path, path.with_suffix(""))
            found = True
        else:
            numbered |= is_image(path) and number(path) is not None
            tree.others[path.suffix.lower() or "no suffix"] += 1
    if numbered and not found:
        _add(tree, folder, folder)
        found = True
    return found


def _add(tree: Tree[Path], path: Path, named: Path) -> None:
    name = named.name if named == tree.root else named.relative_to(tree.root).as_posix()
    tree.clips.setdefault(key(name), []).append(path)


def seen(tree: Tree[Path] | Tree[Url]) -> str:
    """What else lies there, for a message: '3 .txt, 2 .wav' or 'nothing'."""
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(tree.others.items())) or "nothing"
