"""Wav2Lip's mel against a direct float64 computation and its published window arithmetic."""

import numpy as np
import pytest

from lipsync_eval.baselines.kit.data.wav2lip_mel import WAV2LIP_MEL, slaney_filters, wav2lip_mel, wav2lip_window
from lipsync_eval.errors import InputError


def directly(samples):
    """Every column by a loop and a matrix of the discrete Fourier transform, in float64."""
    x = samples.astype(np.float64)
    x = np.concatenate([x[:1], x[1:] - 0.97 * x[:-1]])
    padded = np.concatenate([x[400:0:-1], x, x[-2:-402:-1]])
    n, f = np.arange(800), np.arange(401)
    dft = np.exp(-2j * np.pi * f[:, None] * n / 800) * (0.5 - 0.5 * np.cos(2 * np.pi * n / 800))

    def mel(hz):
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)

    def hertz(m):
        return m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)

    edges = [hertz(m) for m in np.linspace(mel(55.0), mel(7600.0), 82)]
    filters = np.zeros((80, 401))
    for k in range(80):
        low, top, high = edges[k : k + 3]
        for i, hz in enumerate(20.0 * f):
            rise, fall = (hz - low) / (top - low), (high - hz) / (high - top)
            filters[k, i] = max(0.0, min(rise, fall)) * 2 / (high - low)
    columns = []
    for j in range(1 + len(x) // 200):
        power = filters @ np.abs(dft @ padded[200 * j : 200 * j + 800])
        columns.append(np.clip(8 * (20 * np.log10(np.maximum(power, 1e-5)) - 20 + 100) / 100 - 4, -4, 4))
    return np.array(columns)


def test_against_a_direct_computation():
    rng = np.random.default_rng(0)
    t = np.arange(4000) / 16000
    samples = (0.3 * np.sin(2 * np.pi * 440 * t) + 0.05 * rng.standard_normal(4000)).astype(np.float32)
    np.testing.assert_allclose(wav2lip_mel(samples), directly(samples), atol=1e-5)


def test_filters_have_area_one():
    np.testing.assert_allclose(slaney_filters()[:, 20:].sum(0) * 20, 1.0, atol=0.06)  # sampled every 20 Hz


def test_silence_rate_and_short_audio():
    assert wav2lip_mel(np.zeros(16000, np.float32)).shape == (81, 80)
    assert (wav2lip_mel(np.zeros(1600, np.float32)) == -4).all()
    assert wav2lip_mel(np.zeros(100, np.float32)).shape == (1, 80)
    with pytest.raises(InputError, match="mono float samples"):
        wav2lip_mel(np.zeros((2, 10), np.float32))


def test_windows_begin_one_frame_before_theirs():
    mel = np.arange(200, dtype=np.float32)[:, None].repeat(80, 1)
    for frame in range(1, 40):
        window = WAV2LIP_MEL.window(mel, frame / 25)
        assert window.shape == (80, 16)
        assert window[0].tolist() == list(range(int(80 * (frame - 1) / 25), int(80 * (frame - 1) / 25) + 16))
    before, after = wav2lip_window(mel, -0.05), wav2lip_window(mel, 2.4)
    assert before[0].tolist() == [-4.0] * 4 + list(range(12)) and after[0].tolist() == [*range(192, 200), *[-4.0] * 8]
