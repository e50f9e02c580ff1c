"""fid and fid_clean over clips: additive, cached, with statistics that can be kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import blurred, frames
from support.perception import write_inception
from support.scoring import score

from lipsync_eval import check_metric, merge, score_shard
from lipsync_eval import score as engine_score
from lipsync_eval.errors import OtherRun, UsageError
from lipsync_eval.media import write_video
from lipsync_eval.metrics import fid as module
from lipsync_eval.metrics.fid import Fid, _Pile
from lipsync_eval.metrics.helpers.frechet import Moments
from lipsync_eval.types import Settings

DIM = 64
"""Of the cheap features, so that distances are cheap too."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_inception(folder)
    return folder


def fake(self: Fid, crops: np.ndarray, metric: str) -> np.ndarray:
    """Cheap features: 64 mixtures of means of patches; linear in the frames, other ones for fid_clean."""
    if not hasattr(fake, "mix"):
        fake.mix = np.random.default_rng(0).normal(size=(4 * 4 * 3, DIM))  # type: ignore[attr-defined]
    side = crops.shape[1] // 4 * 4
    x = (
        crops[:, :side, :side].reshape(len(crops), 4, side // 4, 4, side // 4, 3).mean((2, 4)).reshape(len(crops), -1)
        / 255
    )
    fake.calls = getattr(fake, "calls", 0) + len(crops)  # type: ignore[attr-defined]
    return (x @ fake.mix * (2 if metric == "fid_clean" else 1)).astype(np.float32)  # type: ignore[attr-defined]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The family with cheap features in place of the network: what is tested is everything around it."""
    monkeypatch.setattr(Fid, "embed", fake)
    monkeypatch.setattr(module, "DIM", DIM)
    fake.calls = 0  # type: ignore[attr-defined]
    return fake


def folders(tmp_path: Path, n: int = 6) -> tuple[Path, Path]:
    for name, sigma in (("gt", 0.0), ("gen", 1.5)):
        (tmp_path / name).mkdir(exist_ok=True)
        for clip in "ab":
            real = frames(n, size=96, seed=ord(clip))
            write_video(tmp_path / name / f"{clip}.mkv", blurred(real, sigma) if sigma else real)
    return tmp_path / "gen", tmp_path / "gt"


def test_contract(quick: Any, weights: Path) -> None:
    report = check_metric(Fid, Settings(weights_dir=weights), n_frames=10)
    assert "worse with more noise" in report.passed


def test_the_network_end_to_end_more_blur_is_worse(weights: Path, tmp_path: Path) -> None:
    real = frames(3)
    write_video(tmp_path / "gt.mkv", real)
    values = []
    for sigma in (1.5, 4):
        write_video(tmp_path / "gen.mkv", blurred(real, sigma) if sigma else real)
        result = score(
            tmp_path / "gen.mkv", tmp_path / "gt.mkv", metrics="fid", protocol="raw", cache=None, weights_dir=weights
        )
        assert not result.failures and result.scores[0].details["n_gen_frames"] == 3
        values.append(result.scores[0].value)
    assert 1e-3 < values[0] < values[1]


def test_pooled_over_clips_not_averaged(quick: Any, weights: Path, tmp_path: Path) -> None:
    gen, gt = folders(tmp_path)
    result = score(gen, gt, metrics="fid,fid_clean", protocol="raw", cache=None, weights_dir=weights)
    first, second = result.scores
    assert first.n_scored == 2 and first.ci is None and first.details["n_gt_frames"] == 12
    assert second.value == pytest.approx(4 * first.value, rel=1e-4)
    assert any("fewer than 2048" in note for note in first.notes)
    assert "fid" not in result.clips[0].values
    assert (
        "agg:pooled" in first.signature and "resize:pytorch" in first.signature and "resize:clean" in second.signature
    )


def test_many_frames_fold_into_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 20)
    x = np.random.default_rng(1).normal(size=(67, 5)).astype(np.float32)
    pile = _Pile()
    for part in np.split(x, [3, 11, 30, 31, 60]):
        pile.add(part)
    state = pile.state("gen")
    assert not pile.small and set(state) == {"gen_n", "gen_mean", "gen_scatter"}
    found, whole = Moments.from_arrays(state, "gen"), Moments.of(x)
    assert found.n == 67
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-10, atol=1e-12)


