"""Shards, killed and started again, put together: equal to the byte to the run that was never divided."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import write
from support.kills import SCRIPT, command, make_clips
from support.videos import stamped

import lipsync_eval
from lipsync_eval import Settings
from lipsync_eval.engine.shards import Shard, split
from lipsync_eval.errors import OutputError, ParseError, UsageError
from lipsync_eval.locks import Lock

METRICS = "psnr,ssim,psnr_pooled"
HOW: dict[str, Any] = {"metrics": METRICS, "settings": Settings(protocol="raw", cache_dir=None)}


def line(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def equal(run: Path, whole: Path) -> None:
    """All that a shard or a cluster may not move."""
    one, other = (json.loads((folder / "results.json").read_text("utf-8")) for folder in (run, whole))
    for key in ("scores", "clips", "failures", "data"):
        assert one[key] == other[key], key
    for name in ("clips.csv", "frames.npz"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (run / "journal").exists()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips of unlike length, one without a real video and one that is no video."""
    root = tmp_path_factory.mktemp("clips")
    for i in range(10):
        frames = [np.roll(stamped(k), i, 1) for k in range(3 + 4 * (i % 3))]
        write(root / "gt" / f"c{i}.mkv", [np.roll(f, 1, 1) for f in frames])
        write(root / "gen" / f"c{i}.mkv", frames)
    (root / "gt" / "c7.mkv").unlink()
    (root / "gen" / "c8.mkv").write_bytes(b"no video")
    return root


@pytest.fixture(scope="module")
def whole(clips: Path) -> Path:
    """The run that was never divided."""
    lipsync_eval.score(clips / "gen", clips / "gt", out=clips / "runs" / "whole", **HOW)
    return clips / "runs" / "whole"


def shard(clips: Path, text: str, out: Path, **more: Any) -> Any:
    return lipsync_eval.score_shard(clips / "gen", clips / "gt", text, out=out, **{**HOW, **more})


@pytest.mark.parametrize("of", [1, 3, 16])
@pytest.mark.parametrize("shared", [True, False])
def test_any_number_in_any_order_some_twice(of: int, shared: bool, clips: Path, whole: Path) -> None:
    base = clips / "runs" / f"{of}-{shared}-R"
    numbers = [*range(1, of + 1), 1, of]
    random.Random(of).shuffle(numbers)
    folders = [base if shared else clips / "parts" / f"{of}-{i}" for i in range(len(numbers))]
    measured = set()
    for number, folder in zip(numbers, folders, strict=True):
        report = shard(clips, f"{number}/{of}", folder)
        measured |= set(report.ids)
    assert measured == {f"c{i}" for i in range(10)}
    result = lipsync_eval.merge(list(dict.fromkeys(folders)), out=base)
    equal(base, whole)
    assert result.environment["shards"] == (of if shared else len(numbers)) and result.run.name == "gen"


def test_the_command_line(clips: Path, whole: Path) -> None:
    out = clips / "runs" / "cli"
    head = ("score", clips / "gen", clips / "gt", "--protocol", "raw", "--metrics", METRICS, "--no-cache", "--quiet")
    for number in (2, 3):
        done = line(*head, "--out", out, "--shard", f"{number}/3")
        assert done.returncode in (0, 3) and f"shard {number}/3" in done.stdout, done.stderr
    lacking = line("merge", out)
    assert lacking.returncode == 2 and "Missing shards: 1/3 (" in lacking.stderr and "never started" in lacking.stderr
    assert not (out / "results.json").exists()
    said = json.loads(line(*head, "--out", out, "--shard", "1/3", "--format", "json").stdout)
    assert said["shard"] == "1/3" and said["clips"]
    empty = line(*head, "--out", out, "--shard", "64/64")
    assert empty.returncode == 0 and "0 clips" in empty.stdout, empty.stderr
    merged = line("merge", out)
    assert merged.returncode == 3, merged.stderr
    equal(out, whole)
    again = line("merge", out)
    assert again.returncode == 3 and "complete already" in again.stderr
    after = line(*head[:-1], "--out", out, "--shard", "2/3")
    assert after.returncode in (0, 3) and "complete already" in after.stderr
    for wrong in ("0/3", "4/3", "2", "a/b", "1/0"):
        assert line(*head, "--out", out, "--shard", wrong).returncode == 2
    for more in (["--overwrite"], ["--contact-sheet", "x.png"]):
        refused = line(*head, "--out", out, "--shard", "2/3", *more)
        assert refused.returncode == 2 and more[0] in refused.stderr


