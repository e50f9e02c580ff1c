"""Sound: loudness, rate, place on the clock."""

from __future__ import annotations

import numpy as np
import pytest
from support.ffmpeg import mono16k, needs_ffmpeg
from support.videos import clicks, make_sound, make_video, onsets, stamped, tone

from lipsync_eval.media import has_audio, open_clip
from lipsync_eval.media.audio import read_audio
from lipsync_eval.types import RATE

SECONDS = 1
LSB = 1 / 32768


def own(path):
    return open_clip(path).audio


def pictures(n=25):
    return [stamped(i) for i in range(n)]


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "pcm_u8"])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_equal_channels_keep_their_loudness(tmp_path, rate, channels, codec):
    path = make_sound(tmp_path / "a.wav", np.stack([tone(SECONDS, rate)] * channels), rate=rate, codec=codec)
    audio = read_audio(path, origin=None, seconds=SECONDS)
    assert audio.samples.dtype == np.float32 and len(audio.samples) == RATE
    expected = tone(SECONDS)
    tolerance = 1.5 / 128 if codec == "pcm_u8" else 2e-3
    assert np.abs(audio.samples - expected)[200:-200].max() < tolerance


def test_one_silent_channel_halves_the_loudness(tmp_path):
    for codec in ("pcm_s16le", "pcm_f32le"):
        path = make_sound(tmp_path / "a.wav", np.stack([tone(1), 0 * tone(1)]), rate=16000, codec=codec)
        assert np.abs(read_audio(path, origin=None, seconds=1).samples - tone(1) / 2).max() < 2 * LSB


def test_16_bit_mono_at_16_khz_is_exact(tmp_path):
    values = np.random.default_rng(0).integers(-32768, 32768, 16000)
    path = make_sound(tmp_path / "a.wav", (values / 32768)[None], rate=16000)
    np.testing.assert_array_equal(read_audio(path, origin=None, seconds=1).int16(), values)


@needs_ffmpeg
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_as_the_ffmpeg_program_within_rounding(tmp_path, rate, channels, codec):
    """ffmpeg resamples 16-bit sound in 16 bits, this package in float: up to a few units of the last bit; float sound is equal."""
    rng = np.random.default_rng(channels)
    noise = np.clip(np.cumsum(rng.normal(0, 0.02, (channels, rate)), axis=1) % 1.0 - 0.5, -0.5, 0.5)
    path = make_sound(tmp_path / "a.wav", noise, rate=rate, codec=codec)
    ours, theirs = read_audio(path, origin=None, seconds=1).int16(), mono16k(path)
    assert len(ours) == len(theirs)
    assert np.abs(ours.astype(int) - theirs).max() <= (1 if codec == "pcm_f32le" else 8)


@pytest.mark.parametrize("start", [0.1, 0.25])
@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "pcm_s16le"), (".mp4", "aac")])
def test_sound_that_begins_late_is_padded(tmp_path, suffix, codec, start):
    path = make_video(
        tmp_path / f"a{suffix}",
        pictures(50),
        codec="libx264",
        pixels="yuv420p",
        sound=clicks(1.5, [0.3, 1.0])[None],
        sound_start=start,
        sound_codec=codec,
    )
    audio = own(path)
    assert onsets(audio.samples) == pytest.approx([0.3 + start, 1.0 + start], abs=0.003)
    assert any("after the first picture: silence put before it" in note for note in audio.notes)


def test_sound_before_the_first_picture_is_cut(tmp_path):
    path = make_video(tmp_path / "a.mkv", pictures(50), times=range(5, 55), sound=clicks(2, [0.1, 0.5, 1.0])[None])
    audio = own(path)
    assert onsets(audio.samples) == pytest.approx([0.3, 0.8], abs=0.001)
    assert "sound begins 0.200 s before the first picture: cut there" in audio.notes


def test_length_is_left_natural_and_noted(tmp_path):
    short = own(make_video(tmp_path / "a.mkv", pictures(50), sound=tone(1.5)[None]))
    assert len(short.samples) == 24000 and "sound 0.50 s shorter than the picture: left so" in short.notes
    long = own(make_video(tmp_path / "b.mkv", pictures(50), sound=tone(2.5)[None]))
    assert len(long.samples) == 40000 and "sound 0.50 s longer than the picture: left so" in long.notes
    fits = own(make_video(tmp_path / "c.mkv", pictures(50), sound=tone(2.02)[None]))
    assert fits.notes == ()


def test_no_sound_is_none(tmp_path):
    path = make_video(tmp_path / "a.mkv", pictures(3))
    assert open_clip(path).audio is None
    assert not has_audio(path)
    make_sound(tmp_path / "a.wav", tone(1)[None], rate=16000)
    assert has_audio(path)
    assert has_audio(make_video(tmp_path / "b.mkv", pictures(3), sound=tone(1)[None]))
    assert not has_audio(tmp_path / "missing.mp4")


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".m4a", "aac"), (".mp3", "libmp3lame"), (".flac", "flac"), (".opus", "libopus")]
)
def test_delays_of_codecs_are_taken_off(tmp_path, suffix, codec):
    rate = 48000
    path = make_sound(tmp_path / f"a{suffix}", np.stack([clicks(1.5, [0.25, 1.0], rate)] * 2), rate=rate, codec=codec)
    audio = read_audio(path, origin=None, seconds=1.5)
    assert onsets(audio.samples) == pytest.approx([0.25, 1.0], abs=0.004)


def test_a_gap_in_the_sound_is_filled_and_noted(tmp_path):
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "bgr0"
        audio = container.add_stream("pcm_s16le", rate=16000)
        audio.layout = "mono"
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(stamped(i), format="rgb24")
            frame.pts = i
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start, at in ((0.0, [0.2]), (1.0, [0.3])):
            sound = clicks(0.5, at)[None]
            block = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16), format="s16", layout="mono")
            block.sample_rate, block.pts = 16000, round(start * 16000)
            container.mux(audio.encode(block))
    audio = own(path)
    assert onsets(audio.samples) == pytest.approx([0.2, 1.3], abs=0.002)
    assert "gaps of 0.500 s in the sound filled with silence" in audio.notes


def test_full_scale_overshoot_is_clipped_and_noted(tmp_path):
    loud = np.clip(tone(1, level=1.5), -1.5, 1.5)
    path = make_sound(tmp_path / "a.wav", loud[None], rate=16000, codec="pcm_f32le")
    audio = read_audio(path, origin=None, seconds=1)
    assert np.abs(audio.samples).max() == 1.0
    assert any("samples beyond full scale clipped" in note for note in audio.notes)


def test_of_several_tracks_the_default_one_is_used_and_noted(tmp_path):
    import av

    parts = [
        make_video(tmp_path / f"{i}.mkv", pictures(25), sound=clicks(1, [at])[None]) for i, at in enumerate((0.2, 0.7))
    ]
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as target:
        sources = [av.open(str(part)) for part in parts]
        chosen = [sources[0].streams.video[0], sources[0].streams.audio[0], sources[1].streams.audio[0]]
        made = [target.add_stream_from_template(stream) for stream in chosen]
        for stream, new in zip(chosen, made, strict=True):
            stream.container.seek(0)
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = new
                    target.mux(packet)
        for source in sources:
            source.close()
    audio = own(path)
    assert onsets(audio.samples) == pytest.approx([0.2], abs=0.001)
    assert "2 tracks of sound: track 1 used, which ffmpeg takes by default" in audio.notes
