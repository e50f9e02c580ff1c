"""Audio: loudness, rate, place on the clock."""

from __future__ import annotations

import re
import wave

import numpy as np
import pytest
from support.ffmpeg import mono16k, needs_ffmpeg, run_ffmpeg
from support.videos import _encode_sound, clicks, make_sound, make_video, onsets, stamped, tone

from lipsync_eval.errors import MediaError
from lipsync_eval.media import has_audio, open_clip
from lipsync_eval.media.audio import read_audio
from lipsync_eval.types import RATE

SECONDS = 1
LSB = 1 / 32768


def own(path):
    return open_clip(path).audio


def stamps(n=25):
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
    """ffmpeg resamples 16-bit audio in 16 bits, this package in float: up to a few units of the last bit; float audio is equal."""
    rng = np.random.default_rng(channels)
    noise = np.clip(np.cumsum(rng.normal(0, 0.02, (channels, rate)), axis=1) % 1.0 - 0.5, -0.5, 0.5)
    path = make_sound(tmp_path / "a.wav", noise, rate=rate, codec=codec)
    ours, theirs = read_audio(path, origin=None, seconds=1).int16(), mono16k(path)
    assert len(ours) == len(theirs)
    assert np.abs(ours.astype(int) - theirs).max() <= (1 if codec == "pcm_f32le" else 8)


@pytest.mark.parametrize("start", [0.1, 0.25])
@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "pcm_s16le"), (".mp4", "aac")])
def test_audio_that_begins_late_is_padded(tmp_path, suffix, codec, start):
    path = make_video(
        tmp_path / f"a{suffix}",
        stamps(50),
        codec="libx264",
        pixels="yuv420p",
        sound=clicks(1.5, [0.3, 1.0])[None],
        sound_start=start,
        sound_codec=codec,
    )
    audio = own(path)
    assert onsets(audio.samples) == pytest.approx([0.3 + start, 1.0 + start], abs=0.003)
    assert any("after the first frame: silence put before it" in note for note in audio.notes)


def test_audio_before_the_first_frame_is_cut(tmp_path):
    path = make_video(tmp_path / "a.mkv", stamps(50), times=range(5, 55), sound=clicks(2, [0.1, 0.5, 1.0])[None])
    audio = own(path)
    assert onsets(audio.samples) == pytest.approx([0.3, 0.8], abs=0.001)
    assert "audio begins 0.200 s before the first frame: cut there" in audio.notes


def test_length_is_left_natural_and_noted(tmp_path):
    short = own(make_video(tmp_path / "a.mkv", stamps(50), sound=tone(1.5)[None]))
    assert len(short.samples) == 24000 and "audio 0.50 s shorter than the video: left so" in short.notes
    long = own(make_video(tmp_path / "b.mkv", stamps(50), sound=tone(2.5)[None]))
    assert len(long.samples) == 40000 and "audio 0.50 s longer than the video: left so" in long.notes
    fits = own(make_video(tmp_path / "c.mkv", stamps(50), sound=tone(2.02)[None]))
    assert fits.notes == ()


def test_no_audio_is_none(tmp_path):
    path = make_video(tmp_path / "a.mkv", stamps(3))
    assert open_clip(path).audio is None
    assert not has_audio(path)
    make_sound(tmp_path / "a.wav", tone(1)[None], rate=16000)
    assert has_audio(path)
    assert has_audio(make_video(tmp_path / "b.mkv", stamps(3), sound=tone(1)[None]))
    assert not has_audio(tmp_path / "missing.mp4")


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".m4a", "aac"), (".mp3", "libmp3lame"), (".flac", "flac"), (".opus", "libopus")]
)
def test_delays_of_codecs_are_taken_off(tmp_path, suffix, codec):
    rate = 48000
    path = make_sound(tmp_path / f"a{suffix}", np.stack([clicks(1.5, [0.25, 1.0], rate)] * 2), rate=rate, codec=codec)
    audio = read_audio(path, origin=None, seconds=1.5)
    assert onsets(audio.samples) == pytest.approx([0.25, 1.0], abs=0.004)


def test_a_gap_in_the_audio_is_filled_and_noted(tmp_path):
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
    assert "gaps of 0.500 s in the audio filled with silence" in audio.notes


def test_full_scale_overshoot_is_clipped_and_noted(tmp_path):
    loud = np.clip(tone(1, level=1.5), -1.5, 1.5)
    path = make_sound(tmp_path / "a.wav", loud[None], rate=16000, codec="pcm_f32le")
    audio = read_audio(path, origin=None, seconds=1)
    assert np.abs(audio.samples).max() == 1.0
    assert any("samples beyond full scale clipped" in note for note in audio.notes)


