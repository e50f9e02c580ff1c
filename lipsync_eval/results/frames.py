"""frames.npz: per-frame values of a run, by clip and name."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import ParseError
from lipsync_eval.files import atomic

FRAMES = "frames.npz"
Arrays = dict[str, NDArray[np.generic]]
Frames = Mapping[str, Mapping[str, NDArray[np.generic]]]
"""clip id -> array name (a metric, or e.g. 'syncnet_distance') -> values."""


def load_frames(run: Path | str) -> dict[str, Arrays]:
    """frames.npz of a run: clip id -> name (a metric or an array such as 'syncnet_distance') -> values.

    Raises:
        ParseError: the file is missing or broken.
    """
    path = Path(run) / FRAMES if Path(run).is_dir() else Path(run)
    try:
        with np.load(path, allow_pickle=False) as file:
            ids = [str(i) for i in file["ids"]]
            out: dict[str, Arrays] = {i: {} for i in ids}
            for key in file.files:
                place, slash, name = key.partition("/")
                if slash:
                    out[ids[int(place)]][name] = file[key]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ParseError(f"{path}: cannot be read ({error}); it is written by `lipsync-eval score`") from error
    return out


def write_frames(path: Path, ids: Sequence[str], clips: Iterable[Iterable[tuple[str, NDArray[np.generic]]]]) -> None:
    """Write frames.npz, one clip at a time: `ids` (n,) and `PLACE/NAME` arrays, PLACE being the clip's row in `ids`.

    Ids are user text and therefore kept as data, not as member names. Equal content gives equal bytes.

    Args:
        path: the file.
        ids: of all clips.
        clips: for each id its (name, array) pairs.
    """
    with atomic(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as bundle:
        _write(bundle, "ids", np.array(ids, dtype=np.str_))
        for place, arrays in enumerate(clips):
            for name, array in arrays:
                _write(bundle, f"{place:06d}/{name}", array)


def _write(bundle: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    info = zipfile.ZipInfo(f"{name}.npy")  # fixed date: equal runs give equal bytes
    info.compress_type = zipfile.ZIP_DEFLATED
    with bundle.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
