"""A file becomes a Clip: times, audio, notes, streaming."""

from __future__ import annotations

import gc
import hashlib
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.videos import clicks, make_sound, make_video, number_in, onsets, stamped, tone

from lipsync_eval.media import open_clip
from lipsync_eval.media.rgb import Converter


def numbers(clip, *window):
    return [number_in(frame) for frame in clip.frames(*window)]


RATES = {
    "22.13": Fraction(2213, 100),
    "24": Fraction(24),
    "29.97": Fraction(30_000, 1001),
    "30": Fraction(30),
    "50": Fraction(50),
    "60": Fraction(60),
}


@pytest.mark.parametrize("name", RATES)
def test_every_rate_gives_what_is_on_the_screen_in_the_middle_of_each_25th(tmp_path, name):
    fps = RATES[name]
    n = int(2 * fps)
    path = make_video(
        tmp_path / "a.mp4", [stamped(i) for i in range(n)], tick=1 / fps, codec="libx264", pixels="yuv420p"
    )
    clip = open_clip(path)
    expected = [max(i for i in range(n) if i / fps < Fraction(2 * k + 1, 50)) for k in range(clip.n_frames)]
    assert numbers(clip) == expected
    assert clip.n_frames == int(n / fps * 25 + Fraction(1, 2))
    assert clip.source_fps == pytest.approx(float(fps), rel=1e-3)
    assert any(note.startswith("resampled from") for note in clip.notes)


def test_25_fps_is_untouched_and_has_no_note(tmp_path):
    clip = open_clip(make_video(tmp_path / "a.mkv", [stamped(i) for i in range(30)]))
    assert numbers(clip) == list(range(30))
    assert clip.notes == ()
    assert clip.audio is None
    assert clip.size == (48, 64)
    assert clip.digest == hashlib.sha256((tmp_path / "a.mkv").read_bytes()).hexdigest()
    np.testing.assert_array_equal(np.stack(list(clip.frames())), np.stack([stamped(i) for i in range(30)]))


@pytest.mark.parametrize("how", ["25", "22.13", "60", "real"])
def test_frames_that_were_kept_are_those_that_are_decoded_again(tmp_path, how):
    if how == "real":
        if "LIPSYNC_EVAL_TEST_DATA" not in os.environ:
            pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set: real clips are not here")
        clips = Path(os.environ["LIPSYNC_EVAL_TEST_DATA"]) / "clips"
        paths = [
            clips / "original" / name for name in ("grid_bbaf2n.mpg", "vrt_face1.mp4", "syncnet_example_shift5.avi")
        ]
    else:
        fps = RATES.get(how, Fraction(25))
        path = make_video(
            tmp_path / "a.mp4", [stamped(i) for i in range(90)], tick=1 / fps, codec="libx264", pixels="yuv420p"
        )
        paths = [path]
    for path in paths:
        kept, again = open_clip(path, keep=10**9), open_clip(path)
        assert kept.read.found.kept and not again.read.found.kept and kept == again
        for window in ((), (0, 5), (70,), (20, 21), (again.n_frames, 99)):
            for one, other in zip(kept.frames(*window), again.frames(*window), strict=True):
                np.testing.assert_array_equal(one, other)


def test_no_more_is_kept_than_may_be(tmp_path):
    path = make_video(tmp_path / "a.mkv", [stamped(i) for i in range(30)])
    size = 48 * 64 * 3
    for keep in (0, 1, size, 29 * size):
        assert open_clip(path, keep=keep).read.found.kept == ()
    clip = open_clip(path, keep=10**7)
    assert len(clip.read.found.kept) == 30
    path.unlink()
    assert numbers(clip) == list(range(30)), "the file is not read again"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_kept_frames_are_freed_with_their_clip(tmp_path, suffix):
    """A frame that only a full garbage collection frees holds the memory of all the others: a run of thousands grows."""

    def frames_alive() -> int:
        return sum(type(thing).__name__ == "VideoFrame" for thing in gc.get_objects())

    path = make_video(tmp_path / f"a{suffix}", [stamped(i) for i in range(30)], codec="libx264", pixels="yuv420p")
    gc.collect()
    before = frames_alive()
    for _ in range(3):
        clip = open_clip(path, keep=10**7)
        assert numbers(clip) == list(range(30))
        assert frames_alive() >= before + 30
        del clip
        gc.collect(1)  # not the oldest generation
        assert frames_alive() == before


def test_variable_rate_follows_timestamps_from_the_first_frame(tmp_path):
    at = [500, 533, 600, 750, 760, 800, 1000, 1040]
    path = make_video(tmp_path / "a.mkv", [stamped(i) for i in range(8)], times=at, tick=Fraction(1, 1000))
    clip = open_clip(path)
    shown = [t - 500 for t in at]
    assert numbers(clip) == [max(i for i in range(8) if shown[i] < 40 * k + 20) for k in range(clip.n_frames)]
    assert any(note.startswith("variable rate: 10 to 200 ms") for note in clip.notes)


