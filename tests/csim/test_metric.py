"""csim, csim_p5 and csim_ref: frames, files, references."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.clips import blurred, frames
from support.perception import write_r18
from support.scoring import score

from lipsync_eval import check_metric
from lipsync_eval.errors import MetricError, MissingWeights, UsageError
from lipsync_eval.features import reference
from lipsync_eval.features.arcface import FaceEmbedder
from lipsync_eval.media import write_video
from lipsync_eval.metrics.csim import Csim
from lipsync_eval.types import Settings


@pytest.fixture(scope="module")
def r18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_r18(tmp_path_factory.mktemp("weights") / "backbone.pth")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    real = frames(6)
    write_video(tmp_path / "gt.mkv", real)
    write_video(tmp_path / "gen.mkv", blurred(real, 2))
    return tmp_path


def values(result: Any) -> dict[str, float | None]:
    return {s.metric: s.value for s in result.scores}


@pytest.mark.parametrize("metric", ["csim", "csim_p5"])
def test_contract(metric: str, r18: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cheap map in place of the network: what is tested is everything around it."""
    mix = np.random.default_rng(0).normal(size=(3 * 14 * 14, 32)).astype(np.float32)
    cheap = lambda x: x.reshape(len(x), 3, 14, 8, 14, 8).mean((3, 5)).reshape(len(x), -1) @ mix  # noqa: E731
    monkeypatch.setattr("lipsync_eval.features.arcface._torch", lambda file, device, precision: cheap)
    check_metric(metric, Settings(weights={"w600k_r50": r18}), n_frames=10)


def test_more_blur_is_worse_and_the_same_clip_is_1(r18: Path, clips: Path) -> None:
    found = []
    for sigma in (0, 1, 3):
        write_video(clips / "gen.mkv", blurred(frames(6), sigma) if sigma else frames(6))
        run = score(clips / "gen.mkv", clips / "gt.mkv", metrics="csim,csim_p5", cache=None, weights={"w600k_r50": r18})
        assert not run.failures
        found.append(values(run))
    assert found[0]["csim"] == pytest.approx(1, abs=1e-6)
    for name in ("csim", "csim_p5"):
        assert found[0][name] > found[1][name] > found[2][name]  # type: ignore[operator]
    assert all(f["csim_p5"] <= f["csim"] + 1e-12 for f in found)  # type: ignore[operator]


def test_no_face_is_a_failure_row_and_some_faces_are_counted(r18: Path, tmp_path: Path) -> None:
    real = frames(20)
    write_video(tmp_path / "gt.mkv", real)
    empty = np.full_like(real[0], 128)
    write_video(tmp_path / "gen.mkv", [empty] * 20)
    run = score(tmp_path / "gen.mkv", tmp_path / "gt.mkv", metrics="csim", cache=None, weights={"w600k_r50": r18})
    assert values(run) == {"csim": None} and run.failures[0].error == "FaceError"
    write_video(tmp_path / "gen.mkv", [*real[:10], *[empty] * 10])
    run = score(tmp_path / "gen.mkv", tmp_path / "gt.mkv", metrics="csim", cache=None, weights={"w600k_r50": r18})
    skipped = run.clips[0].details["csim_frames_without_both_faces"]
    assert 5 <= skipped <= 10 and values(run)["csim"] == pytest.approx(1, abs=1e-3)
    assert any(note.startswith(f"csim: {skipped} of 20 frames") for note in run.clips[0].notes)


