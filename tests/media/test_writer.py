"""Writing video."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from support.ffmpeg import needs_ffmpeg, rgb
from support.videos import clicks, number_in, onsets, stamped, tone

from lipsync_eval.errors import InputError, OutputError
from lipsync_eval.media import open_clip, write_video


def noise(n, height, width):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(n)]


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (224, 224)])
def test_lossless_gives_back_every_pixel_and_sample(tmp_path, size):
    pictures = noise(12, *size)
    values = np.random.default_rng(1).integers(-32768, 32768, 7680)
    path = tmp_path / "a.mkv"
    assert write_video(path, iter(pictures), audio=(values / 32768).astype(np.float32)) == 12
    clip = open_clip(path)
    assert (clip.n_frames, clip.size, clip.source_fps, clip.notes) == (12, size, 25.0, ())
    np.testing.assert_array_equal(np.stack(list(clip.frames())), np.stack(pictures))
    np.testing.assert_array_equal(clip.audio.int16(), values)


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
def test_h264_keeps_time_colour_and_sync(tmp_path, suffix):
    pictures = [stamped(i) for i in range(60)]
    path = tmp_path / f"a{suffix}"
    write_video(path, pictures, audio=clicks(2.4, [0.4, 1.6]).astype(np.float32), codec="h264", crf=12)
    clip = open_clip(path)
    assert [number_in(frame) for frame in clip.frames()] == list(range(60))
    assert onsets(clip.audio.samples) == pytest.approx([0.4, 1.6], abs=0.003)
    flat = np.full((64, 64, 3), (200, 60, 90), np.uint8)
    write_video(path, [flat] * 3, codec="h264", crf=5)
    assert np.abs(next(open_clip(path).frames()).astype(int) - flat).max() <= 4


def test_crf_is_quality(tmp_path):
    sizes = []
    for crf in (10, 30):
        write_video(tmp_path / "a.mp4", noise(5, 64, 64), codec="h264", crf=crf)
        sizes.append((tmp_path / "a.mp4").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize("size", [(48, 64), (224, 224)])
@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "lossless"), ("a.mp4", "h264")])
def test_the_same_input_gives_the_same_bytes(tmp_path, name, codec, size):
    written = set()
    for _ in range(4):
        write_video(
            tmp_path / name, [stamped(i, *size) for i in range(20)], audio=tone(0.8).astype(np.float32), codec=codec
        )
        written.add((tmp_path / name).read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("fps", [25, 29.97, Fraction(30_000, 1001), 50])
def test_other_rates(tmp_path, fps):
    path = tmp_path / "a.mkv"
    write_video(path, [stamped(i) for i in range(40)], fps=fps)
    assert open_clip(path).source_fps == pytest.approx(float(fps), rel=2e-3)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_other_sample_rates(tmp_path, rate):
    path = tmp_path / "a.mkv"
    write_video(path, [stamped(0)] * 25, audio=tone(1, rate).astype(np.float32), rate=rate)
    assert np.abs(open_clip(path).audio.samples - tone(1))[200:-200].max() < 2e-3


def test_audio_is_written_whole(tmp_path):
    for seconds in (0.4, 3.0):
        write_video(tmp_path / "a.mkv", [stamped(0)] * 25, audio=tone(seconds).astype(np.float32))
        assert len(open_clip(tmp_path / "a.mkv").audio.samples) == round(seconds * 16000)


def test_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.mkv"
    write_video(path, [stamped(3)])

    def failing():
        yield stamped(0)
        raise RuntimeError("generator broke")

    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="generator broke"):
        write_video(path, failing())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("a.mkv", {"frames": []}, "no frame to write"),
        ("a.mp4", {"frames": [stamped(0)]}, "lossless video goes into .mkv"),
        ("a.avi", {"frames": [stamped(0)], "codec": "h264"}, "h264 video goes into .mp4"),
        ("a.mkv", {"frames": [stamped(0)], "codec": "vp9"}, "codec is 'vp9'; expected one of lossless, h264"),
        ("a.mp4", {"frames": [stamped(0, 47, 63)], "codec": "h264"}, "needs even sides, the frames are 63x47"),
        ("a.mkv", {"frames": [stamped(0).astype(float)]}, r"must be \(H, W, 3\) uint8 RGB; got float64"),
        ("a.mkv", {"frames": [stamped(0)[:, :, 0]]}, r"must be \(H, W, 3\)"),
        ("a.mkv", {"frames": [stamped(0), stamped(1, 50, 64)]}, r"frame 1 is \(50, 64\), the first was \(48, 64\)"),
        ("a.mkv", {"frames": [stamped(0)], "fps": 0}, "fps is 0"),
        ("a.mkv", {"frames": [stamped(0)], "audio": np.zeros((2, 5), np.float32)}, r"audio must be \(N,\)"),
        ("a.mkv", {"frames": [stamped(0)], "audio": np.array([np.nan], np.float32)}, "must be finite"),
    ],
)
def test_wrong_input_is_refused_and_leaves_nothing(tmp_path, name, arguments, message):
    with pytest.raises(InputError, match=message):
        write_video(tmp_path / name, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_video(tmp_path / "none" / "a.mkv", [stamped(0)])


@needs_ffmpeg
def test_the_ffmpeg_program_reads_the_same(tmp_path):
    pictures = noise(5, 48, 64)
    write_video(tmp_path / "a.mkv", pictures)
    np.testing.assert_array_equal(rgb(tmp_path / "a.mkv", (48, 64)), np.stack(pictures))


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "lossless"), ("a.mp4", "h264")])
def test_uneven_times(tmp_path, name, codec):
    from lipsync_eval.media.scan import scan

    times = [0.0, 1 / 30, 0.1, 0.2, 7 / 30, 0.5]
    sound = clicks(0.6, [0.2, 0.4]).astype(np.float32)
    write_video(tmp_path / name, [stamped(i) for i in range(6)], fps=10, times=times, audio=sound, codec=codec)
    found = scan(tmp_path / name).times
    np.testing.assert_allclose((found.ticks - found.ticks[0]) * float(found.tick), times, atol=6e-4)
    clip = open_clip(tmp_path / name)
    assert [number_in(frame) for frame in clip.frames(0, 11)] == [0, 1, 1, 2, 2, 3, 4, 4, 4, 4, 4]
    assert onsets(clip.audio.samples) == pytest.approx([0.2, 0.4], abs=0.003)


def test_times_that_cannot_be(tmp_path):
    for times in ([0.1, 0.2], [0.0, 0.0], [0.0, 0.2, 0.1], []):
        with pytest.raises(InputError, match="times must begin at 0"):
            write_video(tmp_path / "a.mkv", [stamped(i) for i in range(2)], times=times)
    with pytest.raises(InputError, match="more frames came than the 1 times given"):
        write_video(tmp_path / "a.mkv", [stamped(i) for i in range(2)], times=[0.0])
    assert not (tmp_path / "a.mkv").exists()


def test_a_rate_that_aac_has_not_is_refused_before_anything_is_written(tmp_path):
    sound = np.zeros(1000, np.float32)
    with pytest.raises(InputError, match=r"the rate of audio is 192000; AAC.* 48000, .*write lossless"):
        write_video(tmp_path / "a.mp4", [stamped(0)], audio=sound, rate=192000, codec="h264")
    assert list(tmp_path.iterdir()) == []
    write_video(tmp_path / "a.mkv", [stamped(0)], audio=sound, rate=192000)


def test_times_that_mkv_cannot_tell_apart(tmp_path):
    """Written all the same, the second frame would be dropped by whoever reads the file."""
    from lipsync_eval.media.scan import scan

    times, pictures = [0.0, 0.04, 0.0403, 0.1], [stamped(i) for i in range(4)]
    with pytest.raises(InputError, match="the same ms"):
        write_video(tmp_path / "a.mkv", pictures, times=times)
    write_video(tmp_path / "a.mp4", pictures, times=times, codec="h264")
    near = [0.0, 0.0404, 0.0406, 0.1]  # 40 and 41 ms
    write_video(tmp_path / "a.mkv", pictures, times=near)
    for name in ("a.mp4", "a.mkv"):
        assert len(scan(tmp_path / name).times.ticks) == 4