def test_a_held_first_frame_is_repeated(tmp_path):
    """What `ffmpeg -async 1 -r 25` leaves in AVI files: slots without a frame."""
    path = make_video(
        tmp_path / "a.avi", [stamped(i) for i in range(10)], times=[0, *range(3, 12)], codec="mpeg4", pixels="yuv420p"
    )
    assert numbers(open_clip(path)) == [0, 0, 0, *range(1, 10)]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4", ".mov", ".ts"])
def test_frames_coded_out_of_order_stay_in_order_and_in_time(tmp_path, suffix):
    """AVI has no presentation times, TS and Matroska begin late: the same clip all the same."""
    sound = clicks(2, [0.5, 1.2])[None]
    codec = "aac" if suffix in {".mp4", ".mov", ".ts"} else "pcm_s16le"
    path = make_video(
        tmp_path / f"a{suffix}",
        [stamped(i) for i in range(50)],
        codec="libx264",
        pixels="yuv420p",
        options={"bf": "2"},
        sound=sound,
        sound_codec=codec,
    )
    clip = open_clip(path)
    assert numbers(clip) == list(range(50))
    assert onsets(clip.audio.samples) == pytest.approx([0.5, 1.2], abs=0.003)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
@pytest.mark.parametrize(
    "extra", [{}, {"x264-params": "open-gop=1:keyint=20:bframes=3"}, {"x264-params": "intra-refresh=1:keyint=20"}]
)
def test_any_window_equals_the_same_frames_of_the_whole(tmp_path, suffix, extra):
    path = make_video(
        tmp_path / f"a{suffix}",
        [stamped(i) for i in range(200)],
        codec="libx264",
        pixels="yuv420p",
        options={"g": "20", **extra},
    )
    clip = open_clip(path)
    whole = list(clip.frames())
    for start in (0, 1, 63, 64, 65, 79, 80, 81, 99, 119, 139, 140, 199):
        for a, b in zip(clip.frames(start, start + 3), whole[start : start + 3], strict=True):
            np.testing.assert_array_equal(a, b)
    assert list(clip.frames(200)) == []
    assert list(clip.frames(5, 5)) == []


def test_a_late_start_of_a_window_does_not_decode_from_the_beginning(tmp_path, monkeypatch):
    from lipsync_eval.media import reader

    path = make_video(
        tmp_path / "a.mp4", [stamped(i) for i in range(200)], codec="libx264", pixels="yuv420p", options={"g": "20"}
    )
    clip = open_clip(path)
    count = 0

    def counting(*args):
        nonlocal count
        for frame in original(*args):
            count += 1
            yield frame

    original = reader.decoded
    monkeypatch.setattr(reader, "decoded", counting)
    assert numbers(clip, 150, 152) == [150, 151]
    assert count < 40


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx-vp9"])
def test_threads_do_not_move_a_pixel(tmp_path, codec):
    path = make_video(
        tmp_path / "a.mkv",
        [stamped(i, 96, 128) for i in range(40)],
        codec=codec,
        pixels="yuv420p",
        options={"crf": "30"},
    )
    convert = Converter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", 4
        threaded = [convert(frame) for frame in container.decode(stream)]
    np.testing.assert_array_equal(np.stack(list(open_clip(path).frames())), np.stack(threaded))


@pytest.mark.parametrize("width", [224, 360, 700, 63])
def test_frames_belong_to_the_caller(tmp_path, width):
    """A view into the decoder's buffer changes when the file is closed; widths with padding showed it."""
    path = make_video(tmp_path / "a.mp4", [stamped(i, 48, width) for i in range(12)], codec="libx264", pixels="yuv444p")
    clip = open_clip(path)
    kept = list(clip.frames())
    copies = [frame.copy() for frame in kept]
    for _ in range(3):
        list(clip.frames())
    for frame, copy in zip(kept, copies, strict=True):
        assert frame.flags.c_contiguous and frame.flags.owndata and frame.flags.writeable
        np.testing.assert_array_equal(frame, copy)


def test_repeated_frames_do_not_share_memory(tmp_path):
    clip = open_clip(make_video(tmp_path / "a.mkv", [stamped(i) for i in range(3)], tick=Fraction(1, 10)))
    first, second = list(clip.frames(0, 2))
    second[:] = 0
    assert number_in(first) == 0 and first.any()


def test_two_readers_at_once(tmp_path):
    clip = open_clip(make_video(tmp_path / "a.mkv", [stamped(i) for i in range(20)]))
    pairs = [(number_in(a), number_in(b)) for a, b in zip(clip.frames(), clip.frames(10), strict=False)]
    assert pairs == [(i, i + 10) for i in range(10)]


def test_a_clip_goes_to_another_process(tmp_path):
    import pickle

    clip = open_clip(make_video(tmp_path / "a.mkv", [stamped(i) for i in range(5)], sound=tone(0.2)[None]))
    again = pickle.loads(pickle.dumps(clip))
    assert numbers(again) == [0, 1, 2, 3, 4]
    assert (again.digest, again.n_frames, again.notes) == (clip.digest, clip.n_frames, clip.notes)
    np.testing.assert_array_equal(again.audio.samples, clip.audio.samples)