def test_cached_vectors_of_the_real_video_give_the_same_numbers(
    r18: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    original = FaceEmbedder.embed
    monkeypatch.setattr(
        FaceEmbedder,
        "embed",
        lambda self, pictures, points: (seen.append(len(pictures)), original(self, pictures, points))[1],
    )
    runs = [
        score(clips / "gen.mkv", clips / "gt.mkv", metrics="csim", cache=clips / "cache", weights={"w600k_r50": r18})
        for _ in range(2)
    ]
    assert values(runs[0]) == values(runs[1]) and seen == [6, 6, 6]


def test_cached_vectors_are_not_taken_for_a_file_under_another_row(r18: Path, clips: Path) -> None:
    """The row brings the preprocessing, so one file under two rows gives two vectors; a wrong row may be named first."""
    gt, cached = clips / "gt.mkv", clips / "cache"
    score(gt, gt, metrics="csim", cache=cached, weights={"mobilefacenet": r18})
    run = score(gt, gt, metrics="csim", cache=cached, weights={"w600k_r50": r18})
    assert values(run)["csim"] == pytest.approx(1, abs=1e-6)


class TestNetwork:
    """Which network is used is said by the user, never by what lies around."""

    def test_the_default_row_is_not_replaced_by_another_file(self, tmp_path: Path) -> None:
        (tmp_path / "mobilefacenet_arcface_foamliu.onnx").write_bytes(b"")
        with pytest.raises(MissingWeights, match="weights pull w600k_r50"):
            Csim(Settings(weights_dir=tmp_path), frozenset({"csim"})).check()

    def test_a_file_given_for_a_row_brings_its_name(self, r18: Path) -> None:
        family = Csim(Settings(weights={"mobilefacenet": r18}), frozenset({"csim"}))
        assert family.signature("csim")["feat"].startswith("mobilefacenet@")

    def test_csim_net_names_a_row(self, tmp_path: Path) -> None:
        (tmp_path / "mobilefacenet_arcface_foamliu.onnx").write_bytes(b"")
        family = Csim(Settings(weights_dir=tmp_path, options={"csim_net": "mobilefacenet"}), frozenset({"csim"}))
        assert family.signature("csim")["feat"].startswith("mobilefacenet@e3b0c442")
        with pytest.raises(UsageError, match="no face recognition"):
            Csim(Settings(options={"csim_net": "yunet"}), frozenset({"csim"})).check()


class TestReference:
    """--reference: an image, a video, or a folder by clip id."""

    def run(self, clips: Path, r18: Path, given: Path) -> Any:
        return score(
            clips / "gen.mkv",
            clips / "gt.mkv",
            metrics="csim,csim_ref",
            cache=None,
            weights={"w600k_r50": r18},
            reference=given,
        )

    def test_image_video_and_folder(self, r18: Path, clips: Path) -> None:
        cv2.imwrite(str(clips / "person.png"), frames(1)[0][..., ::-1])
        (clips / "folder").mkdir()
        shutil.copy(clips / "gt.mkv", clips / "folder" / "gen.mkv")
        (clips / "folder" / "gen.txt").write_text("not a video")
        found = {}
        for name in ("person.png", "gt.mkv", "folder"):
            run = self.run(clips, r18, clips / name)
            assert not run.failures
            score_ref = next(s for s in run.scores if s.metric == "csim_ref")
            found[name] = score_ref.value
            assert score_ref.value < score_ref.gt_value <= 1, "the real video is nearer to itself than the blurred one"
            assert "ref:template5" in score_ref.signature
        assert found["gt.mkv"] == found["folder"]

    def test_none_given_or_not_there(self, r18: Path, clips: Path) -> None:
        with pytest.raises(UsageError, match="give --reference"):
            score(clips / "gen.mkv", clips / "gt.mkv", metrics="csim_ref", cache=None, weights={"w600k_r50": r18})
        with pytest.raises(UsageError, match="no such file"):
            self.run(clips, r18, clips / "nobody.png")

    def test_a_reference_without_a_face_fails_csim_ref_alone(self, r18: Path, clips: Path) -> None:
        cv2.imwrite(str(clips / "grey.png"), np.full((128, 128, 3), 128, np.uint8))
        run = self.run(clips, r18, clips / "grey.png")
        assert values(run)["csim"] is not None and values(run)["csim_ref"] is None
        assert [f.metric for f in run.failures] == ["csim_ref"]

    def test_ids_stay_in_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "secret.mkv").write_bytes(b"")
        settings = Settings(reference=tmp_path / "folder")
        with pytest.raises(MetricError, match="leads out"):
            reference.find(settings, "../secret")
        with pytest.raises(MetricError, match="none"):
            reference.find(settings, "absent")
        for suffix in (".png", ".mkv"):
            (tmp_path / "folder" / f"a{suffix}").write_bytes(b"")
        with pytest.raises(MetricError, match=r"a\.mkv, a\.png"):
            reference.find(settings, "a")
