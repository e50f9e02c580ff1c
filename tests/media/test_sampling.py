"""Which frame stands for each 25th of a second."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.ffmpeg import needs_ffmpeg, rgb
from support.videos import make_video, number_in, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip
from lipsync_eval.media.sampling import sample
from lipsync_eval.media.timing import MAX_HELD, NO_TIME, place

MS, TS = Fraction(1, 1000), Fraction(1, 90_000)
RATES = [
    *(Fraction(r) for r in (10, Fraction(25, 2), 15, 24, 25, 30, 48, 50, 60, 100, 120)),
    *(Fraction(r * 1000, 1001) for r in (24, 30, 60, 120)),
    Fraction(2213, 100),
]


def times(pts, tick, last=0, *, rate=Fraction(25)):
    return place(np.array(pts, np.int64), tick, last, rates=[rate])


def rounded(seconds, tick):
    """Seconds in ticks, as a muxer rounds them."""
    return [int(s / tick + Fraction(1, 2)) for s in seconds]


def in_the_middle(seconds, n):
    """The definition, by brute force and in exact numbers: what is on the screen just before (k + 1/2)/25 s."""
    return [max(i for i, t in enumerate(seconds) if t < Fraction(2 * k + 1, 50)) for k in range(n)]


@given(
    st.lists(st.integers(1, 4000), min_size=1, max_size=60),
    st.integers(-10_000, 10_000),
    st.sampled_from([MS, Fraction(1001, 30_000), Fraction(1, 25)]),
)
@settings(deadline=None, max_examples=40)
def test_sample_is_what_is_on_the_screen_in_the_middle(steps, start, tick):
    pts = [int(p) for p in start + np.cumsum(steps)]
    assume((pts[-1] - pts[0]) * tick < 100 and max(steps[1:], default=0) * tick <= MAX_HELD)
    assume(len(pts) < 2 or len(pts) > 4)  # so few times in ms may lie on the grid of a rate, half a ms away
    found = sample(times(pts, tick, 7))
    assert len(found) == max(1, int((pts[-1] - pts[0] + 7) * tick * 25 + Fraction(1, 2)))
    shown = [(p - pts[0]) * tick for p in pts]
    near = [abs(t - Fraction(2 * k + 1, 50)) for t in shown for k in range(len(found))]
    assume(tick != MS or min(near) > MS / 2)
    assert found.tolist() == in_the_middle(shown, len(found))


@pytest.mark.parametrize("n", [1, 2, 3, 75, 1001])
def test_25_fps_gives_every_frame_once(n):
    for tick, step in ((Fraction(1, 25), 1), (MS, 40), (TS, 3600), (Fraction(1, 12_800), 512)):
        pts = 12_345 + step * np.arange(n)
        assert sample(times(pts, tick, step)).tolist() == list(range(n))


@given(st.lists(st.integers(-15, 15), min_size=2, max_size=50))
@settings(deadline=None)
def test_25_fps_stays_what_it_is_when_its_times_jitter(jitter):
    pts = [40 * i + (j if i else 0) for i, j in enumerate(jitter)]
    assert sample(times(pts, MS, 40)).tolist() == list(range(len(pts)))


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (Fraction(50), [0, 2, 4, 6, 8]),
        (Fraction(60), [1, 3, 5, 8, 10]),
        (Fraction(30), [0, 1, 2, 4, 5]),
        (Fraction(25, 2), [0, 0, 1, 1, 2]),
        (Fraction(24), [0, 1, 2, 3, 4]),
    ],
)
def test_known_rates(fps, expected):
    assert sample(times(np.arange(100), 1 / fps, 1)).tolist()[:5] == expected


def test_length_is_the_duration_times_25_rounded_half_up():
    assert len(sample(times(np.arange(3), Fraction(1, 10), 1))) == 8  # 0.3 s are 7.5 frames
    assert len(sample(times(np.arange(155), Fraction(1, 50), 1))) == 78  # 3.1 s are 77.5
    assert len(sample(times([0], MS, 1))) == 1


def test_absurd_timestamps_are_refused_before_memory_is_asked_for():
    with pytest.raises(MediaError, match="more than the 86400 s allowed"):
        sample(times(np.arange(0, 90_000_000, 50_000), MS, 40))


@given(st.sampled_from(RATES), st.integers(5, 300), st.sampled_from([0, 3, 10, 1000, 1483]), st.data())
@settings(deadline=None)
def test_a_coarse_clock_gives_the_samples_of_an_exact_one(rate, n, start, data):
    """The same packets in mp4 (exact), TS (1/90000 s), Matroska and FLV (1 ms), begun anywhere, some of them left out."""
    kept = [0, *sorted(data.draw(st.sets(st.integers(1, n - 1), min_size=4)))]
    exact = sample(times(kept, 1 / rate, 1, rate=rate)).tolist()
    offset = start * MS + 2 / rate
    for tick in (MS, TS):
        pts = rounded([k / rate + offset for k in kept], tick)
        assert sample(times(pts, tick, round(1 / rate / tick), rate=rate)).tolist() == exact


@given(st.sampled_from(RATES), st.lists(st.integers(1, 30), min_size=1, max_size=40))
@settings(deadline=None)
def test_a_held_frame_and_a_repeated_one_are_the_same(rate, holds):
    """A file with variable rate against its copy at constant rate, in which every frame comes as often as it was held."""
    starts = np.concatenate([[0], np.cumsum(holds)])
    copy = np.repeat(np.arange(len(holds)), holds)
    variable = sample(times(starts[:-1], 1 / rate, holds[-1], rate=rate))
    constant = sample(times(np.arange(starts[-1]), 1 / rate, 1, rate=rate))
    assert variable.tolist() == copy[constant].tolist()


def _shown(path, *arguments):
    """Numbers of the frames that the ffmpeg program gives at 25 fps."""
    return [number_in(frame) for frame in rgb(path, (48, 64), "-vf", "setpts=PTS-STARTPTS,fps=25", *arguments)]


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("rate", RATES)
def test_as_ffmpegs_fps_filter(tmp_path, rate, suffix):
    n = int(3 * rate)
    path = make_video(
        tmp_path / f"a{suffix}", [stamped(i) for i in range(n)], tick=1 / rate, codec="libx264", pixels="yuv420p"
    )
    ours = [number_in(frame) for frame in open_clip(path).frames()]
    theirs = _shown(path)
    n = min(len(ours), len(theirs))
    if suffix == ".mp4":
        assert ours == theirs
    else:  # ffmpeg takes the times as the clock of 1 ms has them
        assert abs(len(ours) - len(theirs)) <= 1
        assert sum(a != b for a, b in zip(ours, theirs, strict=False)) <= n // 20


@needs_ffmpeg
@given(st.data())
@settings(deadline=None, max_examples=10)
def test_variable_rates_are_as_ffmpeg_shows_them(tmp_path_factory, data):
    """Times of a recorder: any whole ms, in Matroska, as ffmpeg's filter and its copy at constant rate have them."""
    steps = data.draw(st.lists(st.integers(8, 400), min_size=6, max_size=25))
    at = [0, *np.cumsum(steps).tolist()]
    folder = tmp_path_factory.mktemp("vfr")
    path = make_video(folder / "a.mkv", [stamped(i) for i in range(len(at))], times=at, tick=MS)
    ours = [number_in(frame) for frame in open_clip(path).frames()]
    theirs = _shown(path)
    assert ours[: len(theirs)] == theirs[: len(ours)]


