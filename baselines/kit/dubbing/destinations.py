"""Where `dub` writes, checked before any work: a dub takes long, and no input may be lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.errors import OutputError

LOSSLESS = ".mkv"
LOSSY = (".mp4", ".mov", ".m4v")


def crop_files(crops: Path, out: Path) -> tuple[Path, Path]:
    """gen/STEM.mkv and gt/STEM.mkv."""
    return crops / "gen" / f"{out.stem}{LOSSLESS}", crops / "gt" / f"{out.stem}{LOSSLESS}"


def report_file(out: Path) -> Path:
    """OUT.json."""
    return out.with_name(out.name + ".json")


def check_destinations(out: Path, crops: Path | None, inputs: Sequence[Path], size: tuple[int, int]) -> None:
    """Refuse what could not be written at the end, and what would replace an input.

    Args:
        out: the dubbed video.
        crops: as in `dub`.
        inputs: files that are read.
        size: (height, width) of its frames in px.

    Raises:
        OutputError: an unknown suffix, no such folder, odd sides in H.264, crops where no folder can be, or a file that is an input as well.
    """
    suffix = out.suffix.lower()
    if suffix not in (LOSSLESS, *LOSSY):
        raise OutputError(
            f"--out {out.name!r}: dubbed video goes into {LOSSLESS} (lossless) or {', '.join(LOSSY)} (H.264); change the suffix"
        )
    check_folder(out)
    if suffix != LOSSLESS and (size[0] % 2 or size[1] % 2):
        raise OutputError(
            f"--out {out.name!r}: H.264 needs even sides, the video is {size[1]}x{size[0]}; "
            f"give --out {out.with_suffix(LOSSLESS).name}, which is lossless and takes any size"
        )
    written = [out, report_file(out), *(crop_files(crops, out) if crops else ())]
    for folder in (crops, crops / "gen", crops / "gt") if crops else ():
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"--crops {crops}: {folder} is there and is no folder; give another --crops")
    read = {path.resolve() for path in inputs}
    for path in written:
        if path.resolve() in read:
            raise OutputError(f"{path} is read for this dub and would be replaced by it; give another --out")
    if len({path.resolve() for path in written}) < len(written):
        raise OutputError(f"--out {out} lies where the crops go; give another --out or --crops")


def check_folder(out: Path) -> None:
    """The folder of a file to write must be there.

    Raises:
        OutputError: it is not.
    """
    if not out.parent.is_dir():
        raise OutputError(f"--out {out}: there is no folder {out.parent}; make it first, or give another --out")
