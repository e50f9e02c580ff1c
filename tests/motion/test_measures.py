"""What the measures must do whatever they are given: known answers, symmetries, refusals."""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.errors import InputError, MetricError
from lipsync_eval.features import voice
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.motion.measures import action_units, eyes, intensity, theval, vertices, warping
from lipsync_eval.metrics.motion.measures.pose import DEPTH, head_angles
from lipsync_eval.metrics.motion.slcc import identity_of


def series(n: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim))


def all_paths(n: int, m: int) -> list[list[tuple[int, int]]]:
    """Every monotone path from (0, 0) to (n - 1, m - 1)."""
    if (n, m) == (1, 1):
        return [[(0, 0)]]
    before = [(n - a, m - b) for a, b in ((1, 0), (0, 1), (1, 1)) if n - a >= 1 and m - b >= 1]
    return [[*path, (n - 1, m - 1)] for size in before for path in all_paths(*size)]


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 4), m=st.integers(1, 4), seed=st.integers(0, 99), gamma=st.sampled_from([0.01, 0.3, 2.0]))
def test_soft_dtw_is_the_soft_minimum_over_all_paths(n: int, m: int, seed: int, gamma: float) -> None:
    a, b = series(n, 2, seed), series(m, 2, seed + 1)
    costs = np.array([sum(float(np.square(a[i] - b[j]).sum()) for i, j in path) for path in all_paths(n, m)])
    expected = costs.min() - gamma * np.log(np.exp((costs.min() - costs) / gamma).sum())
    assert warping.soft_dtw(a, b, gamma) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert warping.soft_dtw(b, a, gamma) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan")])
def test_soft_dtw_refuses(gamma: float) -> None:
    with pytest.raises(InputError, match="gamma must be above 0"):
        warping.soft_dtw(series(3, 1, 0), series(3, 1, 1), gamma)
    with pytest.raises(InputError, match="one dimension"):
        warping.soft_dtw(series(3, 1, 0), series(3, 2, 1), 1.0)
    with pytest.raises(InputError, match="too long to align"):
        warping.derivative_dtw(np.zeros(6001), np.zeros(5))
    with pytest.raises(InputError, match="finite"):
        warping.soft_dtw(np.full((3, 1), np.nan), series(3, 1, 1), 1.0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 200), late=st.integers(0, 4))
def test_mtm_finds_how_late_lips_are(seed: int, late: int) -> None:
    """The same openings `late` frames later are about that many frames apart; 0 for equal ones."""
    walk = np.convolve(np.random.default_rng(seed).normal(size=240), np.ones(9) / 9, "valid")
    found = warping.mtm(walk[20 : 20 + 150], walk[20 + late : 20 + late + 150])
    assert found.mean is not None and abs(found.mean - late) <= 0.6


def test_dynamics_do_not_see_what_they_should_not() -> None:
    rng = np.random.default_rng(0)
    lips = rng.normal(size=(20, 6, 2)) * 3 + 100
    moved = lips + rng.normal(size=(20, 1, 2)) * 50
    assert theval.lip_dynamics(moved) == pytest.approx(theval.lip_dynamics(lips))
    assert theval.lip_dynamics(np.repeat(lips[:1], 9, axis=0)) < 1e-12
    gap = lips.copy()
    gap[5:8] = np.nan
    assert theval.lip_dynamics(gap) == pytest.approx(theval.lip_dynamics(np.delete(lips, [5, 6, 7], axis=0)))


def test_silences_of_300_ms_count() -> None:
    speech = np.ones(60, bool)
    speech[10:17] = speech[30:38] = speech[57:] = False
    silent = theval.silent_frames(speech, 25)
    assert np.flatnonzero(silent).tolist() == list(range(30, 38))


def test_closeness_needs_a_real_value() -> None:
    with pytest.raises(InputError, match="divides by the real"):
        theval.closeness(1.0, 0.0)
    with pytest.raises(InputError, match="same metrics"):
        theval.final_score({"a": 1.0}, {"b": 1.0})
    assert theval.final_score({"a": 3.0}, {"a": 1.0}) == -1.0


def blinking(closed: list[int], n: int = 100) -> np.ndarray:
    ratio = np.full(n, 0.3) + 0.005 * np.sin(np.arange(n))
    ratio[closed] = 0.12
    return ratio


def test_blinks_are_counted_by_length() -> None:
    assert eyes.blinks(blinking([])).tolist() == []
    assert eyes.blinks(blinking([30, 31, 32, 70, 71])).tolist() == [30, 70]
    assert eyes.blinks(blinking([30])).tolist() == [], "one frame is jitter"
    assert eyes.blinks(blinking(list(range(40, 55)))).tolist() == [], "0.6 s is no blink"
    holes = blinking([30, 31, 32])
    holes[31] = np.nan
    assert eyes.blinks(holes).tolist() == []


def test_eye_aspect_ratio_has_no_size() -> None:
    points = synthetic_pair(10).gen.track.points  # type: ignore[union-attr]
    np.testing.assert_allclose(eyes.eye_aspect_ratio(points * 3 + 7), eyes.eye_aspect_ratio(points))