def test_of_several_tracks_the_default_one_is_used_and_noted(tmp_path):
    import av

    parts = [
        make_video(tmp_path / f"{i}.mkv", stamps(25), sound=clicks(1, [at])[None]) for i, at in enumerate((0.2, 0.7))
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
    assert "2 audio tracks: track 1 used, which ffmpeg takes by default" in audio.notes


def wav(path, channels, rate=16000):
    """A WAV file of any number of channels without a layout; PyAV's encoder wants one."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.stack(channels, axis=1) * 32000).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize("n", [9, 17, 32, 63, 64, 200])
def test_channels_without_a_layout_are_refused_in_words(tmp_path, n):
    path = wav(tmp_path / "a.wav", [tone(0.2)] * n)
    with pytest.raises(
        MediaError,
        match=rf"the audio of 'a.wav' cannot be used: {n} channels in the layout '{n} channels' cannot be mixed",
    ):
        read_audio(path, origin=None, seconds=1)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8, 16, 24])
def test_usual_numbers_of_channels_are_mixed(tmp_path, n):
    audio = read_audio(wav(tmp_path / "a.wav", [tone(1)] * n), origin=None, seconds=1)
    assert np.abs(audio.samples - tone(1) * 32000 / 32768).max() < 2e-3


@pytest.mark.parametrize(("right", "cancels"), [(-1.0, True), (-0.95, True), (-0.6, False), (0.0, False), (1.0, False)])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "pcm_u8", "aac"])
def test_stereo_in_opposite_phase_is_named_as_that(tmp_path, right, cancels, codec):
    path = make_video(
        tmp_path / ("a.mp4" if codec == "aac" else "a.mkv"),
        stamps(25),
        codec="libx264",
        pixels="yuv420p",
        sound=np.stack([tone(1), right * tone(1)]),
        sound_codec=codec,
    )
    clip = open_clip(path)
    told = any("two channels are in opposite phase and cancel each other" in note for note in clip.notes)
    assert told == cancels == (clip.audio is None)


def test_silent_stereo_is_silent_and_nothing_else(tmp_path):
    path = make_sound(tmp_path / "a.wav", np.zeros((2, 16000)), rate=16000)
    assert not read_audio(path, origin=None, seconds=1).samples.any()


def several(path, tracks, default=()):
    """A file with one video and these audio tracks: (samples (channels, n), codec, rate, bit rate)."""
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        made = []
        for samples, codec, rate, bits in tracks:
            stream = container.add_stream(codec, rate=rate)
            stream.layout, stream.bit_rate = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)], bits
            made.append(stream)
        if default:
            for i, stream in enumerate(made):
                stream.disposition = 1 if i in default else 0
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(stamped(i), format="rgb24").reformat(format="yuv420p")
            frame.pts = i
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for stream, (samples, _, rate, _) in zip(made, tracks, strict=True):
            _encode_sound(container, stream, samples, rate, 0.0)
    return path


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("channels", "bits", "default"),
    [
        ((2, 1), (64_000, 128_000), ()),
        ((1, 2), (128_000, 64_000), ()),
        ((1, 1), (64_000, 128_000), ()),
        ((2, 1), (64_000, 128_000), (1,)),
        ((1, 2, 2), (64_000, 64_000, 64_000), (0, 2)),
        ((2, 6), (64_000, 384_000), ()),
    ],
)
def test_the_track_is_that_of_the_ffmpeg_program(tmp_path, suffix, channels, bits, default):
    codec = "mp2" if 6 not in channels else "ac3"
    tracks = [
        (np.stack([clicks(1, [0.2 + 0.2 * i], 48000)] * n), codec, 48000, b)
        for i, (n, b) in enumerate(zip(channels, bits, strict=True))
    ]
    path = several(tmp_path / f"a{suffix}", tracks, default)
    raw = run_ffmpeg("-i", str(path), "-ac", "1", "-ar", "16000", "-f", "s16le", "-")  # no -map: its own choice
    theirs = onsets(np.frombuffer(raw, np.int16).astype(np.float32) / 20000)
    audio = read_audio(path, origin=None, seconds=1)
    assert onsets(audio.samples) == pytest.approx(theirs, abs=0.02)  # the other clicks are 0.2 s away
    assert any(f"{len(channels)} audio tracks: track" in note for note in audio.notes)


@pytest.mark.parametrize("first", [True, False])
def test_a_track_without_a_decoder_is_never_taken(tmp_path, first):
    """As recent iPhones write it: an AAC track, and one of a codec that nothing here knows, both enabled."""
    good, bad = (
        (clicks(1, [0.3], 48000)[None], "aac", 48000, 64_000),
        (np.stack([tone(1, 48000)] * 2), "aac", 48000, 256_000),
    )
    path = several(tmp_path / "a.mp4", [bad, good] if first else [good, bad])
    data = bytearray(path.read_bytes())
    at = [found.start() for found in re.finditer(b"mp4a", data)][0 if first else 1]
    data[at : at + 4] = b"apac"
    at = data.index(b"esds", at)
    data[at : at + 4] = b"dapa"
    path.write_bytes(data)
    audio = open_clip(path).audio
    assert onsets(audio.samples) == pytest.approx([0.3], abs=0.003)
    assert any("the only one that can be decoded" in note for note in audio.notes)


def test_a_video_whose_only_track_has_no_decoder_says_so(tmp_path):
    path = several(tmp_path / "a.mp4", [(tone(1, 48000)[None], "aac", 48000, 64_000)])
    data = path.read_bytes()
    at = data.index(b"mp4a")
    path.write_bytes(data[:at] + data[at:].replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    clip = open_clip(path)
    assert clip.audio is None and has_audio(path)
    assert any(
        "the audio of 'a.mp4' cannot be used: it is in a format that cannot be decoded here" in n for n in clip.notes
    )


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
@pytest.mark.parametrize("larger", [0, 1])
def test_the_video_track_is_that_of_the_ffmpeg_program(tmp_path, suffix, larger):
    import av

    sizes = [(96, 128) if i == larger else (48, 64) for i in range(2)]
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        streams = []
        for height, width in sizes:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 400_000
            streams.append(stream)
        for i in range(25):
            for stream, size in zip(streams, sizes, strict=True):
                frame = av.VideoFrame.from_ndarray(stamped(i, *size), format="rgb24").reformat(format="yuv420p")
                frame.pts = i
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    clip = open_clip(path)
    raw = run_ffmpeg("-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    assert len(raw) == clip.height * clip.width * 3 == 96 * 128 * 3
    assert f"2 video tracks: track {larger} used, which ffmpeg takes by default" in clip.notes
