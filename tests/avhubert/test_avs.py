"""The AVS metrics: official numbers, and the family as the engine drives it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as hypothesis_arrays
from support.avhubert import GOLDEN, TINY, arrays, measure, needs_golden, network, pair

from lipsync_eval.errors import InputError, MetricError, MissingWeights, RefusedCheckpoint, UsageError
from lipsync_eval.features.avhubert import features
from lipsync_eval.files import sha256
from lipsync_eval.metrics.avs import Avs, flat_cosine, frame_cosine, frame_mean, timepool_cosine
from lipsync_eval.metrics.registry import get_spec, select
from lipsync_eval.types import Settings

CASES = json.loads((GOLDEN / "G_avs/avs.json").read_text()) if GOLDEN.is_dir() else {}
READ = {"frame_mean": frame_mean, "flat": flat_cosine, "pooled": timepool_cosine}
METRICS = frozenset(s.name for s in Avs.specs)


@pytest.fixture(scope="module")
def inputs():
    return {**arrays("C_features/inputs.npz"), **arrays("G_avs/gen_inputs.npz")}


def _videos(inputs, case):
    """The golden case's generated and real mouth crops (T, 88, 88), and its audio (T, 104)."""
    _model, length, kind = case.split("/")
    gt, audio = inputs[f"video_u8_{length}"], inputs[f"audio_{length}"].T
    if kind.startswith("blend"):
        gen = inputs[f"gen_blend_u8_{length}"]
    elif kind == "other":
        gen = inputs[f"gen_other_u8_{length}"]
    else:
        gen = np.concatenate([np.repeat(gt[:1], 3, axis=0), gt[:-3]])
    keep = len(gt) - 4 if kind.endswith("minus4_inputs_trimmed") else len(gt)
    return gen[:keep], gt[:keep], audio[:keep]


@needs_golden
@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith("tiny")])
def test_readings_equal_official_features(case, inputs):
    model = network(GOLDEN / "A_finetuned" / f"avhubert_{case.split('/')[0]}.pt")
    gen, gt, audio = _videos(inputs, case)
    sides = {
        "AVS_u": (features(model, gen), features(model, audio=audio)),
        "AVS_m": (features(model, gen, audio), features(model, gt, audio)),
        "AVS_v": (features(model, gen), features(model, gt)),
        "AVS_u_of_gt": (features(model, gt), features(model, audio=audio)),
    }
    for score, expected in CASES[case].items():
        for reading, function in READ.items():
            assert function(*sides[score]) == pytest.approx(expected[reading], abs=1e-4), (score, reading)
        curve = frame_cosine(*sides[score])
        assert (len(curve), curve.min(), curve.max()) == (
            expected["n"], pytest.approx(expected["frame_min"], abs=1e-4), pytest.approx(expected["frame_max"], abs=1e-4),
        )  # fmt: skip


def _settings(tmp_path=None, **options):
    return Settings(weights={"avhubert": TINY}, options=options, device="cpu", cache_dir=tmp_path)


def _colour(gray):
    """Gray frames as RGB: gray() gives the same levels back."""
    return np.repeat(gray[..., None], 3, axis=-1)


@needs_golden
@pytest.mark.parametrize("case", [c for c in CASES if c.startswith("tiny")])
def test_family_equals_official_numbers(case, inputs, monkeypatch):
    """The family from frames to scores; the golden audio is given as filter banks, so the front end is passed over."""
    gen, gt, audio = _videos(inputs, case)
    monkeypatch.setattr("lipsync_eval.features.avhubert.audio.audio_input", lambda samples, n, normalize: audio[:n])
    found = measure(
        Avs(_settings(roi="center88"), METRICS),
        pair(_colour(gen), _colour(gt), np.ones(9, np.float32), np.ones(9, np.float32)),
    )
    for score in ("avs_u", "avs_m", "avs_v"):
        expected = CASES[case][f"AVS_{score[-1]}"]
        assert found.values[score] == pytest.approx(expected["frame_mean"], abs=1e-4)
        assert found.values[f"{score}_flat"] == pytest.approx(expected["flat"], abs=1e-4)
        assert found.values[f"{score}_timepool"] == pytest.approx(expected["pooled"], abs=1e-4)
        assert (len(found.frames[score]), found.frames[score].min(), found.frames[score].max()) == (
            expected["n"], pytest.approx(expected["frame_min"], abs=1e-4), pytest.approx(expected["frame_max"], abs=1e-4),
        )  # fmt: skip
        assert found.frames[score].mean() == pytest.approx(found.values[score], abs=1e-12)
    if "AVS_u_of_gt" in CASES[case]:
        assert found.gt_values["avs_u"] == pytest.approx(CASES[case]["AVS_u_of_gt"]["frame_mean"], abs=1e-4)
    assert not found.failures


