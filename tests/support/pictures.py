"""Frames to measure: the golden photographs and their distortions."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from golden.synthetic_inputs import distort

GOLDEN = Path(__file__).parents[1] / "golden"
_WINDOWS = {"case1_192": (20, 212, 130, 322), "case2_256": (200, 456, 10, 266), "case3_96": (60, 156, 170, 266)}


def photograph(case: str = "case2_256") -> np.ndarray:
    """(h, w, 3) uint8: the part of scikit-image's astronaut that a golden case uses."""
    from skimage.data import astronaut

    top, bottom, left, right = _WINDOWS[case]
    return np.ascontiguousarray(astronaut()[top:bottom, left:right])


@dataclass(frozen=True)
class Table:
    """Distorted frames with what other packages give for them."""

    a: np.ndarray
    b: np.ndarray
    """(kinds, h, w, 3)"""
    kinds: list[str]
    columns: dict[str, np.ndarray]


def table(case: str) -> Table:
    """A golden case of image_metrics; its checksums are compared first."""
    with np.load(GOLDEN / "image_metrics" / f"{case}.npz") as file:
        found = {name: file[name] for name in file.files}
    a = photograph(case)
    assert zlib.crc32(a.tobytes()) == found["base_crc32"]
    kinds = [str(kind) for kind in found["kinds"]]
    b = np.stack([distort(a, kind, int(found["distort_seed"])) for kind in kinds])
    assert [zlib.crc32(x.tobytes()) for x in b] == list(found["distorted_crc32"])
    return Table(a, b, kinds, {str(name): found["table"][:, i] for i, name in enumerate(found["columns"])})