def test_a_merge_elsewhere_without_the_videos(clips: Path, whole: Path, tmp_path: Path) -> None:
    """Shards of several machines: same names and sizes, other times; merged where no video is."""
    moved = tmp_path / "moved"
    shutil.copytree(clips / "gen", moved / "gen")
    shutil.copytree(clips / "gt", moved / "gt")
    shard(clips, "1/2", tmp_path / "a")
    shard(moved, "2/2", tmp_path / "b")
    shutil.rmtree(moved)
    result = lipsync_eval.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "c")
    first = lipsync_eval.score(clips / "gen", clips / "gt", **HOW)
    assert result.scores == first.scores and result.data.digest == first.data.digest
    assert (tmp_path / "a" / "journal").is_dir(), "other folders stay as they are"


def test_nothing_scored_says_nothing_of_crops(tmp_path: Path) -> None:
    for side in ("gen", "gt"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.mkv").write_bytes(b"no video")
    how: dict[str, Any] = {"metrics": "psnr", "settings": Settings(cache_dir=None)}
    whole = lipsync_eval.score(tmp_path / "gen", tmp_path / "gt", **how)
    lipsync_eval.score_shard(tmp_path / "gen", tmp_path / "gt", "1/1", out=tmp_path / "one", **how)
    assert lipsync_eval.merge([tmp_path / "one"]).scores == whole.scores
    assert "n:0of1" in whole["psnr"].signature and "crop_from" not in whole["psnr"].signature


def test_what_does_not_belong_together_is_refused(clips: Path, tmp_path: Path) -> None:
    shard(clips, "1/2", tmp_path / "a")
    for more, word in (
        ({"settings": Settings(protocol="raw", cache_dir=None, seed=1)}, "--seed"),
        ({"metrics": "psnr"}, "signatures of psnr_pooled, ssim"),
    ):
        other = tmp_path / word.replace(" ", "")
        shard(clips, "2/2", other, **more)
        with pytest.raises(UsageError, match=word):
            lipsync_eval.merge([tmp_path / "a", other], out=tmp_path / "c")
        with pytest.raises(OutputError, match="started otherwise"):
            shard(clips, "2/2", tmp_path / "a", **more)
    with pytest.raises(UsageError, match="holds no shard"):
        lipsync_eval.merge([tmp_path / "nothing"], out=tmp_path / "c")
    with pytest.raises(UsageError, match="holds no shard"):
        lipsync_eval.merge([tmp_path / "nothing"])
    assert not (tmp_path / "c" / "results.json").exists() and not (tmp_path / "nothing").exists()


def test_a_clip_measured_on_two_videos_is_named(clips: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(clips / "gen", other / "gen")
    shutil.copytree(clips / "gt", other / "gt")
    shard(clips, "1/1", tmp_path / "a")
    shard(other, "1/1", tmp_path / "b")
    path = next(p for p in sorted((tmp_path / "b" / "journal").glob("0*.json")) if '"c3"' in p.read_text())
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "digests": ["0" * 64, data["digests"][1]]}))
    with pytest.raises(UsageError, match="'c3' was measured on other videos"):
        lipsync_eval.merge([tmp_path / "a", tmp_path / "b"], out=tmp_path / "c")


@pytest.mark.parametrize("breakage", ["{", "[]", '{"run": 1}', "plan", "metric"])
def test_a_broken_plan_is_named(breakage: str, clips: Path, tmp_path: Path) -> None:
    shard(clips, "1/1", tmp_path / "a")
    job = tmp_path / "a" / "journal" / "job.json"
    data = json.loads(job.read_text())
    if breakage == "plan":
        del data["pairs"]
    elif breakage == "metric":
        data["signatures"]["nope"] = "metric:nope.1"
    job.write_text(json.dumps(data) if breakage in ("plan", "metric") else breakage)
    with pytest.raises(UsageError, match=r"holds no shard|no plan that this version"):
        lipsync_eval.merge([tmp_path / "a"], out=tmp_path / "c")
    assert issubclass(ParseError, UsageError)


