"""Landmark distances against ATVGnet's, ER-NeRF's, EAT's and vico's code, and their meaning."""

from __future__ import annotations

import numpy as np
import pytest
from golden.synthetic_inputs import track68
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.pictures import GOLDEN

from lipsync_eval import lmd
from lipsync_eval.errors import InputError
from lipsync_eval.metrics.lmd import MOUTH, f_lmd, landmark_distance, lmd_atvg_sum, lmd_centered, lmd_norm

ALL = (lmd, lmd_centered, lmd_norm, f_lmd, lmd_atvg_sum)


def golden(case: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "lmd" / f"{case}.npz") as file:
        return {name: file[name] for name in file.files}


def seen(g: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of both videos with NaN where a frame has no face, as float64."""
    points = [g[side + name].astype(np.float64) for side in ("gen", "gt")]
    for x, gone in zip(points, (g["missing_gen"], g["missing_gt"])):
        x[gone] = np.nan
    return points[0], points[1]


@pytest.mark.parametrize("case", ["case1_equal_nomiss", "case2_missing"])
def test_atvgnet(case: str) -> None:
    g = golden(case)
    values = lmd_atvg_sum(*seen(g, "_int"))
    assert isinstance(values, np.ndarray)
    assert list(np.flatnonzero(np.isfinite(values))) == list(g["atvg_frames"])
    np.testing.assert_allclose(values[g["atvg_frames"]], g["atvg_per_frame"], rtol=1e-9)
    assert np.nanmean(values) == pytest.approx(float(g["atvg_int"]), rel=1e-9)


@pytest.mark.parametrize("case", ["case1_equal_nomiss", "case2_missing"])
def test_er_nerf(case: str) -> None:
    """It ignores missing flags, and centres the face variant too."""
    g = golden(case)
    mouth = lmd_centered(g["gen"], g["gt"])
    np.testing.assert_allclose(mouth, g["ernerf_mouth_per_frame"], rtol=0, atol=1e-4)
    assert np.mean(mouth) == pytest.approx(float(g["ernerf_mouth"]), abs=1e-5)
    face = landmark_distance(g["gen"], g["gt"], centred=True)
    np.testing.assert_allclose(face, g["ernerf_face_per_frame"], rtol=0, atol=1e-4)
    assert np.mean(face) == pytest.approx(float(g["ernerf_face"]), abs=1e-5)


@pytest.mark.parametrize("case", ["case1_equal_nomiss", "case2_missing"])
def test_eat(case: str) -> None:
    """M-LMD and F-LMD; the lengths are equal, so its own matching of lengths takes frame for frame."""
    g = golden(case)
    gen, gt = seen(g, "_int")
    m_lmd, _, face, _ = g["eat_mlmd_mlvd_flmd_flvd_int"]
    assert np.nanmean(lmd_centered(gen, gt)) == pytest.approx(m_lmd, rel=1e-9)
    assert np.nanmean(landmark_distance(gen, gt, centred=True)) == pytest.approx(face, rel=1e-9)


@pytest.mark.parametrize("case", ["case1_equal_nomiss", "case2_missing"])
def test_vico_is_another_norm(case: str) -> None:
    """vico averages |dx| and |dy|: between half and 1/sqrt(2) of the Euclidean distance, so it is not offered under this name."""
    g = golden(case)
    there = ~g["missing_gt"]
    gen, gt = g["gen"][there].astype(np.float64), g["gt"][there].astype(np.float64)
    assert np.abs(gen[:, MOUTH] - gt[:, MOUTH]).mean() == pytest.approx(float(g["vico_l1"]), rel=1e-6)
    assert 0.5 <= float(g["vico_l1"]) / np.mean(lmd(gen, gt)) <= 1 / np.sqrt(2)


def face(seed: int = 0, n: int = 6) -> np.ndarray:
    return track68(seed, n)


@pytest.mark.parametrize("function", ALL)
def test_equal_landmarks_have_0(function: object) -> None:
    assert callable(function)
    assert not np.any(function(face(), face()))


def test_moved_by_4_px() -> None:
    gt = np.round(face())  # whole pixels: nothing is rounded in between
    for step in ((4, 0), (0, -4)):
        assert np.all(lmd(gt + step, gt) == 4.0)
        assert np.all(f_lmd(gt + step, gt) == 4.0)
        assert not np.any(lmd_centered(gt + step, gt))
    assert np.allclose(lmd(np.add(face(), (4 * 0.6, 4 * 0.8)), face()), 4.0, rtol=1e-12)
    assert np.allclose(lmd_norm(np.add(gt, (4, 0)), gt), 4 / np.hypot(*(gt[:, 45] - gt[:, 36]).T), rtol=1e-12)


def test_only_the_lips_count() -> None:
    gt = face()
    moved = gt.copy()
    moved[:, :48] += 7
    assert not np.any(lmd(moved, gt)) and not np.any(lmd_centered(moved, gt))
    assert np.all(np.asarray(f_lmd(moved, gt)) > 4)


points = arrays(np.float64, (3, 68, 2), elements=st.floats(-500, 500))


@settings(max_examples=40, deadline=None)
@given(points, points, st.floats(0.1, 10), st.floats(0, 6.3), st.tuples(st.floats(-99, 99), st.floats(-99, 99)))
def test_invariances(gen: np.ndarray, gt: np.ndarray, scale: float, angle: float, shift: tuple[float, float]) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    a, b = gen @ turn.T + shift, gt @ turn.T + shift
    for function in (lmd, lmd_centered, f_lmd, lmd_atvg_sum):
        np.testing.assert_allclose(function(a, b), scale * np.asarray(function(gen, gt)), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(function(gen, gt), function(gt, gen), rtol=1e-9)
    np.testing.assert_allclose(lmd_centered(gen + shift, gt), lmd_centered(gen, gt), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(lmd_atvg_sum(gen, gt), 20 * np.asarray(lmd_centered(gen, gt)), rtol=1e-9)
    assert np.all(np.asarray(lmd_centered(gen, gt)) <= 2 * np.asarray(lmd(gen, gt)) + 1e-9)
    np.testing.assert_allclose(lmd(gen, gt), landmark_distance(gen[:, MOUTH], gt[:, MOUTH]), rtol=1e-12)


def test_norm_does_not_depend_on_scale() -> None:
    gen, gt = face(1), face(2)
    np.testing.assert_allclose(lmd_norm(gen * 3.7, gt * 3.7), lmd_norm(gen, gt), rtol=1e-12)
    gt[2, 45] = gt[2, 36]
    assert np.flatnonzero(np.isnan(lmd_norm(gen, gt))).tolist() == [2]


@pytest.mark.parametrize("function", ALL)
def test_missing_frames_are_nan_and_single_frames_floats(function: object) -> None:
    assert callable(function)
    gen, gt = face(1), face(2)
    whole = function(gen, gt)
    gen[1], gt[4, 60, 0] = np.nan, np.nan
    values = function(gen, gt)
    assert values.shape == (6,) and values.dtype == np.float64
    expected = {lmd: [1, 4], lmd_norm: [1, 4], f_lmd: [1, 4], lmd_centered: [1, 4], lmd_atvg_sum: [1, 4]}[function]
    assert np.flatnonzero(np.isnan(values)).tolist() == expected
    np.testing.assert_array_equal(values[[0, 2, 3, 5]], whole[[0, 2, 3, 5]])
    assert type(function(gen[0], gt[0])) is float and function(gen[0], gt[0]) == values[0]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (
            np.zeros((6, 20, 2)),
            r"\(T, 68, 2\) or \(68, 2\), got \(6, 20, 2\); for other sets of points use landmark_distance",
        ),
        (np.zeros((6, 68, 3)), r"got \(6, 68, 3\)"),
        (np.zeros(68), r"got \(68,\)"),
        (np.zeros((5, 68, 2)), r"must have one shape, got \(5, 68, 2\) and \(6, 68, 2\)"),
        (np.full((6, 68, 2), np.inf), "mark missing landmarks with NaN"),
        ([["a", "b"]] * 68, "must be numbers"),
    ],
)
def test_wrong_input(bad: object, says: str) -> None:
    for function in ALL:
        with pytest.raises(InputError, match=says):
            function(bad, np.zeros((6, 68, 2)))  # type: ignore[arg-type]
