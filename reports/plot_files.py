"""The files of a plot: PNG and PDF, with fonts that fit a column and are embedded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipsync_eval.errors import OutputError
from lipsync_eval.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "pdf.fonttype": 42,
    "text.usetex": False,
    "text.parse_math": False,
}


def paths(stem: Path) -> tuple[Path, Path]:
    """stem.png and stem.pdf.

    Raises:
        OutputError: `stem` is '.', '..' or '/', which have no name that something can be added to.
    """
    if stem.name in ("", ".."):
        raise OutputError(f"{stem}: names a folder; expected the name of the files, e.g. {stem / 'plot'}")
    return stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".pdf")


def check_free(stem: Path, *, overwrite: bool) -> None:
    """Raise OutputError where `save` would replace a file that it may not."""
    if not overwrite and (there := [p for p in paths(stem) if p.exists()]):
        raise OutputError(f"{there[0]} is there already; name another file with --out, or replace it with --overwrite")


def save(figure: Figure, stem: Path, prepare: Callable[[str], None] = lambda kind: None) -> tuple[Path, Path]:
    """Write stem.png (300 dpi) and stem.pdf (fonts embedded), each whole or not at all.

    Args:
        figure: of matplotlib.
        stem: path without suffix; its folder is made if absent.
        prepare: called with 'png' or 'pdf' before each is drawn.

    Raises:
        OSError: the folder cannot be written.
    """
    import matplotlib as mpl

    stem.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(FONT):
        for path, kind in zip(paths(stem), ("png", "pdf"), strict=True):
            prepare(kind)
            with atomic(path) as file:
                figure.savefig(
                    file, format=kind, dpi=300, metadata={"Software": None} if kind == "png" else {"CreationDate": None}
                )
    return paths(stem)
