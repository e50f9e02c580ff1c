"""Expression from 68 points, the statistics of it, and the constants they are standardised with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from golden.synthetic_inputs import face68, place, track68
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval.errors import InputError, ParseError, UsageError
from lipsync_eval.features.blendshapes import LIP, NAMES
from lipsync_eval.features.style import constants as style_constants
from lipsync_eval.features.style.code import cosine, moments, standardise, statistics, window_codes
from lipsync_eval.features.style.compare import halves
from lipsync_eval.features.style.constants import StyleConstants, build, load, read, shipped, write
from lipsync_eval.features.style.corpus import Recording, Sequence52or68
from lipsync_eval.features.style.points import MOVING, PoseModel, expression, learn_mean_face, smooth
from lipsync_eval.types import Settings

MODEL = shipped("points68").pose
ALL = np.arange(40)


def talking(seed: int, talk: float, n: int = 160) -> tuple[np.ndarray, np.ndarray]:
    return track68(seed, n, talk=talk), np.arange(n)


class TestExpression:
    """What is taken out, and what is left."""

    @settings(max_examples=20, deadline=None)
    @given(size=st.floats(0.3, 4), angle=st.floats(-40, 40), x=st.floats(-300, 300), y=st.floats(-300, 300))
    def test_position_size_and_roll(self, size: float, angle: float, x: float, y: float) -> None:
        assert MODEL is not None
        points = track68(3, 40)
        moved = np.stack([place(p, (x, y), size, angle) for p in points])
        np.testing.assert_allclose(expression(moved, ALL, MODEL), expression(points, ALL, MODEL), atol=1e-9)

    def test_the_resting_face(self) -> None:
        """A face with another chin and wider mouth, moving alike, gives the same expression."""
        assert MODEL is not None
        still = PoseModel(MODEL.mean_face, np.zeros_like(MODEL.basis), np.zeros_like(MODEL.response))
        opening = np.abs(np.sin(np.arange(40) / 3)) * 0.06
        points = np.stack([place(face68(mouth_open=m), (128, 120), 200) for m in opening])
        other = points + np.where(np.isin(np.arange(68), MOVING)[:, None], [3.0, 5.0], 0.0)
        np.testing.assert_allclose(expression(other, ALL, still), expression(points, ALL, still), atol=1e-9)
        assert expression(points, ALL, still).std() > 1e-3

    def test_a_turning_head_weighs_less_with_the_pose_model(self) -> None:
        """A still mouth on a head that turns: what similarity alone leaves, the learned response takes out."""
        yaw = 0.25 * np.sin(np.arange(40) / 6)
        points = np.stack([place(face68(yaw=y), (128, 120), 200) for y in yaw])
        learned = style_constants.learn_pose([(points[:20], ALL[:20]), (points[10:], ALL[10:])])
        without = PoseModel(learned.mean_face, np.zeros_like(learned.basis), learned.response)
        assert expression(points, ALL, learned).std() < 0.3 * expression(points, ALL, without).std()

    def test_smoothing_does_not_reach_across_gaps(self) -> None:
        x = np.arange(12.0)[:, None]
        index = np.array([0, 1, 2, 3, 4, 5, 20, 21, 22, 23, 24, 25])
        both = smooth(x, index)
        np.testing.assert_allclose(both[:6], smooth(x[:6], index[:6]))
        np.testing.assert_allclose(both[6:], smooth(x[6:], index[6:]))
        assert (smooth(np.ones((5, 2)), np.arange(5)) == 1).all()

    def test_wrong_input(self) -> None:
        assert MODEL is not None
        points = track68(1, 10)
        with pytest.raises(InputError, match="68, 2"):
            expression(points[:, :60], np.arange(10), MODEL)
        with pytest.raises(InputError, match="NaN"):
            expression(np.where(np.arange(10)[:, None, None] == 4, np.nan, points), np.arange(10), MODEL)

    def test_mean_face_is_upright_and_of_unit_eye_distance(self) -> None:
        face = learn_mean_face([np.stack([place(p, (50, 60), 0.7, 25) for p in track68(k, 20)]) for k in range(3)])
        eyes = face[42:48].mean(0) - face[36:42].mean(0)
        np.testing.assert_allclose(eyes, [1, 0], atol=1e-9)
        assert face[8, 1] > face[30, 1], "y down"


class TestStatistics:
    """mean, log std, log speed."""

    def test_by_hand(self) -> None:
        x = np.array([[0.0], [1.0]] * 6)
        v = np.array([1.0, -1.0] * 6)[:11]
        expected = [0.5, np.log(1e-3 + 0.5), np.log(1e-3 + 1.0), np.log(1e-3 + v.std())]
        np.testing.assert_allclose(statistics(x, np.arange(12)), expected)

    def test_velocity_only_between_neighbours(self) -> None:
        x = np.concatenate([np.zeros((10, 1)), np.full((10, 1), 50.0)])
        gap = np.concatenate([np.arange(10), np.arange(30, 40)])
        np.testing.assert_allclose(statistics(x, gap)[2:], np.log(1e-3))
        assert statistics(x, np.arange(20))[2] > 0

    def test_too_little(self) -> None:
        with pytest.raises(InputError, match="at least 10 frames"):
            statistics(np.zeros((9, 2)), np.arange(9))
        with pytest.raises(InputError, match="consecutive"):
            statistics(np.zeros((12, 2)), np.arange(0, 24, 2))
        with pytest.raises(InputError, match="NaN"):
            statistics(np.full((12, 2), np.nan), np.arange(12))

    def test_dimensions_that_never_vary_count_nothing(self) -> None:
        z = standardise(np.array([3.0, 5.0]), np.array([1.0, 1.0]), np.array([2.0, 0.0]))
        np.testing.assert_array_equal(z, [1.0, 0.0])
        assert cosine(np.zeros(3), np.ones(3)) == 0.0 and cosine(np.ones(3), np.ones(3)) == pytest.approx(1)

    def test_every_speaker_counts_the_same(self) -> None:
        mean, std = moments([np.zeros((100, 1)), np.full((1, 1), 2.0)])
        assert (mean, std) == (1.0, 1.0)
        with pytest.raises(InputError, match="2 speakers"):
            moments([np.zeros((3, 1))])

    def test_windows(self) -> None:
        x = np.random.default_rng(0).normal(size=(230, 2))
        assert window_codes(x, np.arange(230)).shape == (3, 8)
        assert window_codes(x[:60], np.arange(60)).shape == (1, 8)


class TestConstants:
    """The shipped files and a user's own."""

    @pytest.mark.parametrize("features", style_constants.FEATURES)
    def test_shipped(self, features: str) -> None:
        held = shipped(features)
        assert held.features == features and "15 speakers" in held.provenance and len(held.digest) == 8
        assert (held.std >= 0).all() and (held.std > 1e-4).mean() > 0.8

    def test_the_blendshapes_of_speech(self) -> None:
        assert len(NAMES) == 52 and {NAMES[i][:3] for i in LIP} == {"jaw", "mou", "che"}

    def test_written_and_read(self, tmp_path: Path) -> None:
        built = build("points68", {f"s{k}": [talking(k, 0.5 + k)] for k in range(4)}, "drawn faces")
        write(built, tmp_path / "a.json")
        again = read(tmp_path / "a.json")
        np.testing.assert_allclose(again.mean, built.mean, rtol=1e-5, atol=1e-9)
        assert again.pose is not None and again.provenance == "drawn faces"
        settings = Settings(options={"style_constants.points68": str(tmp_path / "a.json")})
        assert load(settings, "points68").digest == again.digest != shipped("points68").digest
        with pytest.raises(UsageError, match="not of blendshapes"):
            load(Settings(options={"style_constants.blendshapes": str(tmp_path / "a.json")}), "blendshapes")
        with pytest.raises(UsageError, match="no such file"):
            load(Settings(options={"style_constants.points68": "nowhere.json"}), "points68")

    @pytest.mark.parametrize(
        "change", [{"version": 2}, {"code_mean": [1.0]}, {"code_std": ["a"]}, {"pose": {}}, {"features": "hands"}]
    )
    def test_malformed(self, change: dict[str, object], tmp_path: Path) -> None:
        place_ = Path(str(style_constants.files("lipsync_eval.features.style").joinpath("points68.json")))
        (tmp_path / "a.json").write_text(json.dumps(json.loads(place_.read_text()) | change))
        with pytest.raises(ParseError, match=r"a\.json"):
            read(tmp_path / "a.json")


