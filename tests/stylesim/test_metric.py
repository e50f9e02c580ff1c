"""The StyleSim families on clips and on the user's .npz files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden.synthetic_inputs import motion
from support.clips import frames
from support.perception import GOLDEN, golden
from support.scoring import score

from lipsync_eval import check_metric
from lipsync_eval.engine.plan import make_plan
from lipsync_eval.errors import InputError, MissingWeights, UsageError
from lipsync_eval.features.blendshapes import installed
from lipsync_eval.features.style.constants import shipped
from lipsync_eval.features.style.encoder import StyleEncoder
from lipsync_eval.features.style.training import Recipe, TrainedEncoder, load, nt_xent, save, train
from lipsync_eval.files import sha256
from lipsync_eval.media import write_video
from lipsync_eval.metrics.stylesim import StyleSimBlendshapes, StyleSimPoints68
from lipsync_eval.results.signature import parse_signature
from lipsync_eval.types import Settings

N = 60


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """gen/ and gt/ with one short clip of noise each: enough for metrics that read .npz files."""
    for side in ("gen", "gt"):
        (tmp_path / side).mkdir()
        write_video(tmp_path / side / "a.mkv", [np.full((32, 32, 3), k, np.uint8) for k in range(N)])
    return tmp_path


def run(clips: Path, metrics: str, **more: Any) -> Any:
    return score(clips / "gen", clips / "gt", metrics=metrics, protocol="raw", cache=None, **more)


def value(result: Any, metric: str) -> Any:
    return next(s for s in result.scores if s.metric == metric)


class TestPoints68:
    """In core: no download."""

    def test_contract(self) -> None:
        report = check_metric("stylesim_points68", Settings())
        assert "worse with more noise" in report.passed

    def test_end_to_end_with_a_reference(self, tmp_path: Path) -> None:
        write_video(tmp_path / "a.mkv", frames(30))
        names = "stylesim_points68,stylesim_points68_ref"
        result = score(tmp_path / "a.mkv", tmp_path / "a.mkv", metrics=names, cache=None, reference=tmp_path / "a.mkv")
        assert not result.failures
        own, ref = result.scores
        assert own.value == pytest.approx(1) and ref.value == ref.gt_value == pytest.approx(1)
        assert f"const:{shipped('points68').digest}" in own.signature and "feat:points68.1" in own.signature
        assert any("under 100 (4 s) it is uncertain" in note for note in result.clips[0].notes)

    def test_the_reference_is_in_the_signature(self, tmp_path: Path) -> None:
        for name in ("a", "b", "refs/a", "same/a"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            write_video(tmp_path / f"{name}.mkv", frames(30)[1 if name == "b" else 0 :])
        (tmp_path / "same" / "notes.txt").write_text("no reference")

        def key(reference: str) -> str:
            out = score(
                tmp_path / "a.mkv",
                tmp_path / "a.mkv",
                metrics="stylesim_points68_ref,stylesim_points68",
                cache=None,
                reference=tmp_path / reference,
            )
            ref, own = sorted(out.scores, key=lambda s: s.metric, reverse=True)
            assert "reference" not in parse_signature(own.signature)
            return parse_signature(ref.signature)["reference"]

        assert key("a.mkv") == sha256(tmp_path / "a.mkv")[:8] != key("b.mkv")
        assert key("refs") == key("same")
        write_video(tmp_path / "refs" / "a.mkv", frames(30)[3:])
        assert key("refs") != key("same")

    def test_the_signature_names_the_reference_as_it_was_at_the_start(self, tmp_path: Path) -> None:
        """One that is replaced or taken away while clips are measured must not end the run, nor lend its hash to it."""
        (tmp_path / "a.mkv").write_bytes(b"video")
        (tmp_path / "ref.mkv").write_bytes(b"before")
        plan = make_plan(
            tmp_path / "a.mkv", tmp_path / "a.mkv", "stylesim_points68_ref", Settings(reference=tmp_path / "ref.mkv")
        )
        before = plan.signature("stylesim_points68_ref", 1)
        assert parse_signature(before)["reference"] == sha256(tmp_path / "ref.mkv")[:8]
        (tmp_path / "ref.mkv").write_bytes(b"after")
        assert plan.signature("stylesim_points68_ref", 1) == before
        (tmp_path / "ref.mkv").unlink()
        assert plan.signature("stylesim_points68_ref", 1) == before

    def test_too_short_is_a_failure_row(self, tmp_path: Path) -> None:
        write_video(tmp_path / "a.mkv", frames(6))
        result = score(tmp_path / "a.mkv", tmp_path / "a.mkv", metrics="stylesim_points68", cache=None)
        assert result.scores[0].value is None and "at least 10 frames" in result.failures[0].message

    def test_ref_needs_a_reference(self) -> None:
        with pytest.raises(UsageError, match="--reference"):
            StyleSimPoints68(Settings(), frozenset({"stylesim_points68_ref"})).check()
        StyleSimPoints68(Settings(), frozenset({"stylesim_points68"})).check()


@pytest.mark.skipif(installed(), reason="mediapipe is installed here")
def test_blendshapes_say_how_to_get_mediapipe(tmp_path: Path) -> None:
    (tmp_path / "face_landmarker.task").write_bytes(b"")
    with pytest.raises(MissingWeights, match="pip install --no-deps mediapipe"):
        StyleSimBlendshapes(Settings(weights_dir=tmp_path), frozenset({"stylesim_blendshapes"})).check()
    with pytest.raises(MissingWeights, match="weights pull face_landmarker"):
        StyleSimBlendshapes(Settings(weights_dir=tmp_path / "none"), frozenset({"stylesim_blendshapes"})).check()


@pytest.mark.skipif(not installed(), reason="mediapipe is not installed here")
def test_blendshapes_end_to_end(data: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames(20))
    result = score(
        tmp_path / "a.mkv",
        tmp_path / "a.mkv",
        metrics="stylesim_blendshapes",
        cache=tmp_path / "cache",
        weights_dir=data / "weights",
    )
    assert not result.failures and result.scores[0].value == pytest.approx(1)


class TestVertices:
    """<stem>.vertices.npz beside the clips."""

    def write(self, path: Path, seed: int, template: bool = True, n: int = N, points: int = 20) -> None:
        rest = np.random.default_rng(99).normal(size=(points, 3))
        moved = rest + 0.1 * motion(seed, n, 3 * points).reshape(n, points, 3) + 0.05 * seed
        np.savez(path, vertices=moved, **({"template": rest} if template else {}))

    def test_mean_and_std_by_hand(self, clips: Path) -> None:
        for seed, side in enumerate(("gen", "gt"), 1):
            self.write(clips / side / "a.vertices.npz", seed)
        codes = []
        for side in ("gen", "gt"):
            with np.load(clips / side / "a.vertices.npz") as file:
                flat = (file["vertices"] - file["template"]).reshape(N, -1)
            codes.append(np.concatenate([flat.mean(0), flat.std(0)]))
        result = run(clips, "stylesim_vertices")
        expected = codes[0] @ codes[1] / np.linalg.norm(codes[0]) / np.linalg.norm(codes[1])
        assert value(result, "stylesim_vertices").value == pytest.approx(expected, abs=1e-9)

    def test_flat_vertices_without_a_template_are_noted(self, clips: Path) -> None:
        for side in ("gen", "gt"):
            np.savez(clips / side / "a.vertices.npz", vertices=1 + motion(1, N, 30))
        result = run(clips, "stylesim_vertices")
        assert value(result, "stylesim_vertices").value == pytest.approx(1)
        assert any("no template" in note for note in result.clips[0].notes)

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({}, "has no array 'vertices'"),
            ({"vertices": np.zeros((N, 31))}, r"\(T, L, 3\)"),
            ({"vertices": np.zeros((N - 3, 30))}, f"{N - 3} rows and the clip {N} frames"),
            ({"vertices": np.full((N, 30), np.nan)}, "NaN"),
            ({"vertices": np.array([{}], dtype=object)}, "cannot be read"),
            ({"vertices": np.zeros((N, 30)), "template": np.zeros(27)}, "one topology"),
        ],
    )
    def test_files_that_are_wrong(self, arrays: dict[str, Any], words: str, clips: Path) -> None:
        self.write(clips / "gt" / "a.vertices.npz", 1)
        np.savez(clips / "gen" / "a.vertices.npz", **arrays)
        result = run(clips, "stylesim_vertices")
        assert value(result, "stylesim_vertices").value is None
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(result.failures[0].message)

    def test_another_topology_and_no_file(self, clips: Path) -> None:
        self.write(clips / "gt" / "a.vertices.npz", 1)
        result = run(clips, "stylesim_vertices")
        assert (
            "no a.vertices.npz beside the clip" in result.failures[0].message
            and "generated" in result.failures[0].message
        )
        self.write(clips / "gen" / "a.vertices.npz", 1, points=21)
        assert "one topology" in run(clips, "stylesim_vertices").failures[0].message

    def test_reference(self, clips: Path) -> None:
        for seed, path in enumerate(("gen/a", "gt/a", "someone"), 1):
            self.write(clips / f"{path}.vertices.npz", seed)
        (clips / "refs").mkdir()
        self.write(clips / "refs" / "a.vertices.npz", 3)
        found = [
            run(clips, "stylesim_vertices_ref", reference=clips / r).scores[0] for r in ("someone.vertices.npz", "refs")
        ]
        assert found[0].value == found[1].value and found[0].gt_value == found[1].gt_value
        assert -1 <= found[0].value < 1


class TestDiffPoseTalk:
    """<stem>.flame.npz beside the clips and the released checkpoint's format."""

    def weights(self, folder: Path) -> dict[str, Path]:
        g = golden("style_encoder/case2_nohead_51")
        np.savez(folder / "stats_train.npz", **{k.removeprefix("stats_"): g[k] for k in g if k.startswith("stats_")})
        return {
            "diffposetalk": GOLDEN / "style_encoder" / "case2_nohead_51_iter_0034000.pt",
            "diffposetalk.stats": folder / "stats_train.npz",
        }

    def test_end_to_end(self, clips: Path) -> None:
        for seed, side in enumerate(("gen", "gt")):
            np.savez(clips / side / "a.flame.npz", exp=motion(seed, N, 50), pose=0.1 * motion(seed + 5, N, 6))
        weights = self.weights(clips)
        result = run(
            clips,
            "stylesim_diffposetalk,stylesim_diffposetalk_ref",
            weights=weights,
            reference=clips / "gt" / "a.flame.npz",
        )
        assert not result.failures
        own, ref = result.scores
        assert own.value == pytest.approx(ref.value, abs=1e-9) and ref.gt_value == pytest.approx(1) and own.value < 1
        assert any("shorter than one window of 100" in note for note in result.clips[0].notes)
        assert "feat:diffposetalk@" in own.signature

    def test_wrong_coefficients_and_missing_weights(self, clips: Path) -> None:
        for side in ("gen", "gt"):
            np.savez(clips / side / "a.flame.npz", exp=np.zeros((N, 100)), pose=np.zeros((N, 6)))
        result = run(clips, "stylesim_diffposetalk", weights=self.weights(clips))
        assert "exp (T, 50) and pose (T, 6)" in result.failures[0].message
        with pytest.raises(MissingWeights, match=r"has no address of it.*iter_0034000.pt of style_enc"):
            run(clips, "stylesim_diffposetalk", weights_dir=clips)


