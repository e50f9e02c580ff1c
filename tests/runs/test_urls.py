"""Videos by URL: the same numbers as from a disk, and failure rows, not crashes, where the network fails."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import sound, write
from support.videos import stamped
from support.web import Web, serving

import lipsync_eval
from lipsync_eval import Settings, urls
from lipsync_eval.cli import run as cli
from lipsync_eval.demo import make_demo
from lipsync_eval.engine.plan import make_plan
from lipsync_eval.errors import MediaError, PairingError, UsageError
from lipsync_eval.media import fetch, open_clip, write_video
from lipsync_eval.media.fetch import LocalFiles
from lipsync_eval.media.pairing import find_pairs
from lipsync_eval.results.schema import Result
from lipsync_eval.urls import Url

if importlib.util.find_spec("aiohttp") is None:
    pytest.skip("aiohttp is not installed (the extra `url`)", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("default::ResourceWarning")  # fsspec closes its sessions when the process ends

HOW: dict[str, Any] = {"metrics": "psnr,ssim", "settings": Settings(protocol="raw", cache_dir=None)}
NAMES = ("a", "b c", "d%20", "e")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs in web/, one with an audio file, and their tables: by path and by URL (cells relative to GEN and GT)."""
    root = tmp_path_factory.mktemp("urls")
    for i, name in enumerate(NAMES):
        frames = [np.roll(stamped(k), i, 1) for k in range(4 + i)]
        write(root / "web" / "gt" / f"{name}.mkv", [np.roll(f, 1, 1) for f in frames])
        write(root / "web" / "gen" / f"{name}.mkv", frames, sound(4 + i))
    with (root / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["gen", "gt"])
        table.writerows([f"{name}.mkv", f"{name}.mkv"] for name in NAMES)
    return root


