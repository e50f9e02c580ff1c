"""The motion families on drawn pairs and on files beside clips: values, gaps, failures, pooling, options, signatures."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lipsync_eval
from lipsync_eval import check_metric
from lipsync_eval.errors import MetricError, UsageError
from lipsync_eval.metrics.base import Family, Measurement
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.motion.blinks import Blinks
from lipsync_eval.metrics.motion.efid import EfidDeep3d
from lipsync_eval.metrics.motion.files import ActionUnits, VertexErrors
from lipsync_eval.metrics.motion.landmarks import LandmarkErrors
from lipsync_eval.metrics.motion.measures.action_units import UNITS
from lipsync_eval.metrics.motion.slcc import Slcc
from lipsync_eval.metrics.motion.theval import METRICS, Theval
from lipsync_eval.metrics.motion.timing import Timing
from lipsync_eval.settings import Settings
from lipsync_eval.types import Pair, Side

silero = pytest.mark.skipif(find_spec("silero_vad") is None, reason="silero-vad is not installed")


def run(family: type[Family], pair: Pair, *metrics: str, **options: str) -> Measurement:
    names = frozenset(metrics or (s.name for s in family.specs))
    return family(Settings(options=options), names).start(pair).finish()


def changed(pair: Pair, points: np.ndarray) -> Pair:
    """The pair whose generated landmarks are these."""
    track = pair.gen.track
    assert track is not None
    return replace(pair, gen=replace(pair.gen, track=replace(track, points=points)))


def points(pair: Pair) -> np.ndarray:
    assert pair.gen.track is not None
    return pair.gen.track.points.copy()


def test_akd_and_lve_of_a_known_shift() -> None:
    pair = synthetic_pair(30, 128)
    moved = points(pair) + np.array([3.0, -1.0])
    moved[:, 50] += [3.0, 5.0]
    found = run(LandmarkErrors, changed(pair, moved), "akd", "lve")
    assert found.values["akd"] == pytest.approx(2 * (4.0 * 67 + (6.0 + 4.0)) / (2 * 68)), "crop of 128 px at 256"
    assert found.values["lve"] == pytest.approx(2 * np.hypot(6.0, 4.0))


def test_fdd_has_the_sign_of_the_paper() -> None:
    pair = synthetic_pair(50, 64)
    still = points(pair)
    still[:, 17:27] = still[:, 17:27].mean(axis=0)
    assert run(LandmarkErrors, changed(pair, still), "fdd").values["fdd"] != 0.0
    quiet, lively = points(pair), points(pair)
    lively[::2, 17:27] += [0.0, 4.0]
    assert run(LandmarkErrors, changed(pair, quiet), "fdd").values["fdd"] == 0.0
    value = run(LandmarkErrors, changed(pair, lively), "fdd").values["fdd"]
    assert value is not None and value < 0, "more motion than the real face"


def test_blinks_beside_the_real_rate() -> None:
    pair = synthetic_pair(100, 64)
    blinking = points(pair)
    for eye in (36, 42):
        middle = blinking[40:44, eye : eye + 6].mean(axis=1, keepdims=True)
        shut = blinking[40:44, eye : eye + 6]
        shut[..., 1] = middle[..., 1] + 0.2 * (shut[..., 1] - middle[..., 1])
    found = run(Blinks, changed(pair, blinking))
    assert found.values == {"blink_rate": 15.0, "blink_error": 15.0} and found.gt_values == {"blink_rate": 0.0}
    with pytest.raises(MetricError, match="eyes were seen in 40 frames"):
        run(Blinks, synthetic_pair(40, 64))


def test_late_lips_cost_mtm_but_little_softdtw() -> None:
    pair = synthetic_pair(120, 64)
    late = points(pair)
    late[5:] = late[:-5].copy()
    other = points(synthetic_pair(120, 64, seed=5))
    found, wrong = run(Timing, changed(pair, late)), run(Timing, changed(pair, other))
    assert found.values["mtm"] == pytest.approx(5, abs=1)
    a, b, itself = (
        found.values["softdtw_mouth"],
        wrong.values["softdtw_mouth"],
        run(Timing, pair).values["softdtw_mouth"],
    )
    assert a is not None and b is not None and itself is not None and itself < 0
    assert a - itself < 0.3 * (b - itself)


def test_gaps_are_filled_and_told() -> None:
    found = run(Timing, synthetic_pair(60, 64, missing=[10, 11]))
    assert found.notes == [
        "mtm, softdtw_mouth: 2 of 60 frames of the generated video have no face and are filled by straight lines"
    ]
    with pytest.raises(MetricError, match="a mouth was seen in 20 frames of the generated video"):
        run(Timing, synthetic_pair(60, 64, missing=range(40)))


def test_still_lips_have_no_mtm() -> None:
    pair = synthetic_pair(60, 64)
    found = run(Timing, changed(pair, np.repeat(points(pair)[:1], 60, axis=0)), "mtm")
    assert found.values["mtm"] is None and "no opening or closing" in found.failures[0].message


def test_gamma_is_signed_where_it_counts_and_checked() -> None:
    family = Timing(Settings(options={"softdtw_gamma": "0.05"}), frozenset({"mtm", "softdtw_mouth"}))
    assert family.keys("softdtw_mouth")["gamma"] == "0.05" and "gamma" not in family.keys("mtm")
    with pytest.raises(UsageError, match="expected a number above 0"):
        Timing(Settings(options={"softdtw_gamma": "-1"}), frozenset({"mtm"})).check()
    values = [
        run(Timing, synthetic_pair(60, 64, jitter=1), "softdtw_mouth", softdtw_gamma=g).values["softdtw_mouth"]
        for g in ("0.0001", "0.05")
    ]
    assert values[0] > values[1]  # type: ignore[operator]


def test_slcc_pools_over_clips_and_identities() -> None:
    def state(lips: float, speech: float) -> dict[str, np.ndarray]:
        return {"lips": np.array(lips), "speech": np.array(speech)}

    states = [("a_1", state(1, 2)), ("a_2", state(2, 4)), ("b_1", state(90, 1)), ("b_2", state(80, 3))]
    one = Slcc(Settings(), frozenset({"slcc"})).pool("slcc", states)
    by_person = Slcc(Settings(options={"slcc_identity": "prefix"}), frozenset({"slcc"})).pool("slcc", states)
    assert one.value is not None and one.value < 0 and by_person.value == pytest.approx(0.0)
    assert by_person.details["identities"] == 2
    few = Slcc(Settings(), frozenset({"slcc"})).pool("slcc", states[:1])
    assert few.value is None and "0 of 1 clips" in few.notes[0]


@silero
def test_theval_names_what_cannot_be_measured() -> None:
    pair = synthetic_pair(30, 64)
    found = run(Theval, pair)
    assert found.values["lip_dynamics"] == found.gt_values["lip_dynamics"]
    assert found.values["silent_lip_stability"] is None and "silence of 300 ms" in found.failures[0].message
    mute = replace(pair, gen=replace(pair.gen, audio=None))
    assert {f.metric for f in run(Theval, mute).failures} == {"silent_lip_stability", "lip_sync_theval"}


@silero
def test_theval_score_leaves_out_clips_without_both_values() -> None:
    family = Theval(Settings(), frozenset({"theval_score"}))
    real = np.array([2.0, 0.1, 4.0, 0.02, 0.4])
    half = np.array([1.0, 0.1, 4.0, np.nan, 0.4])
    states = [("a", {"gen": half, "gt": real}), ("b", {"gen": real * 1.5, "gt": real})]
    found = family.pool("theval_score", states)
    closeness = found.details["closeness"]
    assert list(closeness) == list(METRICS)
    assert [closeness[name] for name in METRICS] == pytest.approx([1.0, 0.75, 0.75, 0.5, 0.75])
    assert found.value == pytest.approx(np.mean(list(closeness.values())))
    assert found.notes == ("theval_score: silent_lip_stability rests on 1 of 2 clips",)
    nothing = family.pool("theval_score", [("a", {"gen": half, "gt": real})])
    assert nothing.value is None and "no clip has silent_lip_stability" in nothing.notes[0]


@pytest.mark.parametrize("family", [LandmarkErrors, Slcc, pytest.param(Theval, marks=silero)])
def test_families_hold_what_check_metric_asks(family: type[Family]) -> None:
    assert check_metric(family).metrics == tuple(s.name for s in family.specs)


# files of the user's own


def beside(pair: Pair, folder: Path) -> Pair:
    """The same pair, its videos in a folder where files can lie beside them."""

    def side(old: Side, name: str) -> Side:
        return replace(old, clip=replace(old.clip, path=folder / name / "a.mp4"))

    for name in ("gen", "gt"):
        (folder / name).mkdir()
    return replace(pair, gen=side(pair.gen, "gen"), gt=side(pair.gt, "gt"))


def openface(path: Path, values: np.ndarray) -> None:
    head = "frame, face_id, success, " + ", ".join(f"AU{u:02d}_r" for u in UNITS)
    rows = [f"{i}, 0, 1, " + ", ".join(f"{x:.2f}" for x in row) for i, row in enumerate(values, 1)]
    path.write_text("\n".join([head, *rows]) + "\n")


def test_action_units_from_csv(tmp_path: Path) -> None:
    pair = beside(synthetic_pair(20, 32), tmp_path)
    real = np.random.default_rng(0).uniform(0, 5, (20, 17)).round(2)
    openface(tmp_path / "gt" / "a.csv", real)
    with pytest.raises(MetricError, match=r"generated video: there is no 'a\.csv' beside the video"):
        run(ActionUnits, pair)
    gen = np.clip(real + 0.5, 0, 5.5)
    openface(tmp_path / "gen" / "a.csv", gen)
    found = run(ActionUnits, pair)
    assert found.values == {"aue_l": pytest.approx(9 * 0.25), "aue_u": pytest.approx(8 * 0.25)}
    openface(tmp_path / "gen" / "a.csv", gen[:-1])
    with pytest.raises(MetricError, match="has 19 rows, the clip 20 frames at 25 fps"):
        run(ActionUnits, pair)


def test_vertices_from_npz(tmp_path: Path) -> None:
    pair = beside(synthetic_pair(12, 32), tmp_path)
    rng = np.random.default_rng(0)
    template, real = rng.normal(size=(9, 3)), rng.normal(size=(12, 9, 3))
    gen = real.copy()
    gen[:, 2] += [0.3, 0.0, 0.4]
    for name, vertices in (("gen", gen), ("gt", real)):
        np.savez(tmp_path / name / "a.vertices.npz", vertices=vertices, template=template)
    (tmp_path / "lips.txt").write_text("1, 2, 3")
    (tmp_path / "upper.txt").write_text("5, 6")
    options = {"lip_vertices": str(tmp_path / "lips.txt"), "upper_vertices": str(tmp_path / "upper.txt")}
    found = run(VertexErrors, pair, **options)
    assert found.values == {"lve_vertices": pytest.approx(0.25), "fdd_vertices": 0.0}
    both = frozenset({"lve_vertices", "fdd_vertices"})
    family = VertexErrors(Settings(options=options), both)
    family.check()
    assert set(family.keys("lve_vertices")) == {"lip_vertices"} and set(family.keys("fdd_vertices")) == {
        "upper_vertices"
    }
    with pytest.raises(UsageError, match="give --option lip_vertices=FILE"):
        VertexErrors(Settings(), both).check()
    (tmp_path / "lips.txt").write_text("1, 99")
    with pytest.raises(MetricError, match=r"vertices 0\.\.8"):
        run(VertexErrors, pair, **options)


def test_efid_deep3d(tmp_path: Path) -> None:
    pair = beside(synthetic_pair(150, 16), tmp_path)
    rng = np.random.default_rng(0)
    real = rng.normal(size=(150, 64))
    for name, exp in (("gen", real + 0.5), ("gt", real)):
        np.savez(tmp_path / name / "a.deep3d.npz", exp=exp)
    family = EfidDeep3d(Settings(), frozenset({"efid_deep3d"}))
    found = family.start(pair).finish()
    pooled = family.pool("efid_deep3d", [("a", found.states["efid_deep3d"])])
    assert pooled.value == pytest.approx(64 * 0.25, rel=1e-6) and "below 1000" in pooled.notes[0]
    np.savez(tmp_path / "gen" / "a.deep3d.npz", exp=real[:, :50])
    with pytest.raises(MetricError, match=r"should hold exp \(150, 64\)"):
        family.start(pair).finish()


def test_user_file_metrics_are_left_out_of_all() -> None:
    from lipsync_eval.metrics.registry import get_spec, select

    mine = {"aue_l", "aue_u", "lve_vertices", "fdd_vertices", "efid_deep3d"}
    assert {get_spec(m).group for m in mine} == {"user-file"} and not mine & set(select("all"))
    assert {"efid_blendshapes", "softdtw_avhubert"} <= set(select("all"))
    assert {"mouth_mel_corr", "mouth_mel_offset"} <= set(select("core"))
    assert not {"mouth_audio_corr", "mouth_audio_offset"} & set(select("all"))


def test_real_clip_against_its_late_and_its_silent_copy(data: Path, tmp_path: Path) -> None:
    """Through score: late lips show in mtm and mouth_mel, silence in failures; the others do not move."""
    import wave

    from lipsync_eval.media import open_clip

    clip = data / "clips" / "original" / "grid_pwij3p.mpg"
    audio = open_clip(clip).audio
    assert audio is not None
    for name, samples in (("late", np.pad(audio.int16(), (5 * 640, 0))), ("silent", 0 * audio.int16())):
        (tmp_path / name).mkdir()
        (tmp_path / name / clip.name).symlink_to(clip)
        with wave.open(str(tmp_path / name / "grid_pwij3p.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(samples.astype("<i2").tobytes())
    wanted = "mouth_mel_corr,lve,mtm,slcc"
    late = lipsync_eval.score(tmp_path / "late" / clip.name, clip, metrics=wanted)
    silent = lipsync_eval.score(tmp_path / "silent" / clip.name, clip, metrics=wanted)
    assert late.clips[0].values["mtm"] == late.clips[0].values["lve"] == 0.0
    assert late.clips[0].details["mouth_mel"]["best_shift"] == late.clips[0].details["mouth_mel_gt"]["best_shift"] - 5
    assert silent.clips[0].values["mouth_mel_corr"] is None
    assert any("the audio is silent" in f.message for f in silent.failures)