def test_one_frame_is_a_clip(tmp_path):
    clip = open_clip(make_video(tmp_path / "a.mkv", [stamped(7)]))
    assert (clip.n_frames, numbers(clip)) == (1, [7])
    assert "a single frame" in clip.notes


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_applied(tmp_path, degrees):
    path = make_video(
        tmp_path / "a.mov",
        [stamped(i) for i in range(3)],
        codec="png",
        pixels="rgb24",
        setup=lambda v: v.set_display_rotation(degrees),
    )
    clip = open_clip(path)
    assert clip.size == ((64, 48) if degrees != 180 else (48, 64))
    # PyAV's angle is that of the matrix, counter-clockwise.
    np.testing.assert_array_equal(next(clip.frames()), np.rot90(stamped(0), degrees // 90))
    assert any("display matrix" in note for note in clip.notes)


def test_a_audio_file_replaces_the_track_and_is_in_the_digest(tmp_path):
    path = make_video(tmp_path / "a.mkv", [stamped(i) for i in range(25)], sound=clicks(1, [0.2])[None])
    other = make_sound(tmp_path / "b.wav", clicks(1, [0.7])[None], rate=16000)
    own, given = open_clip(path), open_clip(path, audio=other)
    assert onsets(own.audio.samples) == pytest.approx([0.2], abs=0.001)
    assert onsets(given.audio.samples) == pytest.approx([0.7], abs=0.001)
    assert given.audio.source == other
    assert given.digest == hashlib.sha256(path.read_bytes() + other.read_bytes()).hexdigest() != own.digest


def test_names_of_any_kind(tmp_path):
    plain = make_video(tmp_path / "plain.mkv", [stamped(i) for i in range(3)])
    for name in (
        "a b.mkv",
        "quo\"te's.mkv",
        "new\nline.mkv",
        "Ünïcødé 顔.mkv",
        "pipe|%03d:x.mkv",
        "x" * 200 + ".mkv",
        "concat:a|b.mkv",
    ):
        path = Path(tmp_path / name)
        path.write_bytes(plain.read_bytes())
        assert numbers(open_clip(path)) == [0, 1, 2]


def test_no_frame_outlives_its_turn(tmp_path):
    """Memory must not wait for the garbage collector: PyAV ties frames to themselves when their side data is read."""
    import gc

    path = make_video(
        tmp_path / "a.mp4",
        [stamped(i) for i in range(120)],
        codec="libx264",
        pixels="yuv420p",
        setup=lambda v: v.set_display_rotation(90),
    )
    gc.collect()
    gc.disable()
    try:
        before = sum(type(o) is av.VideoFrame for o in gc.get_objects())
        clip = open_clip(path)
        most = 0
        for i, _ in enumerate(clip.frames()):
            if i % 20 == 0:
                most = max(most, sum(type(o) is av.VideoFrame for o in gc.get_objects()))
    finally:
        gc.enable()
    assert before < most < before + 5


@pytest.mark.parametrize("lost", [2, 3, 11])
@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        (".mkv", "libx264", {"g": "10", "bf": "2"}),
        (".ts", "libx264", {"g": "10", "bf": "2"}),
        (".mkv", "mpeg2video", {"g": "10", "bf": "2"}),
        (".ts", "mpeg2video", {"g": "10"}),
        (".mp4", "libx264", {"g": "10"}),
        (".mkv", "libx265", {"x265-params": "keyint=10:log-level=none"}),
        (".webm", "libvpx-vp9", {"g": "10", "cpu-used": "8", "deadline": "realtime"}),
    ],
)
def test_leading_frames_that_are_lost_are_noted_and_move_no_audio(tmp_path, suffix, codec, options, lost):
    """A cut without encoding anew: H.264 and MPEG-2 drop what they cannot decode at the beginning without a word."""
    sound = "libopus" if suffix == ".webm" else "mp2" if suffix == ".ts" else "aac"
    whole = make_video(
        tmp_path / f"whole{suffix}",
        [stamped(i) for i in range(50)],
        codec=codec,
        pixels="yuv420p",
        options=options,
        sound=clicks(2, [1.2, 1.6], 48000)[None],
        sound_codec=sound,
        rate=48000,
    )
    path = tmp_path / f"a{suffix}"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        made = {s.index: target.add_stream_from_template(s) for s in source.streams}
        count = 0
        for packet in source.demux():
            if packet.size:
                count += packet.stream.type == "video"
                if packet.stream.type == "video" and count <= lost:
                    continue
                packet.stream = made[packet.stream.index]
                target.mux(packet)
    before, after = open_clip(whole), open_clip(path)
    left = numbers(after)
    assert left == list(range(left[0], 50)) and left[0] > 0
    moved = [x - left[0] / 25 for x in onsets(before.audio.samples)]
    assert onsets(after.audio.samples) == pytest.approx([x for x in moved if x > 0], abs=0.004)
    assert any("before the first complete frame left out" in note for note in after.notes)
