"""A run's folder: who may write into it, and its files results.json, clips.csv and frames.npz.

Every file is written whole or not at all; results.json comes last and says that the run is whole.
"""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import OutputError, ParseError
from lipsync_eval.files import atomic, csv_text, write_text
from lipsync_eval.locks import Held, Lock
from lipsync_eval.results.journal import JOURNAL, Journal
from lipsync_eval.results.journal import Arrays as Arrays
from lipsync_eval.results.journal import Outcome as Outcome
from lipsync_eval.results.schema import RESULTS, ClipRow, Result

FRAMES = "frames.npz"
CLIPS = "clips.csv"
_LEFT: Final = re.compile(r"\.{1,2}lock.*|\.(results\.json|clips\.csv|frames\.npz)\..*\.tmp")
_TORN: Final = re.compile(r"\.(results\.json|clips\.csv|frames\.npz)\..*\.tmp")


@contextlib.contextmanager
def run_folder(folder: Path, *, resume: bool, overwrite: bool, shard: str = "") -> Iterator[Lock]:
    """Own `folder` for the time of a run: it is made, locked, and looked at.

    Args:
        resume, overwrite: what to do with a run that is there. With `overwrite` nothing is removed here: `Journal.begin`
            with afresh=True is what replaces it.
        shard: '2of8' where several jobs share the folder; '' is the whole run.

    Raises:
        OutputError: not a folder, not writable, another job works on it, or it holds another run and neither --resume nor
            --overwrite was given.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder}: that is a file; name a folder")
    _refuse_foreign(folder, resume)
    lock = Lock(folder / (f".lock-{shard}" if shard else ".lock"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Held as error:
        raise OutputError(
            f"--out {folder}: another job writes there: {error}; wait for it, or name another folder"
        ) from error
    except OSError as error:
        raise OutputError(
            f"--out {folder}: cannot be written ({error.strerror or error}); name another folder or free space"
        ) from error
    with lock:
        used = _ours(folder)
        if used and not (resume or overwrite):
            raise OutputError(
                f"--out {folder}: holds a run already ({', '.join(used)}); continue it with --resume, replace it with --overwrite, or name another folder"
            )
        yield lock


def _ours(folder: Path) -> list[str]:
    return [name for name in (RESULTS, CLIPS, FRAMES, JOURNAL) if (folder / name).exists()]


def _refuse_foreign(folder: Path, resume: bool) -> None:
    """A folder with somebody's own files is not written into. What a killed run can leave behind is not foreign."""
    if not folder.is_dir() or resume or _ours(folder):
        return
    foreign = sorted(p.name for p in folder.iterdir() if not _LEFT.fullmatch(p.name))
    if foreign:
        raise OutputError(
            f"--out {folder}: is not empty and holds no run ({', '.join(foreign[:5])}); name an empty or a new folder"
        )


def sweep(folder: Path, *, results: bool) -> None:
    """Remove what a killed run left half written and, with `results`, the files of the run before this one."""
    for path in folder.iterdir():
        if _TORN.fullmatch(path.name) or (results and path.name in (RESULTS, CLIPS, FRAMES)):
            with contextlib.suppress(OSError):
                path.unlink()


def clips_csv(clips: Sequence[ClipRow], metrics: Sequence[str]) -> str:
    """The text of clips.csv: id,gen,gt,n_frames,<metrics>,notes. Everything reads back exactly with `files.csv_rows`."""
    rows: list[list[str | int | float | None]] = [["id", "gen", "gt", "n_frames", *metrics, "notes"]]
    for clip in clips:
        numbers = [clip.values.get(m) for m in metrics]
        rows.append([clip.id, clip.gen or "", clip.gt or "", clip.n_frames, *numbers, "; ".join(clip.notes)])
    return csv_text(rows)


def write_frames(path: Path, journal: Journal, ids: Sequence[str]) -> None:
    """Write frames.npz, one clip at a time: `ids` (n,) and `PLACE/NAME` arrays, PLACE being the clip's row in `ids`.

    Ids are user text and therefore kept as data, not as member names.
    """
    with atomic(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as bundle:
        members: list[tuple[str, NDArray[np.generic]]] = [("ids", np.array(ids, dtype=np.str_))]
        _write_members(bundle, members)
        for place in range(len(ids)):
            _write_members(bundle, [(f"{place:06d}/{name}", array) for name, array in journal.frames(place)])


def load_frames(run: Path | str) -> dict[str, dict[str, NDArray[np.generic]]]:
    """frames.npz of a run: clip id -> name (a metric or an array such as 'syncnet_distance') -> values.

    Raises:
        ParseError: the file is missing or broken.
    """
    path = Path(run) / FRAMES if Path(run).is_dir() else Path(run)
    try:
        with np.load(path, allow_pickle=False) as file:
            ids = [str(i) for i in file["ids"]]
            out: dict[str, dict[str, NDArray[np.generic]]] = {i: {} for i in ids}
            for key in file.files:
                place, slash, name = key.partition("/")
                if slash:
                    out[ids[int(place)]][name] = file[key]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ParseError(f"{path}: cannot be read ({error}); it is written by `lipsync-eval score`") from error
    return out


def write_run(folder: Path, result: Result, journal: Journal) -> None:
    """Write frames.npz, clips.csv and, last, results.json; then drop the journal."""
    write_frames(folder / FRAMES, journal, [clip.id for clip in result.clips])
    write_text(folder / CLIPS, clips_csv(result.clips, [s.metric for s in result.scores]))
    write_text(folder / RESULTS, result.to_json())
    journal.remove()


def _write_members(bundle: zipfile.ZipFile, members: Sequence[tuple[str, NDArray[np.generic]]]) -> None:
    for name, array in members:
        info = zipfile.ZipInfo(f"{name}.npy")  # fixed date: equal runs give equal bytes
        info.compress_type = zipfile.ZIP_DEFLATED
        with bundle.open(info, "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
