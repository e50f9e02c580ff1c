"""Parity with the public code of THEval, Perceptual-3D-Talking-Head, CodeTalker, TalkingGaussian, tslearn and silero-vad."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync_eval.features import voice
from lipsync_eval.metrics.motion.measures import action_units, intensity, theval, vertices, warping

GOLDEN = Path(__file__).parents[1] / "golden"
UPPER, LOWER = [191, 80, 81, 82, 13, 312, 311, 310], [95, 88, 178, 87, 14, 317, 402, 318]
silero = pytest.mark.skipif(find_spec("silero_vad") is None, reason="silero-vad is not installed")


def load(path: str, folder: Path = GOLDEN) -> dict[str, Any]:
    with np.load(folder / f"{path}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("case", ["case1_25fps", "case2_missing_30fps", "case3_no_speech"])
def test_theval(case: str) -> None:
    held = load(f"theval/{case}")
    places = {int(i): k for k, i in enumerate(held["point_indices"])}
    fps, n = float(held["fps"]), int(held["T"])
    height, width = held["hw"]

    def points(ids: Any, scale: Any = 1.0) -> np.ndarray:
        return held["points"][:, [places[int(i)] for i in ids]] * scale

    assert theval.lip_dynamics(points(held["lip_indices"], 256)) == pytest.approx(float(held["lip_dynamics"]), rel=1e-9)
    px = np.array([width, height])
    sides = (points(held[k], px) for k in ("left_eyebrow", "left_eye", "right_eyebrow", "right_eye"))
    assert theval.eyebrow_dynamics(*sides) == pytest.approx(float(held["eyebrow_dynamics"]), rel=1e-9)
    opening = theval.opening_lip_sync(points(UPPER), points(LOWER), points([33, 133]), points([362, 263]))
    np.testing.assert_allclose(opening, held["openness"], rtol=1e-9)
    loud = theval.volume(held["pcm16"].astype(np.float32) / 32768, 16_000, np.arange(n) / fps)
    np.testing.assert_allclose(loud, held["volume"], rtol=1e-9)
    speech = np.zeros(n, bool)
    speech[held["speech_frames"]] = True
    assert theval.lip_sync(opening, loud, speech) == pytest.approx(float(held["lip_sync"]), rel=1e-9, nan_ok=True)
    silent = theval.silent_frames(speech, fps)
    assert np.array_equal(np.flatnonzero(silent), held["silence_frames"])
    shut = theval.opening_silence(
        points(UPPER, 256), points(LOWER, 256), points([33], 256)[:, 0], points([263], 256)[:, 0]
    )
    assert theval.silent_lip_stability(shut, silent) == pytest.approx(float(held["silent_lip_stability"]), rel=1e-9)


@silero
@pytest.mark.parametrize("case", ["case1_25fps", "case2_missing_30fps", "case3_no_speech"])
def test_theval_speech_frames_from_audio(case: str) -> None:
    held = load(f"theval/{case}")
    samples = held["pcm16"].astype(np.float32) / 32768
    found = voice.segments(voice.probabilities(samples), len(samples))
    frames = theval.speech_frames(found, int(held["T"]), float(held["fps"]), seconds=len(samples) / 16_000)
    assert np.array_equal(np.flatnonzero(frames), held["speech_frames"])


def test_theval_head() -> None:
    held = load("theval/case4_head")
    angles, place = [held[k] for k in ("pitch", "yaw", "roll")], [held["cx"], held["cy"]]
    assert theval.head_dynamics(*angles, *place) == pytest.approx(float(held["head_dynamics"]), rel=1e-9)
    assert theval.head_dynamics(*angles) == pytest.approx(float(held["head_dynamics_no_translation"]), rel=1e-9)
    one = theval.head_dynamics(*(a[:1] for a in angles), *(p[:1] for p in place))
    assert one == float(held["head_dynamics_one_frame"])


def test_theval_final_score() -> None:
    held = load("theval/case5_score")
    table = [dict(zip(held["metrics"].tolist(), row, strict=True)) for row in held["values"].tolist()]
    for values, normalised, final in zip(table, held["normalised"], held["final"], strict=True):
        assert theval.final_score(values, table[0]) == pytest.approx(float(final), rel=1e-9)
        near = [theval.closeness(values[name], table[0][name]) for name in values]
        np.testing.assert_allclose(near, normalised, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", ["case1_30x30x1", "case2_25x40x8"])
def test_soft_dtw(case: str) -> None:
    held = load(f"softdtw/{case}")
    a, b = held["a"].astype(np.float64), held["b"].astype(np.float64)
    for gamma, value, own in zip(held["gammas"], held["tslearn"], held["tslearn_self"], strict=True):
        assert warping.soft_dtw(a, b, float(gamma)) == pytest.approx(float(value), rel=1e-9)
        assert warping.soft_dtw(a, a, float(gamma)) == pytest.approx(float(own), rel=1e-9, abs=1e-12)
    for gamma, value in zip(held["gammas"], held["pysdtw"], strict=True):
        assert warping.soft_dtw(a, b, float(gamma)) == pytest.approx(float(value), rel=1e-6)


@pytest.mark.parametrize("case", ["case1_mtm", "case2_mtm_lag", "case3_mtm_flat"])
def test_mtm(case: str) -> None:
    held = load(f"mtm_slcc/{case}")
    found = warping.mtm(held["pred_opening"], held["gt_opening"])
    assert found.deltas == tuple(held["deltas"].tolist())
    assert (np.nan if found.mean is None else found.mean) == pytest.approx(float(held["mtm_frames"]), nan_ok=True)
    cost, path = warping.derivative_dtw(held["gt_smooth"], held["pred_smooth"])
    assert cost == pytest.approx(float(held["ddtw_distance"]), rel=1e-9)
    assert np.array_equal(path, held["ddtw_path"])


@pytest.mark.parametrize("case", ["case4_slcc", "case5_slcc_constant_identity"])
def test_slcc(case: str) -> None:
    held = load(f"mtm_slcc/{case}")
    n, r, _ = held["n_r_p_overall_then_levels_in_order_met"][0]
    names = [str(row[0]) for row in held["identity_level_clip"]]
    assert intensity.slcc(names, held["lip"], held["speech"]) == (pytest.approx(float(r), rel=1e-9), int(n))


def test_intensities() -> None:
    held = load("mtm_slcc/case6_intensity")
    place = {int(v): k for k, v in enumerate(held["unique_vertices"])}
    points = held["unique_points"][:, [place[int(v)] for v in held["mouth_map"]]]
    assert intensity.lip_intensity(points) == pytest.approx(float(held["lip_intensity"]), rel=1e-9)
    assert intensity.speech_intensity(held["pcm16"]) == pytest.approx(float(held["rms_mono_float"]), rel=1e-9)
    assert float(held["rms_mono_as_run"]) < 0.1 * float(held["rms_mono_float"]), "the public code overflows"


@pytest.mark.parametrize("case", ["case1_lve_fdd", "case2_longer_pred"])
def test_lve_and_fdd(case: str) -> None:
    held = load(f"lve_fdd_aue/{case}")
    real, mouth, upper = held["gt"], held["mouth_index"], held["upper_index"]
    gen = held["pred"][:, : real.shape[1]]
    errors = [vertices.lip_vertex_error(a[:, mouth], b[:, mouth], squared=True) for a, b in zip(gen, real, strict=True)]
    assert np.concatenate(errors).mean() == pytest.approx(float(held["lve_codetalker"]), rel=1e-9)
    assert errors[0].mean() == pytest.approx(float(held["lve_torchmetrics_seq0"]), rel=1e-9)
    plain = vertices.lip_vertex_error(gen[0][:, mouth], real[0][:, mouth])
    np.testing.assert_allclose(plain**2, errors[0], rtol=1e-12)
    found = [vertices.fdd(a[:, upper], b[:, upper], held["template"][upper]) for a, b in zip(gen, real, strict=True)]
    np.testing.assert_allclose(found, held["fdd_per_sequence"], rtol=1e-9)
    assert np.mean(found) == pytest.approx(float(held["fdd_codetalker"]), rel=1e-9)


def test_action_units() -> None:
    held = load("lve_fdd_aue/case4_aue")
    assert [int(name[2:4]) for name in held["au"]] == list(action_units.UNITS)
    parts = {"aue_all": action_units.UNITS, "aue_l": action_units.LOWER, "aue_u": action_units.UPPER}
    for name, units in parts.items():
        value = action_units.action_unit_error(held["generated"], held["gt"], units)
        assert value == pytest.approx(float(held[name]), rel=1e-9)


def test_action_units_of_unequal_length_cut_by_hand() -> None:
    """The public code drops the longer file's end silently; here the caller must."""
    held = load("lve_fdd_aue/case5_aue_unequal")
    with pytest.raises(ValueError, match="must both be"):
        action_units.action_unit_error(held["generated"], held["gt"], action_units.LOWER)
    cut = held["generated"][: len(held["gt"])]
    for name, units in (("aue_l", action_units.LOWER), ("aue_u", action_units.UPPER)):
        assert action_units.action_unit_error(cut, held["gt"], units) == pytest.approx(float(held[name]), rel=1e-9)


def check_voice(held: dict[str, Any]) -> None:
    samples = held["pcm16"].astype(np.float32) / 32768
    found = voice.probabilities(samples)
    np.testing.assert_allclose(found, held["probs_onnx"], atol=1e-4)
    np.testing.assert_allclose(found, held["probs_jit"], atol=1e-4)
    assert np.array_equal(voice.segments(found, len(samples)), held["timestamps"])
    assert np.array_equal(voice.segments(found, len(samples), 0.3), held["timestamps_threshold03"])
    assert np.array_equal(found, voice.probabilities(samples))


@silero
@pytest.mark.parametrize("case", ["case1_synthetic", "case3_short_silence"])
def test_voice_activity(case: str) -> None:
    check_voice(load(f"silero_vad/{case}"))


@silero
def test_voice_activity_of_a_real_clip(data: Path) -> None:
    check_voice(load("silero_vad/case2_grid_bbaf2n", data / "golden"))
