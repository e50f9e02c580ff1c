"""The mel front end: against golden numbers, against tones worked by hand, in time."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_eval.baselines.kit.data.mel import mel_filters, mel_power, mel_spectrogram, mel_window
from lipsync_eval.errors import InputError

GOLDEN = Path(__file__).parent.parent / "golden" / "clovaai_resnetse" / "case1_34L_SAP.npz"


def tone(hertz, seconds, amplitude=1.0):
    t = np.arange(int(16000 * seconds)) / 16000
    return (amplitude * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def test_mel_power_equals_torchaudios():
    """The golden front end: 400-sample Hamming window in FFT 512, reflected ends, 40 HTK bands."""
    with np.load(GOLDEN) as z:
        audio, expected = z["audio"], z["mel_power"]
    for samples, golden in zip(audio, expected, strict=True):
        x = samples.astype(np.float32) / 32768
        window = np.zeros(512)
        window[56:456] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
        padded = np.pad(x, 256, mode="reflect")
        np.testing.assert_allclose(mel_power(padded, window, 160, 40).T, golden, rtol=1e-3, atol=1e-7)


def test_filters_cover_every_frequency_once():
    filters = mel_filters(80, 1280)
    assert filters.shape == (641, 80)
    inside = filters.sum(1)[(np.linspace(0, 8000, 641) > 100) & (np.linspace(0, 8000, 641) < 7700)]
    np.testing.assert_allclose(inside, 1.0, atol=1e-9)


def test_frames_per_second_and_silence():
    assert mel_spectrogram(np.zeros(16000, np.float32)).shape == (100, 80)
    assert mel_spectrogram(np.zeros(16001, np.float32)).shape == (101, 80)
    assert mel_spectrogram(np.zeros(0, np.float32)).shape == (0, 80)
    assert (mel_spectrogram(np.zeros(1600, np.float32)) == -1).all()


def test_a_full_scale_tone_is_at_the_top():
    mel = mel_spectrogram(tone(1000, 1.0))[50]
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82)[1:-1] / 2595) - 1)
    assert abs(centres[mel.argmax()] - 1000) < 40
    assert 0.9 < mel.max() < 1.1
    quieter = mel_spectrogram(tone(1000, 1.0, 0.1))[50]
    assert mel.max() - quieter.max() == pytest.approx(20 / 40, abs=1e-3)  # 20 dB on a scale of 40 dB per unit


def test_frame_j_is_centred_on_sample_160_j():
    samples = np.zeros(16000, np.float32)
    samples[4800] = 1.0  # 0.3 s
    loud = np.flatnonzero(mel_spectrogram(samples).max(1) > -1)
    assert loud.mean() == pytest.approx(30, abs=0.5)


@given(st.integers(2000, 9000), st.integers(0, 3))
def test_a_stream_has_the_same_frames_as_the_whole(cut, seed):
    samples = np.random.default_rng(seed).normal(0, 0.1, 9600).astype(np.float32)
    whole, part = mel_spectrogram(samples), mel_spectrogram(samples[:cut])
    safe = max((cut - 640) // 160, 0)
    np.testing.assert_allclose(part[:safe], whole[:safe], atol=1e-5)


def test_window_of_picture_i_is_mel_4i_minus_8_to_4i_plus_11():
    mel = np.arange(200, dtype=np.float32)[:, None].repeat(80, 1)
    window = mel_window(mel, 10 / 25)
    assert window.shape == (80, 20)
    np.testing.assert_array_equal(window[0], np.arange(32, 52))
    early = mel_window(mel, 0.0)[0]
    np.testing.assert_array_equal(early, [-1] * 8 + list(range(12)))
    late = mel_window(mel, 49 / 25)[0]
    np.testing.assert_array_equal(late, [*range(188, 200), *[-1] * 8])
    assert (mel_window(mel, 100.0) == -1).all()


def test_bad_samples_are_refused():
    for bad in (np.zeros((10, 2), np.float32), np.zeros(10, np.int16)):
        with pytest.raises(InputError, match="expected mono float samples"):
            mel_spectrogram(bad)


def test_memory_of_long_sound_is_that_of_the_result():
    import tracemalloc

    samples = np.zeros(16000 * 300, np.float32)
    tracemalloc.start()
    try:
        mel = mel_spectrogram(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert mel.shape == (30000, 80) and peak < mel.nbytes + (16 << 20)