@pytest.mark.parametrize("suffix", [".mkv", ".flv", ".ts", ".mov", ".nut"])
@pytest.mark.parametrize("rate", [Fraction(24_000, 1001), Fraction(30_000, 1001), Fraction(60_000, 1001), Fraction(30)])
@pytest.mark.parametrize("drop", [False, True])
def test_the_same_packets_in_any_container(tmp_path, suffix, rate, drop):
    import av

    rng = np.random.default_rng(3)
    kept = [i for i in range(150) if not drop or i == 0 or rng.random() < 0.6]
    mp4 = make_video(
        tmp_path / "a.mp4",
        [stamped(i) for i in kept],
        times=kept,
        tick=1 / rate,
        codec="libx264",
        pixels="yuv420p",
        options={"bf": "2"},
    )
    other = tmp_path / f"a{suffix}"
    with av.open(str(mp4)) as source, av.open(str(other), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    exact = [number_in(frame) for frame in open_clip(mp4).frames()]
    copied = [number_in(frame) for frame in open_clip(other).frames()]
    assert copied[: len(exact)] == exact[: len(copied)]
    assert abs(len(copied) - len(exact)) <= (1 if drop else 0)


def test_no_time_is_not_sampled():
    assert sample(times([NO_TIME] * 5, TS)).tolist() == [0, 1, 2, 3, 4]
