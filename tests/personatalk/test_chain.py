"""fit -> train-geometry -> train-renderer -> dub -> score -> table through the command line, on a made-up talking clip."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from support.personatalk import MICRO, as_options, micro
from support.training import ALONE

from lipsync_eval.baselines.kit.data.windows import Draw, TrainingSet, Windows
from lipsync_eval.baselines.kit.dubbing.dub import dub
from lipsync_eval.baselines.kit.training.run_folder import read_log
from lipsync_eval.baselines.personatalk.data.alignment import BOX
from lipsync_eval.baselines.personatalk.data.inputs import camera_in, open_pool, vertices_of
from lipsync_eval.baselines.personatalk.data.references import by_opening, centred, training_any, training_face
from lipsync_eval.baselines.personatalk.dubbing.generator import at_times, load_generator
from lipsync_eval.baselines.personatalk.dubbing.masks import hull_mask
from lipsync_eval.baselines.personatalk.geometry import points68
from lipsync_eval.baselines.personatalk.training.geometry import GeometryLoss, GeometryTask
from lipsync_eval.baselines.personatalk.training.render import ReferenceReader, RenderRecipe, TwoDiscriminators
from lipsync_eval.cli import run as cli
from lipsync_eval.errors import OutputError, RefusedCheckpoint
from lipsync_eval.media import open_clip, write_video


def test_what_is_stored_and_read(data, videos):
    assert (videos / "talk.vertices.npz").exists()
    pool = open_pool(micro(data), 10)
    windows, span = Windows(pool), pool.train[0]
    vertices = vertices_of(windows, span, 3, 5)
    posed = camera_in(windows, span, 3).pose(vertices[:1])[0, :, :2]
    wanted = windows.points(span, 3, 4)[0]
    assert np.abs(posed - wanted).mean() < 0.5  # px of 32; the geometry is smoothed
    with pytest.raises(Exception, match="prepared with geometry"):
        open_pool(micro(data, "geometry.smooth=false"), 10)


def test_samples_are_the_same_in_every_run_and_leave_the_target_out(data):
    config = micro(data)
    recipe = RenderRecipe(config)
    pool = open_pool(config, 1)
    a, b = (TrainingSet(pool, 1, recipe.readers)[5] for _ in range(2))
    assert a.more["face_frames"].shape == (3, 3, 32, 32) and a.more["lip_pnccs"].shape == (2, 3, 32, 32)
    assert all(torch.equal(a.more[k], b.more[k]) for k in a.more)
    assert 0 < a.more["mask"].mean() < 1 and a.more["pncc"].max() > 0.5
    random = ReferenceReader(micro(data, "stage2.references=random"), points68.topology())
    assert random.drawn(Windows(pool), pool.train[0], 2, Draw(0, np.random.default_rng(0)))["face_frames"].shape[0] == 3


def test_a_geometry_run_resumes_with_the_same_losses(runs, data, tmp_path, capsys):
    geometry, _ = runs
    common = [*as_options(MICRO), "--data", str(data), "--device", "cpu", "--out", str(tmp_path / "again")]
    assert cli(["personatalk", "train-geometry", *common, "--set", "geometry_train.steps=2"]) == 0
    assert "the style is read from" not in capsys.readouterr().err
    assert cli(["personatalk", "train-geometry", *common, "--resume"]) == 0

    def losses(out):
        return [line["total"] for line in read_log(out) if "total" in line]

    assert losses(tmp_path / "again") == losses(geometry)
    numbers = [line for line in read_log(geometry) if "val_vertex_error" in line]
    assert {"val_lip_error", "val_rest_error", "val_opening"} <= set(numbers[-1])
    assert sorted(p.name for p in (geometry / "grids").iterdir())[-1] == "000003.png"


def test_stretches_too_short_for_a_style_of_their_own_are_told(data, tmp_path, capsys):
    common = [*as_options(MICRO), "--data", str(data), "--device", "cpu", "--out", str(tmp_path / "run")]
    more = ["--set", "geometry_train.reference=20", "--set", "geometry_train.steps=1"]
    assert cli(["personatalk", "train-geometry", *common, *more]) == 0
    assert "shorter than window and reference (10 + 20 frames): there the style is read from" in capsys.readouterr().err


def test_stage_1_learns_a_clip(data):
    config = micro(data, "geometry_train.lr=0.003", "stage1.width=32", "stage1.heads=4")
    task = GeometryTask(config, ALONE, open_pool(config, 10))
    values = [task.step(number)["vertices"] for number in range(80)]
    assert np.mean(values[-10:]) < 0.6 * np.mean(values[:5])


def test_the_loss_by_hand():
    topology = points68.topology()
    low = len(topology.low)
    loss = GeometryLoss(micro().geometry_loss, topology)
    rest = torch.tensor(topology.mean[topology.low], dtype=torch.float32)[None]
    target, found = torch.zeros(1, 2, low, 3), torch.zeros(1, 2, low, 3)
    found[0, 1, :, 0] = 0.1
    value, parts = loss(found, target, rest)
    lips = np.isin(topology.low, topology.lips)
    assert float(parts["vertices"]) == pytest.approx(0.01 * (5 * lips.sum() + (~lips).sum()) / low / 2, rel=1e-4)
    assert float(parts["velocity"]) == pytest.approx(0.01, rel=1e-4) and float(parts["close"]) == pytest.approx(
        0, abs=1e-6
    )
    assert float(value) == pytest.approx(float(parts["vertices"] + 5 * parts["velocity"]), rel=1e-5)
    assert float(loss.openings(target, rest)[0, 0]) == pytest.approx(topology.openings(topology.mean), rel=1e-4)


def test_algorithm_1():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert set(training_face(20, 0, 100, 5, 12, rng)) <= set(range(8, 33)) - {20}
        far = training_any(20, 0, 100, 5, rng)
        assert 20 not in far and len(set(far)) == 5
    assert len(training_face(1, 0, 3, 5, 12, rng)) == 5  # fewer than five: with repetition
    assert centred(10, 100, 5) == [8, 9, 10, 11, 12] and centred(0, 100, 5) == [0, 1, 2, 3, 4]
    assert centred(99, 100, 5) == [95, 96, 97, 98, 99] and centred(1, 3, 5) == [0, 1, 2, 2, 2]
    assert (
        by_opening(np.array([0.3, 0.1, 0.2, 0.5, 0.4]), 3) == [1, 0, 3]
        and len(by_opening(np.array([0.1, 0.2]), 5)) == 5
    )


def test_times_between_frames():
    moved = np.array([[0.0], [10], [20]])
    assert at_times(moved, np.array([0, 0.02, 0.04, 0.1]))[:, 0].tolist() == pytest.approx([0, 5, 10, 20])


def test_the_box_is_smooth_square_and_upright():
    rng = np.random.default_rng(0)
    points = rng.uniform(40, 60, (9, 68, 2)) + np.arange(9)[:, None, None]
    found = BOX.matrices(points, 64)
    assert (found[:, 0, 1] == 0).all() and (found[:, 0, 0] == found[:, 1, 1]).all()
    np.testing.assert_allclose(BOX.matrices(points[:1], 64)[0], BOX.matrices(np.repeat(points[:1], 5, 0), 64)[2])


def test_dubbing_changes_the_mouth_and_keeps_the_rest(runs, videos, tmp_path):
    generator = load_generator(*runs, "cpu")
    report = dub(videos / "talk.mkv", videos / "talk.mkv", tmp_path / "a.mkv", generator, mask=hull_mask, batch=3)
    dub(videos / "talk.mkv", videos / "talk.mkv", tmp_path / "b.mkv", generator, mask=hull_mask, batch=1)
    made, again, real = (
        list(open_clip(p).frames()) for p in (tmp_path / "a.mkv", tmp_path / "b.mkv", videos / "talk.mkv")
    )
    assert (
        report.frames == len(made) == 40
        and "PersonaTalk" in report.generator
        and set(report.checkpoint) == {"geometry", "renderer"}
    )
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(made, again, strict=True)) <= 1  # batches move nothing
    assert np.array_equal(made[7][:8], real[7][:8]) and not np.array_equal(made[7], real[7])


def test_styles_of_two_people_move_one_sentence_differently(runs, videos):
    generator = load_generator(*runs, "cpu")
    clip = open_clip(videos / "talk.mkv")
    from lipsync_eval.faces import track_faces

    face = generator.provider.fit(clip, track_faces(clip))
    with torch.no_grad():
        generator.geometry.decode.weight.normal_(std=0.05)
        generator.geometry.style.weight.normal_(std=1.0)
    own = generator.drive(face, clip.audio.samples, np.arange(40) / 25)
    wide = replace(face, vertices=face.template + 3 * (face.vertices - face.template))
    generator.style = wide
    other = generator.drive(face, clip.audio.samples, np.arange(40) / 25)
    topology = generator.provider.topology
    assert np.abs(topology.openings(own.vertices) - topology.openings(other.vertices)).max() > 1e-4
    np.testing.assert_array_equal(own.vertices[:, topology.up], other.vertices[:, topology.up])


def test_from_clips_to_a_table(runs, videos, tmp_path, capsys):
    (tmp_path / "gen").mkdir()
    command = [
        "personatalk",
        "dub",
        "--video",
        str(videos / "talk.mkv"),
        "--audio",
        str(videos / "talk.mkv"),
        "--device",
        "cpu",
    ]
    files = ["--geometry", str(runs[0]), "--checkpoint", str(runs[1]), "--out", str(tmp_path / "gen" / "talk.mkv")]
    assert cli([*command, *files, "--lip-references", "64"]) == 0
    assert (
        "40 frames show the face, so the 64 lip references repeat some" in json.loads(capsys.readouterr().out)["notes"]
    )
    assert cli([*command, *files, "--style", str(videos / "talk.mkv"), "--lip-references", "4"]) == 0
    assert "repeat" not in capsys.readouterr().out
    assert len(list(open_clip(tmp_path / "gen" / "talk.mkv").frames())) == 40
    frames = [
        cv2.GaussianBlur(f, (0, 0), 1) for f in open_clip(videos / "talk.mkv").frames()
    ]  # three steps paint no face
    write_video(
        tmp_path / "gen" / "talk.mkv",
        frames,
        fps=25,
        audio=open_clip(videos / "talk.mkv").audio.samples,
        codec="lossless",
    )
    assert cli(["personatalk", "fit", str(tmp_path / "gen"), "--provider", "points68"]) == 0
    assert cli(["personatalk", "fit", str(tmp_path / "gen"), "--provider", "points68"]) == 0  # it is there
    assert "talk.vertices.npz is there" in capsys.readouterr().err
    scored = [
        "score",
        str(tmp_path / "gen"),
        str(videos),
        "--metrics",
        "psnr,stylesim_vertices",
        "--protocol",
        "personatalk",
    ]
    assert cli([*scored, "--out", str(tmp_path / "run")]) == 0
    assert cli(["table", str(tmp_path / "run"), "--layout", "personatalk"]) == 0
    assert "PSNR" in capsys.readouterr().out


def test_style_map_of_real_and_generated_clips(runs, videos, tmp_path, capsys):
    clips = tmp_path / "clips"
    for name in ("ann", "bob", "eve"):
        (clips / name).mkdir(parents=True)
        for suffix in (".mkv", ".vertices.npz"):
            (clips / name / f"a{suffix}").symlink_to(videos / f"talk{suffix}")
    command = ["personatalk", "style", str(clips), "--generated", str(clips), "--geometry", str(runs[0])]
    out = [
        "--out",
        str(tmp_path / "s.png"),
        "--codes",
        str(tmp_path / "s.json"),
        "--perplexity",
        "3",
        "--device",
        "cpu",
    ]
    assert cli([*command, *out]) == 0
    assert "6 codes of 3 speakers" in capsys.readouterr().out and (tmp_path / "s.png").stat().st_size > 5000
    held = json.loads((tmp_path / "s.json").read_text())
    assert len(held) == 6 and held[3]["generated"] and len(held[0]["code"]) == 16


def test_dubbed_videos_named_as_real_clips_have_their_speakers(runs, videos, tmp_path, capsys):
    for folder in ("clips", "dubbed"):
        (tmp_path / folder).mkdir()
        for name in ("a", "b", "c"):
            for suffix in (".mkv", ".vertices.npz"):
                (tmp_path / folder / f"{name}{suffix}").symlink_to(videos / f"talk{suffix}")
    table = tmp_path / "speakers.csv"
    table.write_text("clip,speaker\na,ann\nb,bob\nc,ann\n")
    command = ["personatalk", "style", str(tmp_path / "clips"), "--generated", str(tmp_path / "dubbed")]
    more = ["--geometry", str(runs[0]), "--speakers", str(table), "--perplexity", "3", "--device", "cpu"]
    out = ["--out", str(tmp_path / "s.png"), "--codes", str(tmp_path / "s.json")]
    assert cli([*command, *more, *out]) == 0
    said = capsys.readouterr().out
    assert "6 codes of 2 speakers" in said and "generated against real: same speaker" in said
    rows = json.loads((tmp_path / "s.json").read_text())
    assert [r["speaker"] for r in rows] == ["ann", "bob", "ann"] * 2
    table.write_text("clip,speaker\n")
    assert cli([*command, *more, *out]) == 2
    assert "names no clip" in capsys.readouterr().err


def test_a_predicted_geometry_is_mixed_in(runs, data):
    config = micro(
        data,
        f"render_loss.geometry_checkpoint={json.dumps(str(runs[0]))}",
        "render_loss.mixed=1.0",
        "render_loss.mixed_from=1",
    )
    reader, pool = RenderRecipe(config).readers[0], open_pool(config, 1)
    reader.predicted.network.decode.bias.data.fill_(0.05)
    windows, span = Windows(pool), pool.train[0]
    before, after = (reader.drawn(windows, span, 4, Draw(k, np.random.default_rng(0))) for k in (0, 2))
    assert not torch.equal(before["pncc"], after["pncc"]) and torch.equal(before["face_frames"], after["face_frames"])


def test_two_discriminators_are_one():
    found = TwoDiscriminators(micro())(torch.zeros(3, 3, 32, 32))
    assert found.shape == (6,)


@pytest.mark.parametrize("stage", ["train-geometry", "train-renderer"])
@pytest.mark.parametrize("more", [[], ["--preset", "personatalk-128"], ["--preset", "personatalk-256-single"]])
def test_a_dry_run_needs_nothing(stage, more, capsys, monkeypatch):
    monkeypatch.setattr("lipsync_eval.features.blendshapes.find_spec", lambda name: None)
    assert cli(["personatalk", stage, "--dry-run", *more]) == 0
    assert "parameters" in capsys.readouterr().out


def test_what_is_missing_or_wrong_is_told(runs, videos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lipsync_eval.features.blendshapes.find_spec", lambda name: None)
    assert cli(["personatalk", "fit", str(videos)]) == 2
    assert "pip install --no-deps mediapipe" in capsys.readouterr().err
    assert cli(["personatalk", "fit", str(videos), "--provider", "bfm"]) == 2
    assert "BFM_model_front.mat" in capsys.readouterr().err
    assert cli(["personatalk", "train-geometry", "--out", str(tmp_path / "x")]) == 2
    with pytest.raises(RefusedCheckpoint, match="personatalk train-geometry"):
        load_generator(runs[1], runs[0], "cpu")
    other = tmp_path / "other.vertices.npz"
    other.write_bytes(b"mine")
    from lipsync_eval.baselines.personatalk.dubbing.fitting import fit_all

    with pytest.raises(OutputError, match="--again"):
        fit_all(points68.Points68(), videos, lambda video: other)