class TestTraining:
    """NT-Xent on speakers."""

    def speakers(self, n: int = 4) -> dict[str, list[Any]]:
        from golden.synthetic_inputs import track68

        return {f"s{k}": [(track68(k, 120, talk=0.5 + k), np.arange(120))] for k in range(n)}

    def test_the_loss_by_hand(self) -> None:
        a = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        b = torch.tensor([[3.0, 0.0], [1.0, 1.0]])
        unit = torch.nn.functional.normalize(torch.cat([a, b]), dim=1).numpy()
        total = 0.0
        for i in range(4):
            e = np.exp(unit @ unit[i] / 0.1)
            e[i] = 0
            total -= np.log(e[(i + 2) % 4] / e.sum())
        assert float(nt_xent(a, b, 0.1)) == pytest.approx(total / 4, rel=1e-5)

    def test_it_learns_repeats_and_is_kept(self, tmp_path: Path) -> None:
        speakers, losses = self.speakers(), []
        recipe = Recipe(window=30, steps=25, rate=1e-3)
        trained = train(speakers, shipped("points68"), recipe, lambda step, loss: losses.append(loss))
        assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])
        again = train(speakers, shipped("points68"), recipe)
        code = trained.style(speakers["s1"][0])
        np.testing.assert_array_equal(again.style(speakers["s1"][0]), code)
        save(trained, tmp_path / "encoder.pt")
        np.testing.assert_allclose(load(tmp_path / "encoder.pt").style(speakers["s1"][0]), code, atol=1e-6)

    def test_too_short_clips(self) -> None:
        with pytest.raises(InputError, match="at least 210 frames"):
            train(self.speakers(), shipped("points68"), Recipe(steps=1))

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        from lipsync_eval.errors import RefusedCheckpoint

        torch.save({"format": "other"}, tmp_path / "a.pt")
        with pytest.raises(RefusedCheckpoint, match="style-train"):
            load(tmp_path / "a.pt")
        held = shipped("points68")
        save(TrainedEncoder(StyleEncoder(54), held, 30), tmp_path / "a.pt")
        with pytest.raises(RefusedCheckpoint):
            load(tmp_path / "a.pt")
