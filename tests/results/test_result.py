"""A result prints itself, becomes a table of pandas, and finds its videos from any folder."""

from __future__ import annotations

import html.parser
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.clips import frames, sound, write
from support.runs import run

import lipsync_eval
from lipsync_eval import Result, Settings
from lipsync_eval.errors import OutputError, UsageError

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    real = list(frames(6))
    write(root / "gt" / "a.mkv", real, sound(6))
    write(root / "gen" / "a.mkv", [np.roll(f, 1, 0) for f in real], sound(6))
    return root


@pytest.fixture(scope="module")
def scored(folder: Path) -> Result:
    how = Settings(protocol="raw", cache_dir=None)
    return lipsync_eval.score(folder / "gen", folder / "gt", metrics=["psnr", "ssim"], settings=how, out=folder / "run")


def test_it_prints_the_table_that_score_shows(scored: Result) -> None:
    text = str(scored)
    assert max(map(len, text.splitlines()[:4])) <= 80
    assert "psnr (dB)" in text and "signature: " in text
    line = str(scored["psnr"])
    assert line.startswith("PSNR|agg:clip-mean|") and "\n" not in line
    assert f" = {scored['psnr'].value:.3f} dB (1 of 1 clips)" in line
    assert scored["psnr"].signature in line
    assert repr(scored) == "<Result 'gen': 2 metrics, 1 clips, 0 failures>"
    assert len(repr(scored["psnr"])) < 60


def test_both_means_of_an_offset_are_printed() -> None:
    result = run("a", {"av_offset": [5.0, -5.0, 0.0, 0.0]})
    assert "mean of absolute values" in str(result) and " 2.5" in str(result)
    assert "mean of absolute values 2.5" in str(result["av_offset"])
    assert "-0.0" not in str(run("a", {"av_offset": [-0.01, 0.0]}))


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_a_notebook_shows_text_as_text() -> None:
    result = run("a", {"psnr": [None, 30.0]}, ids=[HOSTILE, "b"])
    shown = result._repr_html_()
    assert Tags(shown).seen == {"table", "thead", "tbody", "tr", "td", "th", "pre"}
    assert "\x1b" not in shown + str(result)


def test_frames_of_pandas_and_numpy(scored: Result) -> None:
    scores, clips = scored.scores_frame(), scored.clips_frame()
    assert list(scores.index) == ["psnr", "ssim"]
    assert scores.loc["psnr", "value"] == scored["psnr"].value
    assert np.isnan(scores.loc["psnr", "low"]), "one clip has no interval"
    assert clips.loc["a", "ssim"] == scored.clips[0].values["ssim"]
    assert clips["psnr"].dtype == np.float64
    per_frame = scored.frames("psnr")
    assert per_frame["a"].shape == (6,)
    assert np.mean(per_frame["a"]) == pytest.approx(scored["psnr"].value)
    with pytest.raises(UsageError, match="there are: psnr, ssim"):
        scored.frames("lmd")
    with pytest.raises(UsageError, match=r"Result\.load"):
        run("a", {"psnr": [1.0]}).frames("psnr")


def test_a_failed_clip_is_nan_in_the_frame() -> None:
    assert np.isnan(run("a", {"psnr": [None, 30.0]}).clips_frame().loc["clip000", "psnr"])


def test_save_and_load(scored: Result, tmp_path: Path) -> None:
    path = scored.save(tmp_path / "copy")
    again = Result.load(path)
    assert again == scored == Result.load(tmp_path / "copy")
    np.testing.assert_array_equal(again.frames("ssim")["a"], scored.frames("ssim")["a"])
    with pytest.raises(OutputError, match="holds a run already"):
        scored.save(tmp_path / "copy")
    scored.save(tmp_path / "copy", overwrite=True)


def test_a_result_without_a_folder_keeps_its_frames(folder: Path, tmp_path: Path) -> None:
    how = Settings(protocol="raw", cache_dir=None)
    result = lipsync_eval.score(folder / "gen", folder / "gt", metrics="psnr", settings=how)
    assert result.frames("psnr")["a"].shape == (6,)
    assert Result.load(result.save(tmp_path / "r")).frames("psnr")["a"].shape == (6,)


def test_paths_work_from_any_folder_and_after_a_move(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "gen", tmp_path / "work" / "gen")
    shutil.copytree(folder / "gt", tmp_path / "work" / "gt")
    monkeypatch.chdir(tmp_path / "work")
    how = Settings(protocol="raw", cache_dir=None)
    result = lipsync_eval.score("gen", "gt", metrics="psnr", settings=how, out="runs/a")
    assert result.clips[0].gen == str(tmp_path / "work" / "gen" / "a.mkv")
    held = json.loads(Path("runs/a/results.json").read_text())
    assert held["clips"][0]["gen"] == "../../gen/a.mkv"
    assert held["data"]["gt"] == "../../gt"
    assert (Path("runs/a") / held["clips"][0]["gt"]).exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").rename(tmp_path / "moved")
    again = Result.load(tmp_path / "moved" / "runs" / "a")
    assert again.clips[0].gen == str(tmp_path / "moved" / "gen" / "a.mkv")
    assert Path(str(again.clips[0].gt)).exists()


def test_what_score_is_not_given_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="real videos"):
        lipsync_eval.score(folder / "gen", metrics="psnr")
    with pytest.raises(TypeError):
        lipsync_eval.score(folder / "gen", folder / "gt", roii="x")  # type: ignore[call-arg]


def test_the_plan_is_a_field(scored: Result) -> None:
    assert scored.run.plan is not None and set(scored.run.plan) >= {"signatures", "pairs", "seed"}
    assert not scored.run.model_extra