def _scene(n=20, seed=0):
    """Frames with texture, drifting landmarks, and audio."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 30, 30, 3)).astype(np.uint8)
    frames = coarse.repeat(8, axis=1).repeat(8, axis=2)
    points = rng.uniform(80, 160, (68, 2)) + rng.normal(0, 0.5, (n, 1, 2)).cumsum(axis=0)
    sound = (rng.normal(0, 0.1, n * 640)).astype(np.float32)
    return frames, points, sound


@needs_golden
def test_equal_videos_give_one(tmp_path):
    frames, points, sound = _scene()
    found = measure(Avs(_settings(tmp_path), METRICS), pair(frames, frames, sound, sound, points, points))
    for name in ("avs_m", "avs_v", "avs_m_flat", "avs_v_flat", "avs_m_timepool", "avs_v_timepool"):
        assert found.values[name] == pytest.approx(1.0, abs=1e-6)
    assert found.values["avs_u"] == pytest.approx(found.gt_values["avs_u"], abs=1e-9)
    assert found.values["avs_u"] < 0.99


@needs_golden
def test_batches_repeats_and_cache_do_not_matter(tmp_path):
    frames, points, sound = _scene()
    other, other_points, _ = _scene(seed=1)
    scene = pair(other, frames, sound, sound, other_points, points)
    first = measure(Avs(_settings(), METRICS), scene)
    again = measure(Avs(_settings(tmp_path), METRICS), scene, batch=1)
    cached = measure(Avs(_settings(tmp_path), METRICS), scene, batch=20)
    assert first.values == again.values == cached.values
    assert first.gt_values == again.gt_values == cached.gt_values
    assert list(tmp_path.rglob("*.npz")), "the real video's features were kept"


@needs_golden
def test_nothing_goes_through_the_network_twice(monkeypatch):
    from lipsync_eval.features.avhubert import Extractor

    calls = []
    for name in ("see", "encode"):
        original = getattr(Extractor, name)
        monkeypatch.setattr(Extractor, name, lambda *a, _f=original, _n=name: (calls.append(_n), _f(*a))[1])
    frames, points, sound = _scene()
    measure(Avs(_settings(), METRICS), pair(frames, frames[::-1], sound, sound, points, points))
    assert calls.count("see") == 2
    assert calls.count("encode") == 5, "(gen, -), (gt, -), (-, audio), (gen, audio), (gt, audio)"


@needs_golden
def test_cache_key_holds_what_moves_a_feature(tmp_path):
    """Other audio, another frame, number format or checkpoint never finds the old features."""
    frames, points, sound = _scene()
    base = pair(frames, frames, sound, sound, points, points)

    def entries(settings_, scene):
        measure(Avs(settings_, METRICS), scene)
        return len(list(tmp_path.rglob("*.npz")))

    n = entries(_settings(tmp_path), base)
    assert n == 3  # (gt, none), (none, audio), (gt, audio)
    assert entries(_settings(tmp_path), pair(frames, frames, sound / 2, sound, points, points)) == n + 2
    assert entries(_settings(tmp_path), pair(frames, frames // 2, sound, sound, points, points)) == n + 4
    assert entries(_settings(tmp_path, avhubert_dtype="bfloat16"), base) == n + 7
    other = Settings(
        weights={"avhubert": GOLDEN / "B_pretrained/avhubert_tiny_pretrained.pt"}, device="cpu", cache_dir=tmp_path
    )
    assert entries(other, base) == n + 10


@needs_golden
def test_lost_faces_are_interpolated_and_named():
    frames, points, sound = _scene()
    holes = points.copy()
    holes[[0, 1, 7, 19]] = np.nan
    found = measure(Avs(_settings(), METRICS), pair(frames, frames, sound, sound, holes, points))
    assert found.details["avs_gen_interpolated"] == 4
    assert any("gen: 4 of 20 frames have no face (0-1, 7, 19)" in note for note in found.notes)
    assert 0.5 < found.values["avs_v"] < 1


@needs_golden
def test_silence_is_scored_and_noted():
    frames, points, sound = _scene()
    silent = measure(Avs(_settings(), METRICS), pair(frames, frames, 1e-4 * sound, sound, points, points))
    assert not silent.failures
    note = next(note for note in silent.notes if "the audio is silent (nowhere above -60 dBFS)" in note)
    assert "avs_u" in note and "avs_m" in note and "avs_v" not in note
    loud = measure(Avs(_settings(), METRICS), pair(frames, frames, sound, sound, points, points))
    assert not any("silent" in note for note in loud.notes)


@needs_golden
def test_what_is_missing_fails_only_what_needs_it():
    frames, points, sound = _scene()
    silent = measure(Avs(_settings(), METRICS), pair(frames, frames, None, sound, points, points))
    assert {f.metric for f in silent.failures} == {m for m in METRICS if not m.startswith("avs_v")}
    assert "--audio gt" in silent.failures[0].message
    assert silent.values["avs_v"] == pytest.approx(1, abs=1e-6)
    faceless = measure(Avs(_settings(), METRICS), pair(frames, frames, sound, sound, points, None))
    assert {f.metric for f in faceless.failures} == {m for m in METRICS if not m.startswith("avs_u")}
    assert "real video: there is no face" in faceless.failures[0].message
    assert "avs_u" in faceless.values
    assert "avs_u" not in faceless.gt_values
    mute = measure(Avs(_settings(), METRICS), pair(frames, frames, sound, None, points, points))
    assert not mute.failures
    assert "avs_u" not in mute.gt_values
    with pytest.raises(MetricError, match="generated video: there is no face"):
        Avs(_settings(), METRICS).start(pair(frames, frames, sound, sound, None, points))


@needs_golden
@pytest.mark.parametrize(("roi", "size"), [("center88", (160, 160)), ("center88", (96, 96)), ("resize", (200, 300))])
def test_other_rois_need_no_landmarks(roi, size):
    frames = np.random.default_rng(0).integers(0, 256, (9, *size, 3), np.uint8)
    family = Avs(_settings(roi=roi), METRICS)
    assert not {"gen.points", "gt.points"} & family.needs("avs_m")
    found = measure(family, pair(frames, frames, np.ones(9 * 640, np.float32)))
    assert found.values["avs_v"] == pytest.approx(1, abs=1e-6)


@needs_golden
def test_center88_takes_the_middle_and_refuses_small_crops():
    frames = np.random.default_rng(0).integers(0, 256, (5, 160, 160, 3), np.uint8)
    edges = frames.copy()
    edges[:, :36] = edges[:, 124:] = 0
    found = measure(Avs(_settings(roi="center88"), frozenset({"avs_v"})), pair(edges, frames))
    assert found.values["avs_v"] == pytest.approx(1, abs=1e-6)
    with pytest.raises(MetricError, match="80x160; the middle 88x88"):
        Avs(_settings(roi="center88"), METRICS).start(pair(frames[:, :, :80], frames))


@needs_golden
def test_frame_weighted_pools_over_frames():
    frames, points, sound = _scene(20)
    other, other_points, _ = _scene(20, seed=5)
    family = Avs(_settings(), METRICS)
    short = measure(family, pair(other[:6], frames[:6], sound[: 6 * 640], None, other_points[:6], points[:6]))
    long = measure(family, pair(frames, other, sound, None, points, other_points))
    curve = np.concatenate([short.frames["avs_v"], long.frames["avs_v"]])
    states = [(n, m.states["avs_v_frameweighted"]) for n, m in (("short", short), ("long", long))]
    assert family.pool("avs_v_frameweighted", states).value == pytest.approx(curve.mean(), abs=1e-12)
    assert family.pool("avs_v_frameweighted", []).value is None


@needs_golden
def test_signature_names_the_checkpoint_region_and_format():
    digest = sha256(TINY)[:8]
    assert Avs(_settings(), METRICS).keys("avs_u") == {
        "feat": f"avhubert@{digest}",
        "roi": "align",
        "dtype": "fp32",
    }
    bf16 = Avs(_settings(roi="center88", avhubert_dtype="bfloat16"), METRICS).keys("avs_v")
    assert (bf16["roi"], bf16["dtype"]) == ("center88", "bf16")


@needs_golden
@pytest.mark.parametrize("options", [{"roi": "left"}, {"avhubert_dtype": "float16"}])
def test_unknown_options_are_refused(options):
    with pytest.raises(UsageError, match="expected one of"):
        Avs(_settings(**options), METRICS).check()


def test_a_refused_checkpoint_ends_the_run_before_any_work(tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"no checkpoint at all")
    with pytest.raises(RefusedCheckpoint, match=r"bad\.pt"):
        Avs(Settings(weights={"avhubert": tmp_path / "bad.pt"}), METRICS).check()


def test_missing_weights_name_the_pull_line(tmp_path, monkeypatch):
    monkeypatch.delenv("LIPSYNC_EVAL_WEIGHTS", raising=False)
    with pytest.raises(MissingWeights, match="weights pull avhubert-base-vox-433h"):
        Avs(Settings(weights_dir=tmp_path), METRICS).check()


def test_variants_are_only_taken_by_name():
    assert {m for m in select("all") if m.startswith("avs")} == {"avs_u", "avs_m", "avs_v"}
    assert not [m for m in select("core") if m.startswith("avs")]
    for spec in Avs.specs:
        assert spec.group == ("weights" if spec.name in ("avs_u", "avs_m", "avs_v") else "opt-in")
        assert "non-commercial" in get_spec(spec.name).reads


FEATURES = hypothesis_arrays(np.float32, (6, 5), elements=st.floats(0.125, 100, width=32))


@settings(max_examples=60, deadline=None)
@given(a=FEATURES, b=FEATURES, factor=st.floats(0.1, 10))
def test_cosines_are_symmetric_bounded_and_blind_to_scale(a, b, factor):
    for reading in (frame_mean, flat_cosine, timepool_cosine):
        assert reading(a, a) == pytest.approx(1, abs=1e-12)
        assert -1 <= reading(a, -b) <= 1
        assert reading(a, b) == pytest.approx(reading(b, a), abs=1e-12)
        assert reading(a, b.astype(float) * factor) == pytest.approx(reading(a, b), abs=1e-6)


def test_cosine_refuses_unlike_shapes():
    with pytest.raises(InputError, match=r"\(3, 4\) and \(2, 4\)"):
        frame_cosine(np.ones((3, 4)), np.ones((2, 4)))


def test_import_is_cheap():
    code = "import sys, lipsync_eval.metrics.avs; assert not {'torch', 'cv2', 'scipy', 'skimage'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_golden
def test_a_whole_run_on_talking_clips(tmp_path):
    """Decoding, faces, alignment, both front ends, network, results: gen = gt gives 1, and a repeat gives the same scores."""
    from support.clips import frames, sound, write
    from support.scoring import score

    for n in range(2):
        write(tmp_path / "clips" / f"{n}.mkv", frames(12, seed=n), sound(12, n))
    runs = [
        score(
            tmp_path / "clips",
            tmp_path / "clips",
            metrics="avs_u,avs_m,avs_v",
            weights={"avhubert": TINY},
            device="cpu",
            cache=None,
        )
        for _ in range(2)
    ]
    by_name = {s.metric: s for s in runs[0].scores}
    assert not runs[0].failures
    assert by_name["avs_m"].value == pytest.approx(1, abs=1e-6)
    assert by_name["avs_v"].value == pytest.approx(1, abs=1e-6)
    assert by_name["avs_u"].value == pytest.approx(by_name["avs_u"].gt_value, abs=1e-9)
    assert f"feat:avhubert@{sha256(TINY)[:8]}" in by_name["avs_u"].signature
    assert runs[0].scores == runs[1].scores
    assert runs[0].clips == runs[1].clips
