"""`lipsync-eval score` through its real entry point, on clips made here."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import blurred, frames, pair_folders, sound, write
from support.videos import make_sound
from support.waiting import until

from lipsync_eval.cli import run as cli

SCRIPT = str(Path(sys.executable).parent / "lipsync-eval")
FAST = "psnr,lmd"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return pair_folders(tmp_path_factory.mktemp("pairs"), ("a", "b", "c"), n=40)


def results(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))
    return data


def the_same(a: Path, b: Path) -> None:
    x, y = results(a), results(b)
    for key in ("scores", "clips", "failures", "data"):
        assert x[key] == y[key], key
    assert (a / "clips.csv").read_bytes() == (b / "clips.csv").read_bytes()
    assert (a / "frames.npz").read_bytes() == (b / "frames.npz").read_bytes()


def test_a_device_that_is_not_here_is_refused_before_any_work(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    device = f"cuda:{torch.cuda.device_count()}"
    for line in (["score", *map(str, folders)], ["sensitivity", str(folders[0])]):
        out = tmp_path / line[0]
        assert cli([*line, "--metrics", "psnr", "--protocol", "raw", "--device", device, "--out", str(out)]) == 2
        assert "CUDA device" in capsys.readouterr().err
        assert not out.exists() or not any(out.iterdir())


def test_the_main_job(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = subprocess.run(
        [SCRIPT, "score", *map(str, folders), "--out", str(out), "--format", "json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == results(out), "stdout is data"
    assert "3/3 clips" in done.stderr
    data = results(out)
    values = {s["metric"]: s for s in data["scores"]}
    assert 20 < values["psnr"]["value"] < 45
    assert values["psnr"]["signature"].startswith("agg:clip-mean|align:trim5|crop_from:gt|face:largest|faces:dlib68.")
    assert values["psnr"]["n_scored"] == values["psnr"]["n_asked"] == 3
    assert values["psnr"]["ci"]["low"] <= values["psnr"]["value"] <= values["psnr"]["ci"]["high"]
    assert data["failures"] == []
    with (out / "clips.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == ["a", "b", "c"]
    assert np.mean([float(r["psnr"]) for r in rows]) == pytest.approx(values["psnr"]["value"])


def test_what_was_done_to_the_sound_is_noted_where_it_is_heard(tmp_path: Path) -> None:
    for side, seconds in (("gen", 3.2), ("gt", 1.6)):
        (tmp_path / side).mkdir()
        write(tmp_path / side / "a.mkv", frames(40), np.resize(sound(40), round(16000 * seconds)))
    longer = "gen: audio 1.60 s longer than the video: left so"
    for metrics, audio, noted in (
        ("mouth_audio_corr", "gen", True),
        ("mouth_audio_corr", "gt", False),
        ("psnr", "gen", False),
    ):
        out = tmp_path / f"{metrics}-{audio}"
        cli(
            [
                "score",
                str(tmp_path / "gen"),
                str(tmp_path / "gt"),
                "--metrics",
                metrics,
                "--audio",
                audio,
                "--out",
                str(out),
                "--quiet",
            ]
        )
        assert (longer in results(out)["clips"][0]["notes"]) == noted
        assert (longer in (out / "clips.csv").read_text("utf-8")) == noted


def test_a_sound_file_beside_the_video_is_named(tmp_path: Path) -> None:
    for side in ("gen", "gt"):
        (tmp_path / side).mkdir()
        write(tmp_path / side / "a.mkv", frames(40), sound(40))
    make_sound(tmp_path / "gen" / "a.wav", sound(40, seed=1)[None], rate=16000)
    for metrics, noted in (("mouth_audio_corr", True), ("psnr", False)):
        out = tmp_path / metrics
        cli(["score", str(tmp_path / "gen"), str(tmp_path / "gt"), "--metrics", metrics, "--out", str(out), "--quiet"])
        assert [n for n in results(out)["clips"][0]["notes"] if "file" in n] == [
            "gen: audio taken from the file 'a.wav'"
        ] * noted


def test_a_run_without_a_number_still_says_how_it_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for side in ("gen", "gt"):
        (tmp_path / side).mkdir()
        write(tmp_path / side / "a.mkv", frames(12, seed=1))
    (tmp_path / "gen" / "a.mkv").write_bytes(b"no video")
    assert (
        cli(
            [
                "score",
                str(tmp_path / "gen"),
                str(tmp_path / "gt"),
                "--metrics",
                "psnr",
                "--out",
                str(tmp_path / "run"),
                "--quiet",
            ]
        )
        == 3
    )
    assert "signature: agg:clip-mean|align:trim5|" in capsys.readouterr().out


def test_the_table_is_readable_at_80_columns(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["score", *map(str, folders), "--metrics", "core", "--out", str(tmp_path / "r"), "--quiet"]) == 0
    captured = capsys.readouterr()
    table = captured.out.split("\n\n")[0].splitlines()
    assert len(table) > 8
    assert max(map(len, table)) <= 80
    assert "3 of 3" in captured.out
    assert captured.err == ""


def test_workers_and_repeats_give_the_same_bytes(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for name, workers, extra in (("one", "1", ["--no-cache"]), ("two", "2", []), ("again", "1", [])):
        assert (
            cli(["score", *map(str, folders), "--out", str(tmp_path / name), "--workers", workers, "--quiet", *extra])
            == 0
        )
    for name in ("two", "again"):
        the_same(tmp_path / "one", tmp_path / name)


def wait_for(path: Path, process: subprocess.Popen[str], pattern: str) -> None:
    until(lambda: list(path.glob(pattern)) or process.poll() is not None, f"{pattern} in {path.name}")
    if process.poll() is not None:
        pytest.fail(f"ended early with {process.returncode}")


@pytest.mark.parametrize(
    ("sign", "code", "workers"), [(signal.SIGKILL, -9, "1"), (signal.SIGKILL, -9, "2"), (signal.SIGINT, 130, "2")]
)
def test_a_killed_run_goes_on(tmp_path: Path, sign: signal.Signals, code: int, workers: str) -> None:
    gen, gt = pair_folders(tmp_path, tuple(f"k{i}" for i in range(8)), n=6)
    line = ["score", str(gen), str(gt), "--metrics", FAST, "--no-cache"]
    out = tmp_path / "run"
    process = subprocess.Popen(
        [SCRIPT, *line, "--out", str(out), "--workers", workers],
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for(out / "journal", process, "00000*.json")
    os.kill(process.pid, sign)
    error = process.communicate()[1]
    assert process.returncode == code, error
    assert not (out / "results.json").exists()
    kept = len(list((out / "journal").glob("0*.json")))
    assert 1 <= kept < 8
    until(
        lambda: not subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True).stdout,
        "the end of the last worker",
    )
    if sign == signal.SIGINT:
        assert "--resume" in error
    assert cli([*line, "--out", str(out)]) == 2
    assert cli([*line, "--out", str(out), "--resume", "--align", "strict"]) == 2, "another plan must not be continued"
    assert cli([*line, "--out", str(out), "--resume", "--quiet"]) == 0
    assert cli([*line, "--out", str(tmp_path / "whole"), "--quiet"]) == 0
    the_same(out, tmp_path / "whole")


def test_a_full_disk_loses_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    line = [SCRIPT, "score", *map(str, folders), "--metrics", FAST, "--out", str(tmp_path / "run"), "--no-cache"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))  # noqa: E731
    done = subprocess.run(line, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert "free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert subprocess.run([*line, "--resume"], capture_output=True).returncode == 0
    assert len(results(tmp_path / "run")["clips"]) == 3


def write_bad_clips(tmp_path: Path, gen: Path, gt: Path) -> None:
    """One pair for each thing that can be wrong with a clip, and two clips without a partner."""
    import cv2
    from scipy.io import wavfile

    real = list(frames(12))
    black = [np.zeros_like(f) for f in real]
    names = [
        "empty",
        "torn",
        "text",
        "image",
        "soundonly",
        "noface",
        "halfface",
        "black",
        "off3",
        "off100",
        "size",
        "one",
    ]
    for name in names:
        write(gt / f"{name}.mkv", real, sound(12))
    (gen / "empty.mkv").write_bytes(b"")
    whole = write(tmp_path / "whole.mkv", blurred(real, 1.0), sound(12)).read_bytes()
    (gen / "torn.mkv").write_bytes(whole[: len(whole) // 2])
    (gen / "text.mp4").write_text("this is no video")
    cv2.imwrite(str(gen / "image.png"), real[0])
    (gen / "image.png").rename(gen / "image.mp4")
    wavfile.write(tmp_path / "s.wav", 16000, sound(12))
    (tmp_path / "s.wav").rename(gen / "soundonly.mp4")
    rng = np.random.default_rng(0)
    write(gen / "noface.mkv", [rng.integers(0, 255, real[0].shape, np.uint8) for _ in real], sound(12))
    write(gen / "halfface.mkv", real[:6] + black[:6], sound(12))
    write(gen / "black.mkv", black, sound(12))
    write(gen / "off3.mkv", real[:9], sound(9))
    write(gen / "off100.mkv", list(frames(112)), sound(112))
    write(gen / "size.mkv", list(frames(12, 192)), sound(12))
    write(gen / "one.mkv", real[:1])
    write(gen / "lonely.mkv", real, sound(12))
    write(gt / "widow.mkv", real, sound(12))


def test_bad_clips_fail_alone(tmp_path: Path) -> None:
    gen, gt = pair_folders(tmp_path, ("good",))
    write_bad_clips(tmp_path, gen, gt)
    out = tmp_path / "run"
    assert cli(["score", str(gen), str(gt), "--metrics", "psnr,ssim,lmd", "--out", str(out), "--quiet"]) == 3
    data = results(out)
    clips = {c["id"]: c for c in data["clips"]}
    failures: dict[str, list[dict[str, Any]]] = {}
    for row in data["failures"]:
        failures.setdefault(row["id"], []).append(row)
    assert clips["good"]["values"]["psnr"] > 20
    line = ["score", str(gt), str(gt), "--metrics", "psnr", "--protocol", "raw", "--out", str(tmp_path / "same")]
    assert cli([*line, "--quiet"]) == 0
    kept = {c["id"]: c for c in results(tmp_path / "same")["clips"]}
    assert set(clips) - set(kept) == {"lonely"}
    for name in ("empty", "torn", "text", "image", "soundonly", "one", "off100", "lonely", "widow"):
        assert clips[name]["values"] == {"psnr": None, "ssim": None, "lmd": None}, name
        assert [f["metric"] for f in failures[name]] == [None], name
    stages = {name: failures[name][0]["stage"] for name in failures}
    assert {stages[n] for n in ("empty", "torn", "text", "image", "soundonly")} == {"decode"}
    assert stages["one"] == stages["off100"] == "align"
    assert stages["lonely"] == stages["widow"] == "pair"
    for name in ("noface", "black"):
        assert clips[name]["values"]["lmd"] is None
        assert any(f["metric"] in ("lmd", None) and f["error"] == "FaceError" for f in failures[name])
    assert clips["off3"]["n_frames"] == 9
    assert any("cut to 9 frames" in note for note in clips["off3"]["notes"])
    assert clips["halfface"]["values"]["lmd"] is not None
    assert clips["halfface"]["details"]["gen"]["faces"]["missing"] == 6
    assert clips["size"]["values"]["psnr"] is not None, "own crops where sizes differ"
    for score in data["scores"]:
        good = [c["values"][score["metric"]] for c in data["clips"] if c["values"][score["metric"]] is not None]
        assert score["n_scored"] == len(good)
        assert score["n_asked"] == len(data["clips"]) == 15
        assert score["value"] == pytest.approx(np.mean(good))
        assert f"n:{len(good)}of15" in score["signature"]
    for clip in data["clips"]:
        for metric, value in clip["values"].items():
            rows = [f for f in failures.get(clip["id"], []) if f["metric"] in (None, metric)]
            assert (value is None) == bool(rows), (clip["id"], metric)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["{tmp}/nowhere", "{gt}"], "nowhere"),
        (["{tmp}/hollow", "{gt}"], "hollow"),
        (["{gen}", "{gt}", "--metrics", "psnrr"], "Did you mean psnr"),
        (["{gen}", "{gt}", "--protocol", "radioo"], "radio"),
        (["{gen}", "{gt}", "--align", "cut"], "trim:N"),
        (["{gen}", "{gt}", "--out", "{tmp}/file"], "that is a file"),
        (["{gen}", "{gt}", "--out", "/proc/x/y"], "cannot be written"),
        (["{gen}", "{gt}", "--weights", "syncnet"], "NAME=FILE"),
        (["{gen}", "{gt}", "--landmarks", "magic"], "magic"),
        (["--metrics", "psnr"], "Missing argument 'GEN'"),
    ],
)
def test_what_stops_before_any_work(
    folders: tuple[Path, Path], tmp_path: Path, line: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hollow").mkdir()
    (tmp_path / "file").write_text("x")
    given = [part.format(gen=folders[0], gt=folders[1], tmp=tmp_path) for part in line]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "out")]
    assert cli(["score", *given]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists(), "nothing was done"


def test_names_of_all_kinds(tmp_path: Path) -> None:
    names = [
        "with space",
        "quo'te\"s",
        "日本語 ünïcode",
        "new\nline",
        "-dash",
        "$(touch x); `id`",
        "x" * 200,
        "<img src=x onerror=alert(1)>",
    ]
    real = list(frames(3))
    for name in names:
        write(tmp_path / "gt" / f"{name}.mkv", real)
        write(tmp_path / "gen" / "sub" / ".." / f"{name}.mkv", blurred(real, 1.0))
    out = tmp_path / "run"
    assert (
        cli(
            [
                "score",
                str(tmp_path / "gen"),
                str(tmp_path / "gt"),
                "--metrics",
                "psnr",
                "--protocol",
                "raw",
                "--out",
                str(out),
                "--quiet",
            ]
        )
        == 0
    )
    assert sorted(c["id"] for c in results(out)["clips"]) == sorted(names)


def test_explain_names_the_differing_keys(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert cli(["score", *map(str, folders), "--metrics", "psnr", "--out", a, "--quiet"]) == 0
    assert cli(["score", *map(str, folders), "--metrics", "psnr,ssim", "--protocol", "raw", "--out", b, "--quiet"]) == 0
    capsys.readouterr()
    assert cli(["explain", a, a]) == 0
    assert "psnr: comparable" in capsys.readouterr().out
    assert cli(["explain", a, b]) == 2
    text = capsys.readouterr().out
    assert "proto (crop protocol and its options): radio.1 | raw.1" in text
    assert f"only in {b}: ssim" in text


def test_a_blur_is_worse_the_stronger_it_is(tmp_path: Path) -> None:
    real = list(frames(8))
    write(tmp_path / "gt.mkv", real, sound(8))
    found: list[dict[str, float]] = []
    for sigma in (0.0, 1.0, 2.0, 4.0):
        write(tmp_path / "gen.mkv", blurred(real, sigma) if sigma else real, sound(8))
        out = tmp_path / f"run{sigma}"
        assert (
            cli(
                [
                    "score",
                    str(tmp_path / "gen.mkv"),
                    str(tmp_path / "gt.mkv"),
                    "--metrics",
                    "psnr,psnr_pooled,ssim,ms_ssim,lmd,f_lmd",
                    "--out",
                    str(out),
                    "--quiet",
                ]
            )
            == 0
        )
        found.append({s["metric"]: s["value"] for s in results(out)["scores"]})
    assert found[0] == {"psnr": 100.0, "psnr_pooled": 100.0, "ssim": 1.0, "ms_ssim": 1.0, "lmd": 0.0, "f_lmd": 0.0}
    for weak, strong in pairwise(found):
        for metric in ("psnr", "psnr_pooled", "ssim", "ms_ssim"):
            assert strong[metric] < weak[metric], metric
    assert found[3]["lmd"] > found[2]["lmd"] > 0