@pytest.fixture
def web(disk: Path) -> Iterator[Web]:
    with serving(disk / "web") as found:
        yield found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waiting between tries, and temporary files of this test alone."""
    monkeypatch.setattr(fetch, "PAUSES", (0.0, 0.01))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)


def left(tmp_path: Path) -> list[str]:
    """What lies in the folders for copies."""
    return [p.name for root in (tmp_path / "tmp").glob("lipsync-eval-urls-*") for p in root.iterdir()]


def by_path(disk: Path, **more: Any) -> Any:
    how = {**HOW, "pairs": disk / "pairs.csv", **more}
    return lipsync_eval.score(disk / "web" / "gen", disk / "web" / "gt", **how)


def by_url(disk: Path, web: Web, **more: Any) -> Any:
    how = {**HOW, "pairs": disk / "pairs.csv", **more}
    return lipsync_eval.score(f"{web.address}/gen", f"{web.address}/gt", **how)


def table(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("gen", "gt")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def equal(found: Any, whole: Any, address: str) -> None:
    assert found.scores == whole.scores and found.failures == whole.failures
    assert (found.data.digest, found.data.gt_digest) == (whole.data.digest, whole.data.gt_digest)
    for one, other in zip(found.clips, whole.clips, strict=True):
        assert one.id == other.id and one.values == other.values and one.details == other.details
        assert one.gen.startswith(f"{address}/gen/") and one.gt.startswith(f"{address}/gt/")


def test_the_same_as_from_a_disk(disk: Path, web: Web, tmp_path: Path) -> None:
    whole, found = by_path(disk), by_url(disk, web, out=tmp_path / "run")
    equal(found, whole, web.address)
    assert [c.id for c in found.clips] == sorted(NAMES) and left(tmp_path) == []
    assert found.data.gen == f"{web.address}/gen"
    again = Result.load(tmp_path / "run")
    assert again.clips == found.clips and "../" not in (tmp_path / "run" / "clips.csv").read_text("utf-8")
    assert web.asked["GET /gen/a.mkv"] == 1, "a clip is fetched once"


def test_every_way_of_running(disk: Path, web: Web, tmp_path: Path) -> None:
    whole = by_url(disk, web, out=tmp_path / "whole")
    for number in (2, 3, 1):
        place = f"{web.address}/gen", f"{web.address}/gt", f"{number}/3"
        lipsync_eval.score_shard(*place, out=tmp_path / "shards", pairs=disk / "pairs.csv", **HOW)
    merged = lipsync_eval.merge(tmp_path / "shards")
    ways = {"shards": merged, "workers": by_url(disk, web, out=tmp_path / "workers", workers=2)}
    if importlib.util.find_spec("distributed") is not None:
        ways["cluster"] = by_url(disk, web, out=tmp_path / "cluster", cluster="local:2")
    for name, found in ways.items():
        equal(found, whole, web.address)
        assert (tmp_path / name / "clips.csv").read_bytes() == (tmp_path / "whole" / "clips.csv").read_bytes()
    assert left(tmp_path) == []


def test_the_cache_knows_the_content(tmp_path: Path) -> None:
    """What was found in files on a disk holds for the same bytes by URL."""
    make_demo(tmp_path / "demo")
    for side in ("gen", "gt"):
        path = sorted((tmp_path / "demo" / side).iterdir())[0]
        (tmp_path / "web" / side).mkdir(parents=True)
        write_video(tmp_path / "web" / side / "a.mkv", np.stack(list(open_clip(path).frames(0, 3))), codec="lossless")
    how: dict[str, Any] = {"metrics": "lmd", "settings": Settings(cache_dir=tmp_path / "cache")}

    def cached() -> list[str]:
        return sorted(p.name for p in (tmp_path / "cache").rglob("*.np*"))

    whole = lipsync_eval.score(tmp_path / "web" / "gen" / "a.mkv", tmp_path / "web" / "gt" / "a.mkv", **how)
    held = cached()
    with serving(tmp_path / "web") as web:
        found = lipsync_eval.score(f"{web.address}/gen/a.mkv", f"{web.address}/gt/a.mkv", **how)
    assert held and cached() == held and found.scores == whole.scores and not found.failures


def test_a_network_that_fails_gives_failure_rows(disk: Path, web: Web, tmp_path: Path) -> None:
    web.flaky = {"/gen/a.mkv": 2, "/gt/b c.mkv": -1}
    web.cut = {"/gen/e.mkv"}
    rows = [("a.mkv", "a.mkv"), ("b c.mkv", "b c.mkv"), ("e.mkv", "e.mkv"), ("none.mkv", "d%20.mkv")]
    found = by_url(disk, web, pairs=table(tmp_path / "t.csv", rows), out=tmp_path / "run")
    said = {row.id: (row.stage, row.error, row.message) for row in found.failures}
    assert set(said) == {"b c", "e", "none"} and {s[:2] for s in said.values()} == {("decode", "MediaError")}
    assert "cannot be read in 3 tries (503" in said["b c"][2] and f"{web.address}/gt/b%20c.mkv" in said["b c"][2]
    assert "does not exist" in said["none"][2] and "cannot be read in 3 tries" in said["e"][2]
    assert web.asked["GET /gen/a.mkv"] == 3 and left(tmp_path) == []
    assert found["psnr"].n_scored == 1 and found["psnr"].n_asked == 4


def test_a_file_that_is_too_large(disk: Path, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MOST_BYTES", 100)
    for size in (None, 10**6):  # the server says so when it answers; or has said so before
        with LocalFiles() as files, pytest.raises(MediaError, match="larger than 100 bytes"):
            files.of(Url(f"{web.address}/gen/a.mkv", size=size))
        assert left(tmp_path) == []


def test_no_secret_is_written(disk: Path, web: Web, tmp_path: Path) -> None:
    """Signed addresses (for GET alone) and a password: in no file, not on stdout or stderr; another signature goes on."""
    web.no_head, web.closed = True, {"/gen/a.mkv"}
    host = web.address.partition("//")[2]

    def line(secret: str, *more: str) -> subprocess.CompletedProcess[str]:
        cells = (f"http://USER:PASS@{host}/gen/a.mkv?sig={secret}", f"http://USER:PASS@{host}/gt/a.mkv?other=SECRET")
        bad = (f"http://USER:PASS@{host}/gen/none.mkv?sig=SECRET", cells[1])
        pairs = table(tmp_path / "t.csv", [(*cells, "a"), (*bad, "z")], ("gen", "gt", "id"))
        start = [
            sys.executable,
            "-m",
            "lipsync_eval",
            "score",
            f"http://USER:PASS@{host}/gen/",
            f"http://USER:PASS@{host}/gt",
        ]
        how = [
            "--pairs",
            str(pairs),
            "--metrics",
            "psnr",
            "--protocol",
            "raw",
            "--no-cache",
            "--out",
            str(tmp_path / "run"),
        ]
        return subprocess.run([*start, *how, *more], capture_output=True, text=True)

    done = line("SECRET")
    assert done.returncode == 3, done.stderr
    again = line("SECRET&more=SECRET", "--resume")
    assert again.returncode == 3 and "complete already" in again.stderr, again.stderr
    shown = [done.stdout, done.stderr, again.stdout, again.stderr]
    files = [p.read_bytes().decode("latin-1") for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert not [text for text in (*shown, *files) if "SECRET" in text or "PASS" in text or "USER" in text]
    result = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert result["clips"][0]["gen"] == f"{web.address}/gen/a.mkv" and result["clips"][0]["values"]["psnr"]
    assert [row["id"] for row in result["failures"]] == ["z"]


class TestFoldersThatCanBeListed:
    """As of s3:// and gs://; here fsspec's own memory."""

    @pytest.fixture(autouse=True)
    def _memory(self, monkeypatch: pytest.MonkeyPatch, disk: Path) -> Iterator[None]:
        import fsspec

        monkeypatch.setitem(urls.SCHEMES, "memory", urls.Scheme("", "", lists=True))
        system = fsspec.filesystem("memory")
        system.put(str(disk / "web"), "/bucket", recursive=True)
        yield
        system.rm("/bucket", recursive=True)

    def test_as_a_folder_on_a_disk(self, disk: Path, tmp_path: Path) -> None:
        import fsspec

        whole = lipsync_eval.score(disk / "web" / "gen", disk / "web" / "gt", **HOW)
        found = lipsync_eval.score("memory://bucket/gen", "memory://bucket/gt", **HOW)
        equal(found, whole, "memory://bucket")
        mixed = lipsync_eval.score("memory://bucket/gen/", disk / "web" / "gt", **HOW)
        assert mixed.scores == whole.scores and mixed.run.name == "gen" and left(tmp_path) == []
        system = fsspec.filesystem("memory")
        for name in (".hidden.mkv", "x/.y/z.mkv", "deep/a.mkv", "notes.txt"):
            system.pipe(f"/bucket/gen/{name}", b"x")
        system.pipe("/bucket/gen/e.wav", b"x")
        pairs = {p.id: p for p in find_pairs(Url.parse("memory://bucket/gen"), disk / "web" / "gt").pairs}
        assert set(pairs) == {*NAMES, "deep/a"} and str(pairs["e"].audio) == "memory://bucket/gen/e.wav"
        system.pipe("/bucket/gen/e.mp3", b"x")
        with pytest.raises(PairingError, match="2 audio files"):
            find_pairs(Url.parse("memory://bucket/gen"), disk / "web" / "gt")

    def test_an_audio_file_of_its_own(self, disk: Path, tmp_path: Path) -> None:
        """Its note and its place in the result are as from a disk."""
        for root in (tmp_path / "d" / "gen", tmp_path / "d" / "gt"):
            root.mkdir(parents=True)
            shutil.copy(disk / "web" / root.name / "a.mkv", root / "a.mkv")
        write(tmp_path / "own.mkv", [stamped(k) for k in range(4)], sound(4, 1))
        shutil.copy(tmp_path / "own.mkv", tmp_path / "d" / "gen" / "a.m4a")
        import fsspec

        fsspec.filesystem("memory").put(str(tmp_path / "d"), "/bucket/own", recursive=True)
        how = {"metrics": "psnr,mouth_audio_corr", "settings": Settings(protocol="raw", cache_dir=None)}
        one = lipsync_eval.score(tmp_path / "d" / "gen", tmp_path / "d" / "gt", **how)
        two = lipsync_eval.score("memory://bucket/own/gen", "memory://bucket/own/gt", **how)
        assert two.clips[0].notes == one.clips[0].notes and two.failures == one.failures
        assert two.clips[0].details["gen"]["sound_file"] == "memory://bucket/own/gen/a.m4a"
        assert any("'a.m4a'" in note for note in two.clips[0].notes)

    def test_what_is_not_there(self) -> None:
        with pytest.raises(PairingError, match="holds no video"):
            lipsync_eval.score("memory://bucket/none", "memory://bucket/gt", **HOW)
        with pytest.raises(PairingError, match="no such file"):
            lipsync_eval.score("memory://bucket/gen/none.mkv", "memory://bucket/gt/a.mkv", **HOW)

    def test_single_files(self, tmp_path: Path) -> None:
        found = lipsync_eval.score("memory://bucket/gen/b c.mkv", "memory://bucket/gt/a.mkv", **HOW)
        assert [c.id for c in found.clips] == ["b c"] and found.run.name == "b c" and left(tmp_path) == []

    def test_core_without_audio_is_left_out_as_from_a_disk(self, disk: Path) -> None:
        plan = make_plan(Url.parse("memory://bucket/gt"), disk / "web" / "gt", "core", Settings(cache_dir=None))
        local = make_plan(disk / "web" / "gt", disk / "web" / "gt", "core", Settings(cache_dir=None))
        assert plan.metrics == local.metrics and "mouth_mel_corr" not in plan.metrics and plan.warnings