def test_short_and_long_clips_pool_alike(quick: Any, weights: Path) -> None:
    x = np.random.default_rng(2).normal(size=(40, DIM)).astype(np.float32)
    y = np.random.default_rng(3).normal(size=(40, DIM)).astype(np.float32)
    family = Fid(Settings(weights_dir=weights), frozenset({"fid"}))
    kept = [("a", {"gen_features": x, "gt_features": y})]
    folded = [
        ("a", Moments.of(x[:15]).arrays("gen") | Moments.of(y[:30]).arrays("gt")),
        ("b", {"gen_features": x[15:], "gt_features": y[30:]}),
    ]
    one, two = family.pool("fid", kept), family.pool("fid", folded)
    assert one.value == pytest.approx(two.value, rel=1e-8)


def test_one_frame_has_no_covariance(quick: Any, weights: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames(1, size=96))
    result = score(
        tmp_path / "a.mkv", tmp_path / "a.mkv", metrics="fid", protocol="raw", cache=None, weights_dir=weights
    )
    assert result.scores[0].value is None and "fewer than 2" in result.scores[0].notes[0]


def test_real_features_are_cached_by_content(quick: Any, weights: Path, tmp_path: Path) -> None:
    gen, gt = folders(tmp_path)
    run: dict[str, Any] = {"metrics": "fid", "protocol": "raw", "cache": tmp_path / "cache", "weights_dir": weights}
    first = score(gen, gt, **run)
    assert quick.calls == 24
    again = score(gen, gt, **run)
    assert quick.calls == 36 and again.scores[0].value == first.scores[0].value
    write_video(gt / "a.mkv", frames(6, size=96, seed=9))
    score(gen, gt, **run)
    assert quick.calls == 36 + 18


