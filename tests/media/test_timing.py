"""Which picture is shown at each 25th of a second."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_eval.errors import MediaError
from lipsync_eval.media.timing import NO_TIME, place, sample


def times(pts, tick, last=0, *, dts=(), by_decoding=False, rate=Fraction(25)):
    return place(np.array(pts, np.int64), np.array(dts, np.int64), tick, last, rate=rate, by_decoding=by_decoding)


def nearest(pts, tick, last):
    """The definition, by brute force and in exact numbers."""
    shown = [(p - pts[0]) * tick for p in pts]
    n = max(1, int((shown[-1] + last * tick) * 25 + Fraction(1, 2)))
    return [min(range(len(pts)), key=lambda i: (abs(shown[i] - Fraction(k, 25)), i)) for k in range(n)]


@given(
    st.lists(st.integers(1, 4000), min_size=1, max_size=60),
    st.integers(-10_000, 10_000),
    st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 25)]),
)
def test_sample_is_the_nearest_picture_and_the_earlier_of_two(steps, start, tick):
    pts = list(start + np.cumsum(steps))
    if (pts[-1] - pts[0]) * tick > 100:
        return
    found = times(pts, tick, 7)
    assert sample(found).tolist() == nearest([int(p) for p in pts], tick, 7)


@pytest.mark.parametrize("n", [1, 2, 3, 75, 1001])
def test_25_fps_gives_every_picture_once(n):
    for tick, step in (
        (Fraction(1, 25), 1),
        (Fraction(1, 1000), 40),
        (Fraction(1, 90_000), 3600),
        (Fraction(1, 12_800), 512),
    ):
        pts = 12_345 + step * np.arange(n)
        assert sample(times(pts, tick, step)).tolist() == list(range(n))


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (Fraction(50), [0, 2, 4, 6, 8]),
        (Fraction(60), [0, 2, 5, 7, 10]),
        (Fraction(30), [0, 1, 2, 4, 5]),
        (Fraction(25, 2), [0, 0, 1, 1, 2]),  # k = 1 lies in the middle of two: the earlier one
        (Fraction(24), [0, 1, 2, 3, 4]),
    ],
)
def test_known_rates(fps, expected):
    assert sample(times(np.arange(100), 1 / fps, 1)).tolist()[:5] == expected


def test_length_is_the_duration_times_25_rounded_half_up():
    assert len(sample(times(np.arange(3), Fraction(1, 10), 1))) == 8  # 0.3 s are 7.5 pictures
    assert len(sample(times(np.arange(155), Fraction(1, 50), 1))) == 78  # 3.1 s are 77.5
    assert len(sample(times([0], Fraction(1, 1000), 1))) == 1


def test_last_picture_without_a_duration_lasts_the_mean_step():
    found = times([0, 40, 80, 120], Fraction(1, 1000))
    assert found.last == Fraction(40, 1000)
    assert found.seconds == Fraction(160, 1000)


def test_pictures_that_are_not_later_are_left_out_and_counted():
    found = times([0, 40, 40, 30, 80], Fraction(1, 1000), 40)
    assert found.ticks.tolist() == [0, 40, 80]
    assert found.number.tolist() == [0, 1, 4]
    assert any("2 pictures left out" in note for note in found.notes)


def test_formats_without_presentation_times_count_decoding_times():
    """Pictures coded out of order in an AVI file: the decoder gives times late, twice or not at all."""
    found = times([NO_TIME, 1, 2, NO_TIME], Fraction(1, 25), 1, dts=[0, 1, 2, 3], by_decoding=True)
    assert found.ticks.tolist() == [0, 1, 2, 3]
    held = times([0, 3, 4], Fraction(1, 25), 1, dts=[0, 3, 4], by_decoding=True)
    assert held.ticks.tolist() == [0, 3, 4]


def test_missing_timestamps_are_put_between_their_neighbours():
    found = times([NO_TIME, 3600, NO_TIME, 10_800], Fraction(1, 90_000), 3600)
    assert found.ticks.tolist() == [0, 3600, 7200, 10_800]
    assert any("2 pictures without a timestamp" in note for note in found.notes)
    none = times([NO_TIME] * 3, Fraction(1, 90_000))
    assert none.ticks.tolist() == [0, 3600, 7200]


def test_a_variable_rate_is_noted_and_rounded_clocks_are_not():
    assert any("variable rate: 40 to 120 ms" in note for note in times([0, 120, 160], Fraction(1, 1000), 40).notes)
    assert times([0, 33, 67, 100, 133], Fraction(1, 1000), 33).notes == ()
    assert times([0, 8, 17, 25, 33], Fraction(1, 1000), 8).notes == ()


def test_absurd_timestamps_are_refused_before_memory_is_asked_for():
    with pytest.raises(MediaError, match="more than the 86400 s allowed"):
        sample(times([0, 10**12], Fraction(1, 1000), 40))
