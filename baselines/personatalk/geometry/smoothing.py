"""What eqs 1 and 2 are for free vertices: jitter leaves, movement stays. A linear least-squares problem per run of frames.

x minimises sum_t |x_t - y_t|^2 + velocity * sum_t |(x_{t+1} - x_t) - (y_{t+1} - y_t)|^2 + curvature * sum_t |second
difference of x|^2, y being what was measured. Its matrix has five diagonals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.baselines.personatalk.geometry.face import Camera
from lipsync_eval.types import Float

VELOCITY = 1.0
CURVATURE = 0.2
"""lambda of eq. 1."""


def smooth(measured: Float, velocity: float = VELOCITY, curvature: float = CURVATURE) -> Float:
    """(T, ...) consecutive frames -> the same shape."""
    from scipy.linalg import solveh_banded

    count = len(measured)
    if count < 3:
        return measured.copy()
    flat = measured.reshape(count, -1)
    first = np.zeros((3, count))  # first differences' normal matrix, as upper bands
    first[2] = 2
    first[2, [0, -1]] = 1
    first[1, 1:] = -1
    second = np.zeros((3, count))
    for offsets, factor in (((0, 0), 1), ((1, 1), 4), ((2, 2), 1), ((0, 1), -2), ((1, 2), -2), ((0, 2), 1)):
        band = 2 - (offsets[1] - offsets[0])
        second[band, offsets[1] : count - 2 + offsets[1]] += factor
    keep = np.zeros((3, count))
    keep[2] = 1
    right = flat + velocity * _times(first, flat)
    solved: Float = solveh_banded(keep + velocity * first + curvature * second, right)
    return solved.reshape(measured.shape)


def _times(bands: Float, x: Float) -> Float:
    """A symmetric matrix of three upper bands times (T, D)."""
    out: Float = bands[2][:, None] * x
    for step in (1, 2):
        row = bands[2 - step, step:][:, None]
        out[:-step] += row * x[step:]
        out[step:] += row * x[:-step]
    return out


def smooth_runs(measured: Float, valid: NDArray[np.bool_]) -> Float:
    """`smooth` within each run of valid frames; other rows stay."""
    from lipsync_eval.baselines.kit.data.alignment import runs

    out = measured.copy()
    for start, stop in runs(valid):
        out[start:stop] = smooth(measured[start:stop])
    return out


def smooth_camera(camera: Camera, valid: NDArray[np.bool_]) -> Camera:
    """A camera whose numbers are smoothed; rotations are brought back to rotations."""
    u, _, vt = np.linalg.svd(smooth_runs(camera.rotation, valid))
    turned = u @ vt
    return Camera(smooth_runs(camera.scale, valid), turned, smooth_runs(camera.translation, valid))