class TestStats:
    """--fid-stats FILE."""

    def run(self, tmp_path: Path, weights: Path, metrics: str = "fid", **more: Any) -> Any:
        gen, gt = (tmp_path / "gen", tmp_path / "gt") if (tmp_path / "gt").exists() else folders(tmp_path)
        options = {"fid_stats": str(tmp_path / "stats.npz")}
        return score(gen, gt, metrics=metrics, protocol="raw", cache=None, weights_dir=weights, options=options, **more)

    def test_written_then_read(self, quick: Any, weights: Path, tmp_path: Path) -> None:
        first = self.run(tmp_path, weights, "fid,fid_clean")
        assert any("written to stats.npz" in note for note in first.scores[0].notes)
        calls = quick.calls
        second = self.run(tmp_path, weights, "fid,fid_clean")
        assert quick.calls - calls == calls // 2, "the real side is not embedded again"
        for a, b in zip(first.scores, second.scores, strict=True):
            assert a.value == pytest.approx(b.value, rel=1e-9)
            assert "real:stats@" in b.signature and a.signature == b.signature, "one real side: they are compared"
            assert b.details["n_gt_frames"] == 12
        with np.load(tmp_path / "stats.npz") as file:
            assert file["mu"].shape == (DIM,) and file["sigma"].shape == (DIM, DIM)

    def test_files_of_pytorch_fid_are_read(self, quick: Any, weights: Path, tmp_path: Path) -> None:
        np.savez(tmp_path / "stats.npz", mu=np.zeros(DIM), sigma=np.eye(DIM))
        result = self.run(tmp_path, weights)
        assert result.scores[0].value > 0 and result.scores[0].details["n_gt_frames"] is None
        with pytest.raises(UsageError, match="clean_mu and clean_sigma"):
            self.run(tmp_path, weights, "fid_clean")

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            (
                {"mu": np.zeros(2048), "sigma": np.eye(2048), "facts": np.array('{"proto": "radio.1"}')},
                "proto: radio.1 there, raw.1 here",
            ),
            (
                {"mu": np.zeros(2048), "sigma": np.eye(2048), "facts": np.array('{"feat": "inception-fid@00000000"}')},
                "feat: inception-fid@00000000 there",
            ),
            ({"mu": np.zeros(2048), "sigma": np.eye(2048), "facts": np.array("{")}, "facts cannot be read"),
            ({"mu": np.zeros(64), "sigma": np.eye(64)}, "should be finite"),
            ({"mu": np.full(2048, np.nan), "sigma": np.eye(2048)}, "should be finite"),
            ({"mu": np.array({}, dtype=object)}, "no .npz file of numbers"),
        ],
    )
    def test_other_files_are_refused_before_work(
        self, arrays: dict[str, Any], words: str, weights: Path, tmp_path: Path
    ) -> None:
        np.savez(tmp_path / "stats.npz", **arrays)
        with pytest.raises(UsageError, match=words):
            self.run(tmp_path, weights)

    def test_no_folder_to_write_into(self, weights: Path, tmp_path: Path) -> None:
        family = Fid(
            Settings(weights_dir=weights, options={"fid_stats": str(tmp_path / "no" / "stats.npz")}), frozenset({"fid"})
        )
        with pytest.raises(UsageError, match="no folder"):
            family.check()

    def test_a_resumed_run_takes_the_file_that_it_wrote_for_its_own(
        self, quick: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Finished, or killed after the statistics were written and before results.json was."""
        whole = self.run(tmp_path, weights, "fid,fid_clean", out=tmp_path / "whole")
        calls = quick.calls
        again = self.run(tmp_path, weights, "fid,fid_clean", out=tmp_path / "whole", resume=True)
        assert again == whole and quick.calls == calls
        content = (tmp_path / "stats.npz").read_bytes()
        (tmp_path / "stats.npz").unlink()
        with monkeypatch.context() as patch:

            def killed(*_: object) -> None:
                raise KeyboardInterrupt

            patch.setattr("lipsync_eval.engine.score.write_run", killed)
            with pytest.raises(KeyboardInterrupt):
                self.run(tmp_path, weights, "fid,fid_clean", out=tmp_path / "half")
        assert (tmp_path / "stats.npz").exists() and not (tmp_path / "half" / "results.json").exists()
        calls = quick.calls
        half = self.run(tmp_path, weights, "fid,fid_clean", out=tmp_path / "half", resume=True, workers=2)
        assert quick.calls == calls, "no clip is measured anew"
        assert (half.scores, half.clips, half.run.plan) == (whole.scores, whole.clips, whole.run.plan)
        assert (tmp_path / "stats.npz").read_bytes() == content

    def test_a_run_that_read_the_file_is_another(self, quick: Any, weights: Path, tmp_path: Path) -> None:
        self.run(tmp_path, weights, out=tmp_path / "wrote")
        self.run(tmp_path, weights, out=tmp_path / "read")
        with np.load(tmp_path / "stats.npz") as file:
            arrays = dict(file)
        np.savez(tmp_path / "stats.npz", **(arrays | {"mu": arrays["mu"] + 1}))
        with pytest.raises(OtherRun):
            self.run(tmp_path, weights, out=tmp_path / "read", resume=True)
        (tmp_path / "wrote" / "results.json").rename(tmp_path / "kept.json")
        kept = self.run(tmp_path, weights, out=tmp_path / "wrote", resume=True)
        assert "real:" in kept["fid"].signature, "nothing is left to resume: a new run, which reads the file"

    def test_statistics_of_another_run_are_not_replaced(
        self, quick: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two runs began before the file was there; the second to end finds it."""
        family = Fid(Settings(weights_dir=weights, options={"fid_stats": str(tmp_path / "s.npz")}), frozenset({"fid"}))
        assert family.stats is not None
        np.savez(tmp_path / "s.npz", mu=np.ones(DIM), sigma=np.eye(DIM), n=np.array(7), facts=np.array("{}"))
        before = (tmp_path / "s.npz").read_bytes()
        note = family.stats.write("fid", np.zeros(DIM), np.eye(DIM), 7, {})
        assert "not written: s.npz holds other ones by now" in note and (tmp_path / "s.npz").read_bytes() == before
        assert family.stats.signature("fid") == ""
        assert "written to" in family.stats.write("fid", np.ones(DIM), np.eye(DIM), 7, {})

    @pytest.mark.parametrize("metrics", ["fid,fid_clean", "fid"])
    def test_shards_write_them_when_they_are_put_together(
        self, metrics: str, quick: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In another folder, without the network's weights: as the run that was never divided."""
        gen, gt = folders(tmp_path)
        monkeypatch.chdir(tmp_path)
        how = Settings(protocol="raw", cache_dir=None, weights_dir=weights, options={"fid_stats": "stats.npz"})
        for number in (1, 2):
            score_shard(gen, gt, f"{number}/2", out=tmp_path / str(number), metrics=metrics, settings=how)
        whole = engine_score(gen, gt, metrics=metrics, settings=how)
        (tmp_path / "stats.npz").rename(tmp_path / "whole.npz")
        weights.rename(tmp_path / "away")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        try:
            parts = merge([tmp_path / "1", tmp_path / "2"], out=tmp_path / "merged")
        finally:
            (tmp_path / "away").rename(weights)
        assert parts.scores == whole.scores and not parts.failures
        assert all("real:stats@" in s.signature for s in parts.scores)
        with np.load(tmp_path / "stats.npz") as file, np.load(tmp_path / "whole.npz") as other:
            assert set(file.files) == set(other.files)
            for name in file.files:
                np.testing.assert_array_equal(file[name], other[name])

    def test_shards_that_read_them_need_them_to_be_put_together(
        self, quick: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.run(tmp_path, weights)
        gen, gt, file = tmp_path / "gen", tmp_path / "gt", tmp_path / "stats.npz"
        how = Settings(protocol="raw", cache_dir=None, weights_dir=weights, options={"fid_stats": str(file)})
        for number in (1, 2):
            score_shard(gen, gt, f"{number}/2", out=tmp_path / str(number), metrics="fid", settings=how)
        whole = engine_score(gen, gt, metrics="fid", settings=how)
        file.rename(tmp_path / "away.npz")
        shards = [tmp_path / "1", tmp_path / "2"]
        with pytest.raises(UsageError, match=r"stats\.npz: is not here, and the shards were measured with it"):
            merge(shards, out=tmp_path / "merged")
        with np.load(tmp_path / "away.npz") as held:
            np.savez(file, **(dict(held) | {"mu": held["mu"] + 1}))
        with pytest.raises(UsageError, match="has another content now"):
            merge(shards, out=tmp_path / "merged")
        (tmp_path / "away.npz").replace(file)
        assert merge(shards, out=tmp_path / "merged").scores == whole.scores

    def test_a_folder_for_new_ones_is_needed_where_shards_are_put_together(
        self, quick: Any, weights: Path, tmp_path: Path
    ) -> None:
        gen, gt = folders(tmp_path)
        (tmp_path / "there").mkdir()
        options = {"fid_stats": str(tmp_path / "there" / "stats.npz")}
        how = Settings(protocol="raw", cache_dir=None, weights_dir=weights, options=options)
        score_shard(gen, gt, "1/1", out=tmp_path / "one", metrics="fid", settings=how)
        (tmp_path / "there").rmdir()
        with pytest.raises(UsageError, match="no folder to write it into"):
            merge([tmp_path / "one"])
        assert not (tmp_path / "one" / "results.json").exists()