class TestHalves:
    """Speakers are told apart, with constants that have not seen them."""

    def sequences(self) -> list[Sequence52or68]:
        """Six speakers, each of whom moves the mouth in a way of his or her own."""
        out = []
        for k in range(6):
            rng = np.random.default_rng(k)
            t = np.arange(160)
            points = np.stack([place(face68(mouth_open=m), (128, 120), 200) for m in 0.02 * (1 + np.sin(0.7 * t))])
            points[:, MOVING] += 4 * np.sin(0.9 * t + k)[:, None, None] * rng.standard_normal((len(MOVING), 2))
            points += 0.2 * rng.standard_normal(points.shape)
            out.append(Sequence52or68(Recording(f"c{k}", f"s{k}", Path()), points, t))
        return out

    def test_own_half_is_nearer(self) -> None:
        found = halves("points68", self.sequences())
        assert found.matrix.shape == (6, 6) and found.within > found.between + 0.2
        assert 0 <= found.ranked_first <= 1

    def test_the_constants_leave_out_who_is_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []
        original = style_constants.build

        def spy(features: str, speakers: dict[str, list[object]], provenance: str) -> StyleConstants:
            asked.append(frozenset(speakers))
            return original(features, speakers, provenance)  # type: ignore[arg-type]

        monkeypatch.setattr("lipsync_eval.features.style.compare.build", spy)
        halves("points68", self.sequences()[:4])
        everyone = frozenset(f"s{k}" for k in range(4))
        assert {everyone - a for a in asked} == {frozenset({f"s{i}", f"s{j}"}) for i in range(4) for j in range(i, 4)}

    def test_too_few(self) -> None:
        with pytest.raises(InputError, match="at least 4"):
            halves("points68", self.sequences()[:3])
