"""When each frame is shown."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipsync_eval.errors import MediaError
from lipsync_eval.media.timing import NO_TIME, place

MS = Fraction(1, 1000)


def times(pts, tick, last=0, end=NO_TIME, *, by_decoding=False, rate=Fraction(25)):
    return place(np.array(pts, np.int64), tick, last, end, rates=[rate], by_decoding=by_decoding)


def test_last_frame_without_a_duration_lasts_the_median_step():
    found = times([0, 40, 80, 120], MS)
    assert (found.last, found.seconds) == (Fraction(40, 1000), Fraction(160, 1000))
    assert times([0, 40, 80, 600], MS).last == Fraction(40, 1000)
    assert times([0], MS).last == Fraction(40, 1000)


def test_a_later_end_of_the_packets_holds_the_last_frame():
    assert times([0, 40], MS, 40, end=200).seconds == Fraction(200, 1000)
    assert times([0, 40], MS, 40, end=60).seconds == Fraction(80, 1000)


def test_frames_that_are_not_later_are_left_out_and_counted():
    found = times([0, 40, 40, 30, 80], MS, 40)
    assert found.ticks.tolist() == [0, 40, 80]
    assert found.number.tolist() == [0, 1, 4]
    assert any("2 frames left out" in note for note in found.notes)


@pytest.mark.parametrize(
    "pts",
    [
        [*range(0, 1200, 40), *range(0, 1200, 40)],  # joined; the second part as long
        [*range(0, 400, 40), *range(0, 4000, 40)],  # and longer than the first
        [0, 40, 80, 120, 160, 19, 200],  # one step back of more than 0.1 s
        [0, 40, 40, 40, 40, 40, 40, 40, 80],  # standing still for more than 5 frames
        [0] * 50,
    ],
)
def test_time_that_runs_backwards_is_refused(pts):
    with pytest.raises(MediaError, match=r"time runs backwards or stands still at frame \d+ of .*joined"):
        times(pts, MS, 40)


def test_formats_without_presentation_times_put_decoding_times_in_order():
    """Frames coded out of order in an AVI file bring the time of their packet along."""
    found = times([0, 2, 1, 4, 3], Fraction(1, 25), 1, by_decoding=True)
    assert found.ticks.tolist() == [0, 1, 2, 3, 4]
    held = times([0, 4, 3], Fraction(1, 25), 1, by_decoding=True)
    assert held.ticks.tolist() == [0, 3, 4]


def test_missing_timestamps_are_put_between_their_neighbours():
    found = times([NO_TIME, 3600, NO_TIME, 10_800], Fraction(1, 90_000), 3600)
    assert found.ticks.tolist() == [0, 3600, 7200, 10_800]
    assert any("2 frames without a timestamp" in note for note in found.notes)
    none = times([NO_TIME] * 3, Fraction(1, 90_000))
    assert none.ticks.tolist() == [0, 3600, 7200]


def test_a_variable_rate_is_noted_and_rounded_clocks_are_not():
    assert any("variable rate: 40 to 120 ms" in note for note in times([0, 120, 160], MS, 40).notes)
    assert times([0, 33, 67, 100, 133], MS, 33).notes == ()
    assert times([0, 8, 17, 25, 33], MS, 8).notes == ()


@pytest.mark.parametrize(("pts", "last"), [([0, 40, 700_000], 40), ([0, 40], 86_000_000), ([0], 700_000)])
def test_a_frame_that_is_held_for_hours_is_refused(pts, last):
    with pytest.raises(MediaError, match=r"one frame is held for .* at most 60 s"):
        times(pts, MS, last)


def test_a_million_frames_a_second_are_refused():
    with pytest.raises(MediaError, match=r"50 frames within 4\.9e-05 s, more than 1000 a second"):
        times(range(50), Fraction(1, 1_000_000), 1)
    assert times(range(50), MS, 1).seconds == Fraction(50, 1000)
