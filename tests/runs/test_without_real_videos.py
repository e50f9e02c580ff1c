"""`score GEN` without real videos, and `--setting cross`, through the real entry point; and what metrics say they need."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import blurred, frames, pair_folders, sound, write
from support.perception import write_inception
from support.quality import write_fvd

import lipsync_eval
from lipsync_eval.cli import run as cli
from lipsync_eval.engine.real_videos import fitting
from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.fid import Fid
from lipsync_eval.metrics.fvd.family import Fvd
from lipsync_eval.metrics.registry import get_spec, select, specs
from lipsync_eval.settings import Settings

N = 55
MORE = 15
"""Frames that real videos of other speech are longer."""
NONE = [
    name
    for name, spec in specs().items()
    if spec.real_video == "none" and not spec.needs & {"weights", "npz", "reference", "experiment"}
]
PAGE = Path(__file__).parents[2] / "docs" / "settings-self-cross.md"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gen and gt with clips of one length; other with longer real clips of other speech."""
    root = tmp_path_factory.mktemp("videos")
    pair_folders(root, ("a", "b"), n=N)
    for i, name in enumerate("ab"):
        write(root / "other" / f"{name}.mkv", frames(N + MORE, seed=i + 7), sound(N + MORE, i + 7))
    return root


@pytest.fixture(autouse=True)
def _one_cache(videos: Path, _own_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces of these clips are followed once, not once a test."""
    monkeypatch.setenv("LIPSYNC_EVAL_CACHE", str(videos / "cache"))


def results(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))
    return data


def by_metric(folder: Path) -> dict[str, Any]:
    return {score["metric"]: score for score in results(folder)["scores"]}


def keys(signature: str) -> dict[str, str]:
    return dict(part.split(":", 1) for part in signature.split("|"))


@pytest.mark.parametrize("name", specs())
def test_every_metric_works_without_real_videos_or_is_refused_by_name(name: str) -> None:
    spec = get_spec(name)
    assert spec.real is not None, "this package's own metrics state it"
    assert spec.real_video != "none" or not any(need.startswith("gt.") for need in spec.needs)
    if spec.real_video == "none":
        assert fitting((name,), name, Settings(), real=False).metrics == (name,)
        return
    with pytest.raises(UsageError, match=rf"(?s)no GT is given.*\b{name}\b.*Give GT"):
        fitting((name,), name, Settings(), real=False)
    assert fitting((name,), name, Settings(), real=True).metrics == (name,)


@pytest.mark.parametrize("name", specs())
def test_every_metric_stays_in_the_setting_cross_or_is_left_out_unless_named(name: str) -> None:
    cross = Settings(setting="cross")
    content = get_spec(name).real_video == "content"
    forced = fitting((name,), name, cross, real=True)
    assert forced.metrics == (name,) and forced.forced == (frozenset({name}) if content else frozenset())
    grouped = fitting((name, "lse_c"), "all", cross, real=True).metrics
    assert (name in grouped) is not content


def test_what_assumes_equal_content() -> None:
    content = {name for name, spec in specs().items() if spec.real_video == "content"}
    assert {
        "psnr",
        "ssim",
        "ms_ssim",
        "lpips",
        "lmd",
        "f_lmd",
        "avs_m",
        "avs_v",
        "lve",
        "akd",
        "mtm",
        "softdtw_mouth",
    } <= content
    stays = {
        "csim",
        "fid",
        "fid_clean",
        "fvd_videogpt",
        "stylesim_points68",
        "lse_c",
        "lse_d",
        "av_offset",
        "avs_u",
        "csim_ref",
    }
    assert not stays & content
    assert {"avs_m_flat", "avs_v_timepool"} <= content and get_spec("avs_u_frameweighted").real_video == "none"


def test_the_page_has_every_metric() -> None:
    text = PAGE.read_text("utf-8")
    table: dict[str, str] = {}
    for kind, names in re.findall(r"^- `(none|set|person|content)`: (.*(?:\n  .*)*)", text, re.M):
        table |= dict.fromkeys(re.findall(r"`([a-z0-9_]+)`", names), kind)
    assert table == {name: spec.real_video for name, spec in specs().items()}


def test_list_and_show_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["list", "metrics"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for name, spec in specs().items():
        assert f" {spec.real_video} " in lines[name], lines[name]
    assert cli(["show", "fid"]) == 0 and "real:          set: a set of real videos" in capsys.readouterr().out


def test_a_group_leaves_the_others_out_and_says_which(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli(
        ["score", str(videos / "gen"), "--out", str(tmp_path / "run"), "--contact-sheet", str(tmp_path / "s.png")]
    )
    said = capsys.readouterr()
    kept = [m for m in select("core") if get_spec(m).real_video == "none"]
    left = [m for m in select("core") if m not in kept]
    assert f"no GT is given: metrics that need real videos are left out: {', '.join(left)}" in said.err
    assert "without a real one" not in said.err
    run = results(tmp_path / "run")
    assert [s["metric"] for s in run["scores"]] == kept and code in (0, 3)
    for score in run["scores"]:
        assert keys(score["signature"])["gt"] == "none" and "align" not in keys(score["signature"])
        assert score["gt_value"] is None and score["n_asked"] == 2
    assert run["data"]["gt"] == run["data"]["gt_digest"] == ""
    for clip in run["clips"]:
        assert clip["gt"] is None and clip["gt_values"] == {} and clip["n_frames"] == N and "gt" not in clip["details"]
        assert not any("real" in note for note in clip["notes"]), clip["notes"]
    assert (tmp_path / "s.png").stat().st_size > 10_000
    assert (
        "a,../" in (tmp_path / "run" / "clips.csv").read_text() or "a,/" in (tmp_path / "run" / "clips.csv").read_text()
    )


def test_all_that_needs_no_weights_runs(videos: Path, tmp_path: Path) -> None:
    cli(["score", str(videos / "gen"), "--metrics", ",".join(NONE), "--out", str(tmp_path / "free"), "--quiet"])
    cli(["score", str(videos / "gen"), str(videos / "gt"), "--metrics", ",".join(NONE), "--crop-from", "own",
         "--out", str(tmp_path / "self"), "--quiet"])  # fmt: skip
    free, beside = results(tmp_path / "free"), results(tmp_path / "self")
    assert [c["values"] for c in free["clips"]] == [c["values"] for c in beside["clips"]]
    assert [s["value"] for s in free["scores"]] == [s["value"] for s in beside["scores"]]
    assert all(c["gt_values"] == {} for c in free["clips"]), "no value of a real video that is not there"
    assert {f["metric"] for f in free["failures"]} == {f["metric"] for f in beside["failures"]}
    assert len([v for c in free["clips"] for v in c["values"].values() if v is not None]) >= 2 * 5


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--metrics", "psnr,mouth_mel_corr"], "psnr: compare with the real video of the same speech"),
        (["--metrics", "all,lmd"], "lmd: compare with"),
        (["--metrics", "fid"], "--fid-stats FILE"),
        (["--metrics", "csim,stylesim_points68"], "csim, stylesim_points68: compare with a real video of the person"),
        (["--metrics", "-mouth_mel_corr,-mouth_mel_offset"], "leaves no metric"),
        (["--setting", "cross"], "--setting cross says what the real videos show"),
        (["--audio", "gt"], "no GT is given"),
        (["--crop-from", "gt"], "no GT is given"),
    ],
)
def test_what_needs_real_videos_is_refused_before_any_work(
    more: list[str], says: str, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["score", str(videos / "gen"), *more, "--out", str(tmp_path / "run")]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_files_and_tables_of_pairs(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["--metrics", "mouth_mel_corr", "--quiet"]
    assert cli(["score", str(videos / "gen" / "a.mkv"), *how, "--out", str(tmp_path / "one")]) == 0
    assert [c["id"] for c in results(tmp_path / "one")["clips"]] == ["a"]
    table = tmp_path / "pairs.csv"
    table.write_text("gen,id,speaker\nb.mkv,x,anna\n")
    assert cli(["score", str(videos / "gen"), "--pairs", str(table), *how, "--out", str(tmp_path / "two")]) == 0
    assert [(c["id"], c["speaker"]) for c in results(tmp_path / "two")["clips"]] == [("x", "anna")]
    table.write_text("gen,gt\nb.mkv,b.mkv\n")
    assert cli(["score", str(videos / "gen"), "--pairs", str(table), *how, "--out", str(tmp_path / "three")]) == 2
    assert "has a column gt, and no GT folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        assert cli(["score", str(tmp_path / folder), *how, "--out", str(tmp_path / "four")]) == 2


def test_a_clip_is_never_left_out_with_the_metrics(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clip that cannot be opened is a failure row of the default metrics; silent clips alone leave none of them."""
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    assert cli(["score", str(tmp_path / "bad.mp4"), "--out", str(tmp_path / "run")]) == 3
    assert {(f["id"], f["stage"]) for f in results(tmp_path / "run")["failures"]} == {("bad", "decode")}
    assert by_metric(tmp_path / "run")["mouth_mel_corr"]["n_asked"] == 1
    write(tmp_path / "silent.mkv", frames(N, seed=1), None)
    capsys.readouterr()
    assert cli(["score", str(tmp_path / "silent.mkv"), "--out", str(tmp_path / "none")]) == 2
    assert "no pair has audio to score" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_workers_resume_table_gate_and_page(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["--metrics", "cpbd,mouth_mel_corr,blink_rate", "--quiet"]
    gen, worse = videos / "gen", tmp_path / "worse"
    for i, name in enumerate("ab"):
        write(worse / f"{name}.mkv", blurred(frames(N, seed=i), 2.0), sound(N, i))
    (worse / "b.mkv").write_bytes(b"no video")
    one, two, bad = (str(tmp_path / name) for name in ("one", "two", "bad"))
    assert cli(["score", str(gen), *how, "--out", one]) == 0
    assert cli(["score", str(gen), *how, "--out", two, "--workers", "2", "--no-cache", "--name", "two"]) == 0
    assert results(Path(one))["clips"] == results(Path(two))["clips"]
    assert (Path(one) / "frames.npz").read_bytes() == (Path(two) / "frames.npz").read_bytes()
    before = (Path(one) / "results.json").read_bytes()
    assert cli(["score", str(gen), *how, "--out", one, "--resume"]) == 0
    assert (Path(one) / "results.json").read_bytes() == before
    assert cli(["score", str(worse), *how, "--out", bad, "--name", "bad"]) == 3
    failed = results(Path(bad))
    assert {(f["id"], f["stage"]) for f in failed["failures"]} == {("b", "decode")} and len(failed["clips"]) == 2
    capsys.readouterr()
    assert cli(["table", one, two, bad]) == 0
    table = capsys.readouterr().out
    assert "CPBD" in table and "GT" not in table.replace("gt:none", "")
    assert cli(["gate", two, "--baseline", one]) == 0
    assert cli(["gate", bad, "--baseline", one]) == 1
    assert cli(["report", one, bad, "--out", str(tmp_path / "page"), "--quiet"]) == 0
    media = {p.stem for p in (tmp_path / "page" / "media").iterdir()}
    assert media == {"000000-0", "000001-0", "000000-1"}
    assert cli(["plot", one, "--out", str(tmp_path / "plots")]) == 0
    assert cli(["study", one, "--out", str(tmp_path / "study"), "--with-real"]) == 2
    assert "was scored without real videos" in capsys.readouterr().err


def test_a_run_with_real_videos_is_another_measurement(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ["--metrics", "mouth_mel_corr", "--quiet"]
    free, beside = str(tmp_path / "free"), str(tmp_path / "beside")
    assert cli(["score", str(videos / "gen"), *how, "--out", free]) == 0
    assert cli(["score", str(videos / "gen"), str(videos / "gt"), *how, "--out", beside, "--name", "beside"]) == 0
    capsys.readouterr()
    assert cli(["table", free, beside]) == 2
    assert "gt: none in" in capsys.readouterr().err
    assert cli(["gate", free, "--baseline", beside]) == 2
    assert cli(["explain", free, beside]) == 2
    assert "gt (whether there were real videos): none | absent" in capsys.readouterr().out
    assert cli(["table", free, beside, "--ignore", "gt", "--ignore", "align"]) == 0
    capsys.readouterr()
    assert cli(["table", free, beside, "--group-by", "dataset"]) == 0
    assert "\nno real videos\n" in capsys.readouterr().out
    for command in (["table", free, free + "=x"], ["gate", free, "--baseline", free]):
        assert cli([*command, "--ignore", "algin"]) == 2
        assert "no key of a signature 'algin'. Did you mean align?" in capsys.readouterr().err


def test_cross_measures_each_video_by_itself(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = "core,cpbd,blink_error,fdd,head_dynamics"
    alone = "mouth_mel_corr,cpbd,head_dynamics"
    out = tmp_path / "cross"
    code = cli(
        [
            "score",
            str(videos / "gen"),
            str(videos / "other"),
            "--setting",
            "cross",
            "--metrics",
            metrics,
            "--out",
            str(out),
        ]
    )
    err = capsys.readouterr().err
    assert "GT shows other speech" in err and "psnr, psnr_pooled, ssim" in err and code in (0, 3)
    run, found = results(out), by_metric(out)
    assert "psnr" not in found and not any(f["stage"] == "align" for f in run["failures"])
    for score in found.values():
        parts = keys(score["signature"])
        assert parts["setting"] == "cross" and "align" not in parts
    for clip in run["clips"]:
        assert clip["n_frames"] == N and clip["details"]["gt"]["frames_cropped"] == N + MORE
        assert not any("cut to" in note for note in clip["notes"])
    # the real video's own values are those of the whole real video, the generated one's those of a run without it
    cli(
        [
            "score",
            str(videos / "other"),
            "--metrics",
            alone,
            "--out",
            str(tmp_path / "real"),
            "--quiet",
        ]
    )
    cli(
        [
            "score",
            str(videos / "gen"),
            "--metrics",
            alone,
            "--out",
            str(tmp_path / "free"),
            "--quiet",
        ]
    )
    real, free = results(tmp_path / "real"), results(tmp_path / "free")
    for metric in ("cpbd", "mouth_mel_corr", "head_dynamics"):
        assert [c["gt_values"][metric] for c in run["clips"]] == [c["values"][metric] for c in real["clips"]]
        assert [c["values"][metric] for c in run["clips"]] == [c["values"][metric] for c in free["clips"]]
    assert all(found[m]["n_scored"] == 2 for m in ("stylesim_points68", "blink_error", "fdd"))


def test_a_forced_metric_is_measured_as_in_self(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, setting in (("self", "self"), ("cross", "cross")):
        how = ["--metrics", "psnr,lmd,mouth_mel_corr", "--setting", setting, "--out", str(tmp_path / name)]
        assert cli(["score", str(videos / "gen"), str(videos / "gt"), *how]) == 0
    err = capsys.readouterr().err
    assert "psnr, lmd: in the setting cross the real video shows other speech" in err
    a, b = by_metric(tmp_path / "self"), by_metric(tmp_path / "cross")
    for metric in ("psnr", "lmd"):
        assert a[metric]["value"] == b[metric]["value"]
        assert "setting" not in keys(a[metric]["signature"]) and keys(b[metric]["signature"])["setting"] == "cross"
        assert keys(b[metric]["signature"])["align"] == "trim5" and "only because it was named" in b[metric]["notes"][0]
    assert cli(["table", str(tmp_path / "self"), f"{tmp_path / 'cross'}=cross"]) == 2
    # where the lengths differ only the forced metric fails
    how = ["--metrics", "psnr,mouth_mel_corr", "--setting", "cross", "--quiet", "--out", str(tmp_path / "other")]
    assert cli(["score", str(videos / "gen"), str(videos / "other"), *how]) == 3
    run = results(tmp_path / "other")
    assert {(f["stage"], f["metric"]) for f in run["failures"]} == {("align", "psnr")}
    assert all(c["values"]["mouth_mel_corr"] is not None for c in run["clips"])


@pytest.mark.parametrize("more", [["--audio", "gt"], ["--crop-from", "gt"]])
def test_cross_refuses_what_needs_the_same_speech(more: list[str], videos: Path, tmp_path: Path) -> None:
    both = [str(videos / "gen"), str(videos / "other")]
    assert cli(["score", *both, "--setting", "cross", *more, "--out", str(tmp_path / "run")]) == 2


def test_from_python(videos: Path) -> None:
    result = lipsync_eval.score(videos / "gen", metrics=["cpbd"], settings=Settings(cache_dir=None, protocol="raw"))
    assert result["cpbd"].value is not None and "gt:none" in result["cpbd"].signature
    with pytest.raises(UsageError, match="no GT is given"):
        lipsync_eval.score(videos / "gen", metrics="psnr")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_inception(folder)
    write_fvd(folder)
    return folder


def means(crops: np.ndarray) -> np.ndarray:
    """(N, h, w, 3) uint8 -> (N, 12) means of quarters."""
    n, h, w, _ = crops.shape
    parts = crops[:, : h // 2 * 2, : w // 2 * 2].reshape(n, 2, h // 2, 2, w // 2, 3).mean((2, 4))
    return parts.reshape(n, 12).astype(np.float32)


class TestStatistics:
    """--fid-stats and --fvd-stats: written with real videos, read without."""

    def test_written_and_read(
        self,
        weights: Path,
        videos: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("LIPSYNC_EVAL_WEIGHTS", str(weights))
        for side in ("gen", "gt"):
            for i, name in enumerate("ab"):
                write(
                    tmp_path / side / f"{name}.mkv",
                    blurred(frames(12, size=96, seed=i), 1.5 if side == "gen" else 0.1),
                    sound(12, i),
                )
        gen, gt = str(tmp_path / "gen"), str(tmp_path / "gt")
        stats = ["--fid-stats", str(tmp_path / "fid.npz"), "--fvd-stats", str(tmp_path / "fvd.npz")]
        how = ["--metrics", "fid,fvd_videogpt", "--protocol", "raw", "--option", "fvd_frames=10", "--quiet"]
        named = {"fid_stats": tmp_path / "fid.npz", "fvd_stats": tmp_path / "fvd.npz", "fvd_frames": 10}
        settings = Settings(protocol="raw", options=named, weights_dir=weights)  # type: ignore[arg-type]
        monkeypatch.setattr("lipsync_eval.metrics.fid.DIM", 12)
        with monkeypatch.context() as patch:  # in this process, so that cheap features take the networks' place
            patch.setattr(Fid, "embed", lambda self, crops, metric: means(crops))
            patch.setattr(Fvd, "embed", lambda self, window, metric: means(np.stack(window)).mean(0))
            for name, real in (("w", gt), ("r", gt), ("f", None)):
                out = tmp_path / name
                lipsync_eval.score(gen, real, metrics="fid,fvd_videogpt", settings=settings, out=out, name=name)
        written, read, free = (by_metric(tmp_path / name) for name in "wrf")
        for metric in ("fid", "fvd_videogpt"):
            assert written[metric]["value"] == pytest.approx(read[metric]["value"], rel=1e-6)
            assert written[metric]["value"] == pytest.approx(free[metric]["value"], rel=1e-6)
            assert written[metric]["signature"] == read[metric]["signature"]
            mine = keys(free[metric]["signature"])
            assert mine["gt"] == "none" and mine["real"] == keys(read[metric]["signature"])["real"]
            assert any("real side: statistics of" in note for note in free[metric]["notes"])
        assert cli(["table", str(tmp_path / "w"), str(tmp_path / "r")]) == 0
        assert cli(["gate", str(tmp_path / "r"), "--baseline", str(tmp_path / "w")]) == 0
        capsys.readouterr()
        for other, says in (
            (["--protocol", "wav2lip"], "proto: raw.1 there, wav2lip.1 here"),
            (["--option", "fvd_start=1"], "start: 0 there, 1 here"),
            (["--option", "fvd_extrapolate=1"], "takes neither --fvd-stats"),
        ):
            told = [*how, *stats, *other, "--out", str(tmp_path / "no")]
            assert cli(["score", gen, *told]) == 2
            assert says in capsys.readouterr().err
        with np.load(tmp_path / "fvd.npz") as file:
            assert json.loads(str(file["fvd_videogpt_facts"]))["metric"] == "fvd_videogpt.1"

    def test_a_missing_file_is_refused(
        self, weights: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LIPSYNC_EVAL_WEIGHTS", str(weights))
        told = ["--metrics", "fid", "--fid-stats", str(tmp_path / "none.npz"), "--out", str(tmp_path / "run")]
        assert cli(["score", str(videos / "gen"), *told]) == 2


def test_a_real_dubbed_clip(data: Path, tmp_path: Path) -> None:
    clip = "hyperlips_gen4"
    gen, gt = (tmp_path / "gen", tmp_path / "gt")
    for folder, name in ((gen, clip), (gt, clip.replace("gen", "src"))):
        folder.mkdir()
        shutil.copy(data / "clips" / "dubbed" / f"{name}.mp4", folder / "a.mp4")
    how = [
        "--metrics",
        "mouth_mel_corr,cpbd,stylesim_points68",
        "--setting",
        "cross",
        "--out",
        str(tmp_path / "run"),
        "--quiet",
    ]
    assert cli(["score", str(gen), str(gt), *how]) == 0
    (row,) = results(tmp_path / "run")["clips"]
    assert row["details"]["gt"]["n_frames"] > row["n_frames"] + 5
    assert 0.1 < row["values"]["mouth_mel_corr"] < 0.8 and row["gt_values"]["mouth_mel_corr"] > 0.1
