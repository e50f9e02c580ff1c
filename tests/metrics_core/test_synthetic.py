"""The drawn pair: equal without noise, worse with it, repeatable, with audio that fits the mouth."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_eval.errors import InputError
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.types import FOUND, MISSING, Pair


def pictures(pair: Pair, side: str = "gen") -> np.ndarray:
    return np.stack(list(getattr(pair, side).clip.frames()))


def test_without_noise_both_sides_are_equal() -> None:
    pair = synthetic_pair(5)
    np.testing.assert_array_equal(pictures(pair), pictures(pair, "gt"))
    assert pair.gen.track is not None and pair.gt.track is not None
    np.testing.assert_array_equal(pair.gen.track.points, pair.gt.track.points)


def test_equal_digests_mean_equal_frames() -> None:
    pairs = [
        synthetic_pair(3, 32),
        synthetic_pair(3, 32, noise=2),
        synthetic_pair(3, 32, seed=1),
        synthetic_pair(4, 32),
    ]
    assert len({pair.gen.clip.digest for pair in pairs}) == 4
    assert pairs[0].gt.clip.digest == pairs[1].gt.clip.digest


def test_shapes() -> None:
    pair = synthetic_pair(7, size=64, missing=[2])
    for side, status in ((pair.gen, [FOUND, FOUND, MISSING, FOUND, FOUND, FOUND, FOUND]), (pair.gt, [FOUND] * 7)):
        assert side.audio is not None and side.track is not None and side.crop is not None
        assert side.audio.samples.shape == (7 * 640,) and side.audio.samples.dtype == np.float32
        assert side.track.points.shape == (7, 68, 2) and list(side.track.status) == status
        assert list(side.crop.valid) == [s == FOUND for s in status]
        assert np.isnan(side.track.points).any(axis=(1, 2)).tolist() == [s == MISSING for s in status]
        assert pictures(pair).shape == (7, 64, 64, 3) and pictures(pair).dtype == np.uint8
        found = np.array(status) == FOUND
        inside = side.track.points[found]
        assert inside.min() > 0 and inside.max() < 63


def test_streams_belong_to_the_caller() -> None:
    pair = synthetic_pair(3, size=32)
    before = pictures(pair)
    for frame in pair.gen.clip.frames():
        frame[:] = 0
    np.testing.assert_array_equal(pictures(pair), before)
    np.testing.assert_array_equal(pictures(pair), pictures(synthetic_pair(3, size=32)))
    assert len(list(pair.gen.clip.frames(1, 9))) == 2


def test_noise_is_as_asked() -> None:
    pair = synthetic_pair(4, noise=6, jitter=2)
    difference = pictures(pair).astype(float) - pictures(pair, "gt")
    assert difference.std() == pytest.approx(6, rel=0.05)
    assert pair.gen.track is not None and pair.gt.track is not None
    assert (pair.gen.track.points - pair.gt.track.points).std() == pytest.approx(2, rel=0.15)


def test_the_mouth_opens_with_the_audio() -> None:
    pair = synthetic_pair(100)
    assert pair.gt.track is not None and pair.gt.audio is not None
    opening = pair.gt.track.points[:, 66, 1] - pair.gt.track.points[:, 62, 1]
    loudness = np.sqrt(np.square(pair.gt.audio.samples.reshape(100, 640)).mean(axis=1))
    assert opening.min() > 0
    assert np.corrcoef(opening, loudness)[0, 1] > 0.7


@pytest.mark.parametrize("arguments", [{"n_frames": 0}, {"size": 15}, {"noise": -1.0}, {"jitter": -0.1}])
def test_wrong_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(InputError, match="synthetic_pair needs"):
        synthetic_pair(**arguments)  # type: ignore[arg-type]