def test_what_is_refused_before_any_work(disk: Path, web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PairingError, match=r"cannot be listed; .*--pairs FILE\.csv"):
        lipsync_eval.score(f"{web.address}/gen", f"{web.address}/gt", **HOW)
    with pytest.raises(UsageError, match=r"ftp:// are not read; known: s3://, gs://"):
        lipsync_eval.score("ftp://h/gen", disk / "web" / "gt", **HOW)
    for cell, word in (
        ("file:///etc/passwd", "not read"),
        ("../x.mkv", "leaves the folder"),
        ("http://h/../x.mkv", "'..'"),
    ):
        with pytest.raises(PairingError, match=word):
            by_url(disk, web, pairs=table(tmp_path / "t.csv", [(cell, "a.mkv")]))
    offline: dict[str, Any] = {"settings": Settings(protocol="raw", cache_dir=None, offline=True)}
    asked = web.asked.total()
    with pytest.raises(PairingError, match="--offline opens no socket"):
        by_url(disk, web, **offline)
    with pytest.raises(PairingError, match="--offline opens no socket"):
        cells = [(f"{web.address}/gen/a.mkv", "a.mkv")]
        by_path(disk, pairs=table(tmp_path / "t.csv", cells), **offline)
    assert web.asked.total() == asked
    nobody = "http://127.0.0.1:1"
    with pytest.raises(UsageError, match="none of the 8 addresses can be read, nothing was done"):
        lipsync_eval.score(f"{nobody}/gen", f"{nobody}/gt", pairs=disk / "pairs.csv", **HOW)
    with pytest.raises(PairingError, match="no such file"):
        lipsync_eval.score(f"{web.address}/gen/none.mkv", f"{web.address}/gt/a.mkv", **HOW)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(UsageError, match=r"need the Python package aiohttp: pip install 'lipsync-eval\[url\]'"):
        by_url(disk, web)
    with pytest.raises(UsageError, match="need the Python package s3fs: pip install s3fs"):
        lipsync_eval.score("s3://bucket/gen", "s3://bucket/gt", **HOW)