def test_whole_runs_shards_and_merges_exclude_each_other(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    shard(clips, "1/2", out)
    with Lock(out / ".lock-2of2"):
        with pytest.raises(OutputError, match="2of2"):
            lipsync_eval.score(clips / "gen", clips / "gt", out=out, resume=True, **HOW)
        with pytest.raises(OutputError, match="2of2"):
            lipsync_eval.merge(out)
        with pytest.raises(OutputError, match="another job"):
            shard(clips, "2/2", out)
        shard(clips, "1/2", out)
    with Lock(out / ".lock"), pytest.raises(OutputError, match="the whole run"):
        shard(clips, "2/2", out)


def test_an_undivided_run_finishes_what_shards_began(clips: Path, whole: Path) -> None:
    out = clips / "runs" / "taken-over"
    shard(clips, "1/2", out)
    lipsync_eval.score(clips / "gen", clips / "gt", out=out, resume=True, **HOW)
    equal(out, whole)


def test_a_clip_that_cannot_be_scored_for_lack_of_weights(clips: Path, tmp_path: Path) -> None:
    how = {"metrics": "psnr,lpips", "skip_missing": True}
    how["settings"] = Settings(protocol="raw", cache_dir=None, weights_dir=tmp_path / "none", offline=True)
    base = clips / "runs" / "lack"
    lipsync_eval.score(clips / "gen", clips / "gt", out=base / "whole", **how)
    for number in (1, 2):
        shard(clips, f"{number}/2", base / "R", **how)
    lipsync_eval.merge(base / "R")
    equal(base / "R", base / "whole")


@pytest.mark.slow
def test_eight_shards_of_which_three_are_killed(tmp_path: Path) -> None:
    root, dice = make_clips(tmp_path, 24), random.Random(3)
    subprocess.run(command(root, root / "runs" / "whole"), check=True, capture_output=True)
    out = root / "runs" / "shards"
    killed = dice.sample(range(1, 9), 3)
    for number in dice.sample(range(1, 9), 8):
        process = subprocess.Popen(command(root, out, "--shard", f"{number}/8"), stdout=subprocess.DEVNULL)
        if number in killed:
            journal = out / "journal"
            before = len(list(journal.glob("0*.json"))) if journal.is_dir() else 0
            until = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < until and len(list(journal.glob("0*.json"))) <= before:
                time.sleep(0.005)
            process.kill()
            assert process.wait() in (-9, 0)
        else:
            assert process.wait() == 0
    first = line("merge", out)
    if first.returncode == 2:
        assert "Missing shards:" in first.stderr and not (out / "results.json").exists()
        for number in killed:
            subprocess.run(command(root, out, "--shard", f"{number}/8"), check=True, capture_output=True)
        assert line("merge", out).returncode == 0
    equal(out, root / "runs" / "whole")


@given(lengths=st.lists(st.integers(0, 10**6), max_size=80), of=st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_shares_are_even_and_whole(lengths: list[int], of: int) -> None:
    shares = split(lengths, of)
    assert sorted(itertools.chain(*shares)) == list(range(len(lengths))) and len(shares) == of
    assert shares == split(lengths, of) and all(share == sorted(share) for share in shares)
    loads = [sum(lengths[p] for p in share) for share in shares]
    assert max(loads) - min(loads) <= max(lengths, default=0), "no two shares differ by more than the longest clip"


def test_the_shard_of_a_text() -> None:
    assert str(Shard.parse(" 2/8 ")) == "2/8" and Shard.parse("2/8").name == "2of8"
    for text in ("", "0/1", "2/1", "1/1/1", "-1/2", "1/9999999", "１/２"):
        with pytest.raises(UsageError, match="expected NUMBER/OF"):
            Shard.parse(text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gen", []),
        ("digests", "x"),
        ("values", None),
        ("values", {"psnr": 10**400}),
        ("gt_values", None),
        ("notes", [1]),
        ("details", None),
        ("details", {"x": float("nan")}),
        ("failures", None),
        ("failures", "x"),
    ],
)
def test_a_damaged_entry_of_a_shard_counts_as_not_measured(
    clips: Path, key: str, value: object, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    lipsync_eval.score_shard(clips / "gen", clips / "gt", "1/1", out=out, **HOW)
    file = out / "journal" / "000003.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {key: value}), "utf-8")
    with pytest.raises(UsageError, match="1 of 10 clips are not measured yet"):
        lipsync_eval.merge(out)
    lipsync_eval.score_shard(clips / "gen", clips / "gt", "1/1", out=out, **HOW)
    assert len(lipsync_eval.merge(out).clips) == 10
