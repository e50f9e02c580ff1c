"""The models of dlib, made ready once and kept in the cache: opened in 0.05 s of processor time instead of 1 s.

All bytes of such a file are known beforehand. One whose sha256 is not the one stated here (damaged, of another version,
somebody else's) is not used and made anew, so a file of the cache cannot move a point. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.faces.shape_predictor import Level, Predictor

Bytes = NDArray[np.uint8]

HOG_SHA256: Final = "f3f7aa833fb4a14a46fc48689f45b98d85ef72d6dfaf8bdc012b7d3c522a5426"
"""Of the face detector as dlib saves it: 19.24 and 20.0 write the same bytes."""
POINTS_SHA256: Final = "84b473f1864c9f39c1e7107e7c72f80dc02a5485ce0bab8e3e17260c64084c05"
"""Of the arrays of the 68-point model. It changes with LAYOUT."""
_LEVELS, _TREES, _SPLITS, _PIXELS, _POINTS = 15, 500, 15, 500, 68
_LEVEL: Final = np.dtype(
    [
        ("leaves", "<f4", (_TREES * (_SPLITS + 1), 2 * _POINTS)),
        ("first", "<i8", (_SPLITS * _TREES,)),
        ("second", "<i8", (_SPLITS * _TREES,)),
        ("anchors", "<i8", (_PIXELS,)),
        ("offsets", "<f4", (2, _PIXELS)),
        ("thresholds", "<i2", (_SPLITS * _TREES,)),
    ],
    align=True,
)
LAYOUT: Final = np.dtype([("levels", _LEVEL, (_LEVELS,)), ("mean_shape", "<f4", (2 * _POINTS,))], align=True)
"""The 68-point model as one record: the fields of Level and Predictor under their names."""


def hog(cache: Cache) -> Any:
    """dlib's frontal face detector, which dlib itself takes 0.3 s to unpack."""
    import dlib

    kept = _opened(cache, HOG_SHA256)
    if kept is not None:
        found = dlib.fhog_object_detector.__new__(dlib.fhog_object_detector)
        found.__setstate__((kept.tobytes(),))
        return found
    found = dlib.get_frontal_face_detector()
    _keep(cache, HOG_SHA256, lambda: np.frombuffer(found.__getstate__()[0], np.uint8))
    return found


def points(cache: Cache, read: Callable[[], Predictor]) -> Predictor:
    """The 68-point model. From the cache its pages are the same for all processes of a machine.

    Args:
        cache: where it is kept; Cache(None) keeps nothing.
        read: gives it where the cache does not.
    """
    kept = _opened(cache, POINTS_SHA256)
    if kept is None:
        found = read()
        kept = _keep(cache, POINTS_SHA256, lambda: packed(found))
        if kept is None:
            return found
    return unpacked(kept)


def packed(predictor: Predictor) -> Bytes:
    """The bytes of LAYOUT."""
    record = np.zeros(1, LAYOUT)
    record["mean_shape"] = predictor.mean_shape
    for i, level in enumerate(predictor.levels):
        for name in _LEVEL.names or ():
            record["levels"][name][0, i] = getattr(level, name)
    return record.view(np.uint8)


def unpacked(data: Bytes) -> Predictor:
    """The model whose bytes these are; it goes on using them."""
    record = data.view(LAYOUT)
    parts: NDArray[np.void] = record["levels"][0]
    levels = (Level(**{name: level[name] for name in _LEVEL.names or ()}, n_trees=_TREES) for level in parts)
    return Predictor(record["mean_shape"][0], tuple(levels))


def _opened(cache: Cache, digest: str) -> Bytes | None:
    """The bytes kept in the cache; None where there are none, or others."""
    path = cache.file({"kind": "model", "sha256": digest})
    return None if path is None else _checked(path, digest)


def _checked(path: Path, digest: str) -> Bytes | None:
    try:
        data = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError):  # ValueError: an empty file
        return None
    return np.asarray(data) if hashlib.sha256(data).hexdigest() == digest else None


def _keep(cache: Cache, digest: str, make: Callable[[], Bytes]) -> Bytes | None:
    """Write the bytes into the cache unless another process has by now; gives them as they are kept, None where they are not."""
    found = _opened(cache, digest)
    if found is not None or cache.folder is None:
        return found
    data = make()
    if hashlib.sha256(data).hexdigest() != digest:  # of a dlib that writes another form
        return None
    cache.put_file({"kind": "model", "sha256": digest}, data)
    return _opened(cache, digest)
