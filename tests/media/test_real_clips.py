"""Real files: what is found in them, and pixels and audio against the ffmpeg program."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from support.ffmpeg import mono16k, needs_ffmpeg, rgb

from lipsync_eval.errors import MediaError
from lipsync_eval.media import find_pairs, open_clip
from lipsync_eval.media.audio import read_audio

# name: (frames, (height, width), rate of the file, has audio)
EXPECTED = {
    "original/edtalk_klobuchar_gtvideo.mp4": (250, (256, 256), 25.0, False),
    "original/grid_bbaf2n.mpg": (75, (288, 360), 25.0, True),
    "original/hdtf_menendez.mp4": (200, (512, 512), 25.0, True),
    "original/lrs3_ted_headmotion.mp4": (393, (224, 224), 25.0, True),
    "original/syncnet_example_offset3.avi": (317, (224, 224), 25.0, True),
    "original/syncnet_example_shift5.avi": (319, (224, 224), 24.843, True),
    "original/vrt_face1.mp4": (153, (700, 700), 22.131, True),
    "original/vrt_face2.mp4": (125, (844, 844), 25.0, True),
    "dubbed/hyperlips_gen1.mp4": (130, (720, 1278), 25.0, True),
    "dubbed/wav2lip_ak_gen.mp4": (197, (320, 640), 25.0, True),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_found(data, name):
    clip = open_clip(data / "clips" / name)
    n, size, fps, sound = EXPECTED[name]
    assert (clip.n_frames, clip.size, clip.audio is not None) == (n, size, sound)
    assert clip.source_fps == pytest.approx(fps, abs=1e-3)
    assert bool(clip.notes) == (fps != 25.0)


@needs_ffmpeg
@pytest.mark.parametrize("name", [n for n, e in EXPECTED.items() if e[1][0] < 700])
def test_pixels_are_ffmpegs(data, name):
    """Every frame of the clip is a frame of the file as ffmpeg gives it; at 25 fps all of them in order."""
    clip = open_clip(data / "clips" / name)
    theirs = rgb(data / "clips" / name, clip.size)
    if clip.source_fps == 25.0:
        for ours, expected in zip(clip.frames(), theirs, strict=True):
            np.testing.assert_array_equal(ours, expected)
    else:
        at = 0
        for ours in clip.frames():
            at = next(i for i in range(at, len(theirs)) if np.array_equal(ours, theirs[i]))


@needs_ffmpeg
@pytest.mark.parametrize(
    "name",
    [
        "original/grid_bbaf2n.mpg",
        "original/hdtf_menendez.mp4",
        "original/vrt_face1.mp4",
        "original/syncnet_example_offset3.avi",
        "dubbed/wav2lip_ak_drive.wav",
    ],
)
def test_audio_is_ffmpegs_within_rounding(data, name):
    path = data / "clips" / name
    ours, theirs = read_audio(path, origin=None, seconds=Fraction(60)).int16(), mono16k(path)
    assert len(ours) == len(theirs)
    assert np.abs(ours.astype(int) - theirs).max() <= 8
    rms = [np.sqrt((x.astype(float) ** 2).mean()) for x in (ours, theirs)]
    assert rms[0] == pytest.approx(rms[1], rel=1e-3)


def test_held_first_frames_move_the_audio(data):
    """Two files that differ in the place of their audio: 5 and 12 frames by the file, the held frames included."""
    five, twelve = (open_clip(data / "clips" / "original" / f"syncnet_example_shift{n}.avi") for n in (5, 12))
    a, b = five.audio.samples, twelve.audio.samples
    n = len(a) // 2
    lags = np.arange(0, 8000)
    spectrum = np.fft.rfft(b[: n + 8000], 1 << 18) * np.conj(np.fft.rfft(a[:n], 1 << 18))
    best = int(np.argmax(np.fft.irfft(spectrum)[lags]))
    assert best / 16000 * 25 == pytest.approx(7.0, abs=0.1)


def test_a_audio_file_is_no_clip(data):
    with pytest.raises(MediaError, match="no video track"):
        open_clip(data / "clips" / "original" / "edtalk_klobuchar_gtaudio.wav")
    found = find_pairs(data / "clips" / "original", data / "clips" / "original")
    assert len(found.pairs) == 14 and found.unmatched == ""