def test_head_angles_of_a_turned_face() -> None:
    from lipsync_eval.features.mouth_mel import shipped
    from lipsync_eval.features.style.points import RIGID

    face = np.zeros((68, 3))
    face[:, :2] = shipped().mean_face
    face[list(RIGID), 2] = DEPTH

    def turn(axis: int, degrees: float) -> np.ndarray:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        out = np.eye(3)
        out[i, i] = out[j, j] = c
        out[i, j], out[j, i] = -s, s
        return out

    for angles in ((0, 0, 0), (12, 0, 0), (0, -25, 0), (0, 0, 15), (10, 20, -5)):
        pitch, yaw, roll = angles
        seen = (face @ (turn(2, roll) @ turn(1, yaw) @ turn(0, pitch)).T)[:, :2] * 90 + 300
        np.testing.assert_allclose(head_angles(seen[None])[0], angles, atol=0.05)


def test_slcc_leaves_out_lone_clips() -> None:
    names, lips, speech = ["a", "a", "a", "b"], np.array([1.0, 2, 3, 9]), np.array([2.0, 4, 6, 1])
    assert intensity.slcc(names, lips, speech) == (pytest.approx(1.0), 3)
    value, used = intensity.slcc(["a"], np.ones(1), np.ones(1))
    assert np.isnan(value) and used == 0


@pytest.mark.parametrize(("rule", "name"), [("one", ""), ("prefix", "M003"), ("folder", "set/x")])
def test_identities(rule: str, name: str) -> None:
    assert identity_of("set/x/M003_happy_001", rule) == name


def test_lengths_that_differ_are_refused_not_cut() -> None:
    """torchmetrics cuts both to the shorter; a metric must not."""
    a = np.zeros((5, 3, 3))
    with pytest.raises(InputError, match="one shape"):
        vertices.lip_vertex_error(a, a[:4])
    with pytest.raises(InputError, match="one shape"):
        vertices.fdd(a, a[:4], a[0])


@pytest.mark.parametrize("text", ["", "1, x", "7", "-1", "1.5"])
def test_region_files(text: str) -> None:
    with pytest.raises(InputError):
        vertices.read_indices(text, 7)
    assert vertices.read_indices("0, 6\n3 ", 7).tolist() == [0, 6, 3]


HEAD = "frame, face_id, timestamp, confidence, success, " + ", ".join(f"AU{u:02d}_r" for u in action_units.UNITS)


def openface(path: Path, rows: list[list[object]], head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *(", ".join(map(str, row)) for row in rows)]) + "\n")
    return path


def row(frame: int, value: float = 1.0, face: int = 0, success: int = 1) -> list[object]:
    return [frame, face, 0.04 * frame, 0.9, success, *[value] * len(action_units.UNITS)]


def test_openface_is_read(tmp_path: Path) -> None:
    found = action_units.read_openface(openface(tmp_path / "a.csv", [row(1), row(2, 2.5, success=0), row(3, 0.25)]))
    assert np.isnan(found[1]).all() and (found[0] == 1).all() and (found[2] == 0.25).all()
    bare = openface(tmp_path / "b.csv", [row(1)], HEAD.replace(" ", ""))
    assert action_units.read_openface(bare).shape == (1, 17)


@pytest.mark.parametrize(
    ("rows", "head", "why"),
    [
        ([], HEAD, "no row"),
        ([row(1), row(3)], HEAD, "row 2 is frame 3"),
        ([row(1), row(1, face=1)], HEAD, "row 2 is frame 1"),
        ([row(1, face=1)], HEAD, "several faces"),
        ([row(1)[:-1]], HEAD, "row 1 has 21 columns"),
        ([[*row(1)[:-1], "x"]], HEAD, "holds no number"),
        ([[*row(1)[:-1], "nan"]], HEAD, "not finite"),
        ([row(1)], HEAD.replace("AU45_r", "AU45_c"), "no column AU45_r"),
    ],
)
def test_openface_faults_are_named(tmp_path: Path, rows: list[list[object]], head: str, why: str) -> None:
    with pytest.raises(MetricError, match=why):
        action_units.read_openface(openface(tmp_path / "a.csv", rows, head))


@settings(deadline=None, max_examples=60)
@given(junk=st.binary(max_size=200))
def test_openface_survives_junk(junk: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("junk") / "a.csv"
    path.write_bytes(HEAD.encode() + b"\n" + junk)
    with pytest.raises(MetricError):
        action_units.read_openface(path)


@settings(deadline=None, max_examples=100)
@given(found=st.lists(st.floats(0, 1, width=32), max_size=80), threshold=st.sampled_from([0.1, 0.3, 0.5]))
def test_segments_lie_in_order_within_the_audio(found: list[float], threshold: float) -> None:
    n = len(found) * voice.WINDOW - (100 if found else 0)
    out = voice.segments(np.array(found), n, threshold)
    edges = out.ravel().tolist()
    assert edges == sorted(edges) and all(0 <= e <= n for e in edges)
    assert all(stop - start > 4000 - 2 for start, stop in out.tolist())
    assert all(b <= c for (_, b), (c, _) in itertools.pairwise(out.tolist()))


@pytest.mark.skipif(find_spec("silero_vad") is None, reason="silero-vad is not installed")
def test_voice_does_not_import_the_package_and_remembers_nothing() -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from lipsync_eval.features import voice\n"
        "x = np.random.default_rng(0).normal(size=9000).astype(np.float32) * 0.1\n"
        "a = voice.probabilities(x); voice.probabilities(x[::-1].copy()); b = voice.probabilities(x)\n"
        "print('silero_vad' in sys.modules, (a == b).all(), voice.signature())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["False", "True"] and done.stdout.split()[2].startswith("silero@")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from lipsync_eval.errors import MissingWeights

    monkeypatch.setattr(voice, "find_spec", lambda name: None)
    with pytest.raises(MissingWeights, match="pip install 'silero-vad"):
        voice.model()
