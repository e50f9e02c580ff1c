"""Action unit error (AUE) from OpenFace's CSV files.

AUE: Li et al., TalkingGaussian, ECCV 2024 (arXiv:2404.15264); equal to Fictionarry/TalkingGaussian@5acdaaa auerror.py for files
of one length: the sum, over action units, of the mean squared difference of their intensities (0..5). There, files of
different length lose their ends silently; here that is an error.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.types import Float

LOWER: Final = (10, 12, 14, 15, 17, 20, 23, 25, 26)
"""Mouth, chin and cheeks."""
UPPER: Final = (1, 2, 4, 5, 6, 7, 9, 45)
"""Brows, eyes and nose."""
UNITS: Final = tuple(sorted((*LOWER, *UPPER)))
"""Those that OpenFace gives an intensity for, but AU28."""
_MOST_BYTES: Final = 512 * 1024 * 1024


def action_unit_error(gen: Float, real: Float, units: Sequence[int]) -> float:
    """Sum over units of the mean over frames of the squared difference.

    Args:
        gen: (T, 17) intensities in the order of UNITS; NaN rows (no face) are left out.
        real: the same shape.
        units: numbers of the action units to sum over.

    Returns:
        0 or more, lower is better; it grows with the number of units. NaN where no frame is left.

    Raises:
        InputError: shapes that differ, or a unit that is not in UNITS.
    """
    if gen.shape != real.shape or gen.ndim != 2 or gen.shape[1] != len(UNITS):
        raise InputError(f"gen and real must both be (T, {len(UNITS)}), got {gen.shape} and {real.shape}")
    if unknown := set(units) - set(UNITS):
        raise InputError(f"OpenFace gives no intensity of AU {sorted(unknown)}")
    columns = [UNITS.index(u) for u in units]
    squares = np.square(gen[:, columns] - real[:, columns])
    good = np.isfinite(squares).all(axis=1)
    return float(squares[good].mean(axis=0).sum()) if good.any() else float("nan")


def read_openface(path: Path) -> Float:
    """Intensities of one video from OpenFace's FeatureExtraction.

    Column names are taken with or without the blank that OpenFace 2.2 puts before them. Rows must be the frames 1, 2, 3...
    of one face. A row with success 0 becomes NaN.

    Returns:
        (T, 17) float64 in the order of UNITS.

    Raises:
        MetricError: no such file, a column is missing, a number cannot be read, frames are missing or doubled, or there
            are several faces.
    """
    if not path.is_file():
        raise MetricError(
            f"there is no {path.name!r} beside the video; run OpenFace's FeatureExtraction on it and put its CSV there"
        )
    if path.stat().st_size > _MOST_BYTES:
        raise MetricError(f"{path.name!r} is larger than {_MOST_BYTES >> 20} MiB: no CSV of OpenFace")
    names = [f"AU{u:02d}_r" for u in UNITS]
    rows: list[list[float]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            head = [name.strip() for name in next(reader, [])]
            missing = [name for name in names if name not in head]
            if missing:
                raise MetricError(f"{path.name!r} has no column {', '.join(missing)}; run FeatureExtraction with -aus")
            place = {name: head.index(name) for name in head}
            for number, row in enumerate((r for r in reader if r), start=1):
                rows.append(_row(path, head, place, names, row, number))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise MetricError(f"{path.name!r} cannot be read as CSV: {error}") from error
    if not rows:
        raise MetricError(f"{path.name!r} has no row")
    return np.array(rows, np.float64)


def _row(
    path: Path, head: list[str], place: dict[str, int], names: list[str], row: list[str], number: int
) -> list[float]:
    if len(row) != len(head):
        raise MetricError(f"{path.name!r}: row {number} has {len(row)} columns, the head has {len(head)}")
    try:
        if "frame" in place and int(float(row[place["frame"]])) != number:
            raise MetricError(
                f"{path.name!r}: row {number} is frame {row[place['frame']].strip()}; every frame must be there once, in order"
            )
        if "face_id" in place and int(float(row[place["face_id"]])) != 0:
            raise MetricError(f"{path.name!r} holds several faces; run FeatureExtraction, not FaceLandmarkVidMulti")
        lost = "success" in place and float(row[place["success"]]) == 0
        values = [float(row[place[name]]) for name in names]
    except ValueError as error:
        raise MetricError(f"{path.name!r}: row {number} holds no number where one belongs: {error}") from error
    if not lost and not all(map(math.isfinite, values)):
        raise MetricError(f"{path.name!r}: row {number} holds numbers that are not finite")
    return [math.nan] * len(names) if lost else values