def test_what_a_killed_process_left_is_removed(disk: Path, web: Web, tmp_path: Path) -> None:
    code = (
        "import os, sys; from lipsync_eval.media.fetch import LocalFiles; from lipsync_eval.urls import Url\n"
        "files = LocalFiles(); print(files.of(Url.parse(sys.argv[1]))); sys.stdout.flush(); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, f"{web.address}/gen/a.mkv"], capture_output=True, text=True)
    assert Path(done.stdout.strip()).is_file(), done.stderr
    with LocalFiles() as files:
        mine = files.of(Url.parse(f"{web.address}/gen/a.mkv"))
        with LocalFiles() as others:  # at the same time: nobody takes what is in use
            others.of(Url.parse(f"{web.address}/gen/a.mkv"))
        assert mine.read_bytes() == (disk / "web" / "gen" / "a.mkv").read_bytes()
        assert not Path(done.stdout.strip()).exists()
    assert left(tmp_path) == []


def test_commands_that_show_videos_say_what_is_missing(disk: Path, web: Web, tmp_path: Path, capfd: Any) -> None:
    by_url(disk, web, out=tmp_path / "run")
    assert cli(["report", str(tmp_path / "run"), "--out", str(tmp_path / "page")]) == 0
    assert "4 clips are shown without videos, which are URLs" in capfd.readouterr().err
    assert cli(["figure", str(tmp_path / "run"), "--clip", "a", "--at", "0", "--out", str(tmp_path / "f.png")]) == 2
    assert "is a URL, and only `score` fetches videos" in capfd.readouterr().err
    assert cli(["study", "make", str(tmp_path / "run"), "--out", str(tmp_path / "study")]) == 2
    assert "copy the videos to a disk" in capfd.readouterr().err
    sheet = [
        "--pairs",
        str(disk / "pairs.csv"),
        "--contact-sheet",
        str(tmp_path / "s.png"),
        "--out",
        str(tmp_path / "x"),
    ]
    assert cli(["score", f"{web.address}/gen", f"{web.address}/gt", *sheet]) == 2
    assert "--contact-sheet opens the videos again" in capfd.readouterr().err
    assert cli(["table", str(tmp_path / "run")]) == 0
