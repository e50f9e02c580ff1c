"""`lipsync-eval watch`: every checkpoint once, in order, with failures as rows; killed and resumed; the gate reads it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync_eval.cli import run
from lipsync_eval.media import write_video

SCRIPT = str(Path(sys.executable).parent / "lipsync-eval")
DUBBER = Path(__file__).parents[1] / "support" / "dubber.py"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with real clips, a manifest and an empty folder of checkpoints whose name needs care."""
    (tmp_path / "real").mkdir()
    for i, name in enumerate("ab"):
        frames = np.random.default_rng(i).integers(20, 230, (4, 32, 32, 3), np.uint8)
        write_video(tmp_path / "real" / f"{name}.mkv", frames, codec="lossless")
    rows = [f"{name},real/{name}.mkv,real/{name}.mkv" for name in "ab"]
    (tmp_path / "m.csv").write_text("id,video,audio\n" + "\n".join(rows) + "\n")
    (tmp_path / "my ckpt; {out}").mkdir()
    return tmp_path


def save(place: Path, name: str, text: str) -> Path:
    path = place / "my ckpt; {out}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(10**18 + 10**9 * len(name), 10**18))
    return path


def line(place: Path, *more: str, out: str = "w") -> list[str]:
    command = f"'{sys.executable}' '{DUBBER}' {{checkpoint}} {{data}} {{out}}"
    return [
        "watch", str(place / "my ckpt; {out}"), "--run", command, "--data", str(place / "m.csv"),
        "--out", str(place / out), "--metrics", "psnr,ssim", "--protocol", "raw", "--no-cache",
        "--settle", "0", "--quiet", *more,
    ]  # fmt: skip


def history(place: Path, out: str = "w") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / out / "history.json").read_text())
    return found


def state(place: Path) -> list[tuple[str, str]]:
    return [(row["checkpoint"], row["status"]) for row in history(place)["rows"]]


def test_three_checkpoints_a_curve_and_the_gate(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, noise in (("step_1000.pt", "4"), ("step_20.pt", "40"), ("step_300.pt", "20")):
        save(place, name, noise)
    save(place, ".step_400.pt", "1")  # still being written, by an atomic writer
    save(place, "step_400.pt.tmp", "1")
    save(place, "empty.pt", "")
    (place / "my ckpt; {out}" / "latest.pt").symlink_to("step_1000.pt")
    assert run(line(place, "--once")) == 0
    assert [name for name, _ in state(place)] == ["step_20.pt", "step_300.pt", "step_1000.pt"]
    rows = history(place)["rows"]
    psnr = [next(s for s in row["scores"] if s["metric"] == "psnr") for row in rows]
    assert [s["value"] for s in psnr] == sorted(s["value"] for s in psnr) and psnr[0]["n_scored"] == 2
    assert all("metric:psnr.1" in s["signature"] for s in psnr)
    table = list(csv.DictReader(io.StringIO((place / "w" / "history.csv").read_text())))
    assert [(r["checkpoint"], r["step"], r["metric"]) for r in table[:2]] == [
        ("step_20.pt", "20", "psnr"), ("step_20.pt", "20", "ssim"),
    ]  # fmt: skip
    assert float(table[0]["value"]) == psnr[0]["value"] and table[0]["signature"] == psnr[0]["signature"]
    result = json.loads((place / "w" / rows[0]["folder"] / "run" / "results.json").read_text())
    assert result["scores"][0]["value"] == psnr[0]["value"] and result["run"]["name"] == "step_20.pt"
    assert (place / "w" / "history.png").stat().st_size > 5000
    capsys.readouterr()

    before = (place / "w" / "history.json").read_bytes()
    assert run(line(place, "--once")) == 0
    assert (place / "w" / "history.json").read_bytes() == before, "nothing new: nothing is done"
    capsys.readouterr()

    out = str(place / "w")
    assert run(["gate", out, "--baseline", out]) == 0
    assert "step_300.pt" in capsys.readouterr().out
    save(place, "step_2000.pt", "60")
    assert run(line(place, "--once")) == 0
    assert run(["gate", f"{out}/history.json", "--baseline", out]) == 1, "the newest checkpoint is worse"
    assert run(["gate", out, "--baseline", f"{out}/{rows[0]['folder']}/run"]) == 1
    for one in ("run", "run/results.json"):
        assert run(["gate", f"{out}/{rows[1]['folder']}/{one}", "--baseline", out]) == 0, "the one before that run"
    from lipsync_eval import gate

    assert not gate(out, out).passed and gate(f"{out}/{rows[1]['folder']}/run", out).passed


def test_table_and_plot_take_a_history(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("step_20.pt", "40"), ("step_100.pt", "fail"), ("step_300.pt", "4")):
        save(place, name, text)
    assert run(line(place, "--once")) == 3
    out = str(place / "w")
    capsys.readouterr()
    assert run(["table", out]) == 0
    said = capsys.readouterr()
    assert said.out.index("step_20.pt") < said.out.index("step_300.pt") and "step_100.pt" not in said.out
    assert "step_100.pt is left out" in said.err
    folders = [f"{out}/{row['folder']}/run" for row in history(place)["rows"] if row["status"] == "scored"]
    assert run(["table", *folders]) == 0
    assert capsys.readouterr().out == said.out, "as if the runs were given"
    from lipsync_eval.api.reporting import table

    assert table([out]) == said.out
    assert run(["table", f"{out}/history.json=mine"]) == 0
    assert "mine step_300.pt" in capsys.readouterr().out

    stem = place / "curve"
    assert run(["plot", out, "--out", str(stem), "--metrics", "psnr"]) == 0
    assert stem.with_suffix(".png").stat().st_size > 3000
    assert run(["plot", out, "--kind", "bars", "--out", str(place / "bars")]) == 0
    for wrong in (
        ["plot", out, "--metrics", "lmd"],
        ["plot", out, folders[0], "--kind", "history"],
        ["plot", out, "--columns", "1"],
        ["plot", folders[0], "--kind", "history"],
        ["explain", out, folders[0]],
    ):
        capsys.readouterr()
        assert run([*wrong, *(["--out", str(place / "no")] if wrong[0] == "plot" else [])]) == 2, wrong
        assert capsys.readouterr().err.startswith("error: ")
    assert not (place / "no.png").exists()


def test_a_failing_checkpoint_is_a_row(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("1.pt", "5"), ("2.pt", "fail"), ("3.pt", "none"), ("4.pt", "one")):
        save(place, name, text)
    assert run(line(place, "--once")) == 3
    rows = history(place)["rows"]
    assert [row["status"] for row in rows] == ["scored", "failed", "failed", "scored"]
    assert "exit code 7" in rows[1]["reason"] and "memory" in rows[1]["reason"] and "\x1b" not in rows[1]["reason"]
    assert "made no video" in rows[2]["reason"] and "a.mp4" in rows[2]["reason"]
    assert rows[3]["n_failures"] > 0 and rows[3]["scores"][0]["n_scored"] == 1 and rows[3]["scores"][0]["n_asked"] == 2
    said = capsys.readouterr().out
    assert "2.pt: failed: the command failed (exit code 7)" in said
    table = list(csv.DictReader(io.StringIO((place / "w" / "history.csv").read_text())))
    assert [r["reason"] for r in table if r["checkpoint"] == "2.pt"] == [rows[1]["reason"]]

    (place / "my ckpt; {out}" / "4.pt").unlink()
    assert run(line(place, "--once")) == 0, "failed ones are left alone"
    assert run(line(place, "--once", "--again-failed")) == 3
    assert [row["status"] for row in history(place)["rows"]] == ["scored", "failed", "failed", "scored"]

    save(place, "2.pt", "44")
    (place / "my ckpt; {out}" / "3.pt").unlink()
    assert run(line(place, "--once", "--again-failed")) == 0
    after = history(place)["rows"]
    assert [(row["checkpoint"], row["status"]) for row in after] == [
        ("1.pt", "scored"), ("2.pt", "failed"), ("2.pt", "scored"), ("3.pt", "failed"), ("4.pt", "scored"),
    ]  # fmt: skip
    assert [row["reason"] for row in after if row["status"] == "failed"] == [rows[1]["reason"], rows[2]["reason"]]


def test_the_newest_checkpoint_failed_and_the_gate_says_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(place, "1.pt", "5")
    save(place, "2.pt", "fail")
    assert run(line(place, "--once")) == 3
    assert run(["gate", str(place / "w"), "--baseline", str(place / "w")]) == 2
    assert "2.pt, failed: the command failed" in capsys.readouterr().err


def test_a_name_written_again_is_another_checkpoint_and_a_touched_one_is_not(place: Path) -> None:
    one = save(place, "last.pt", "30")
    assert run(line(place, "--once")) == 0
    os.utime(one, ns=(2 * 10**18, 2 * 10**18))
    assert run(line(place, "--once")) == 0 and len(state(place)) == 1
    one.write_text("3")
    assert run(line(place, "--once", "--drop-videos")) == 0
    rows = history(place)["rows"]
    assert [(place / "w" / row["folder"] / "videos").exists() for row in rows] == [True, False]
    assert [row["checkpoint"] for row in rows] == ["last.pt", "last.pt"] and rows[0]["sha256"] != rows[1]["sha256"]


def test_folders_patterns_and_order(place: Path) -> None:
    save(place, "checkpoint-20/model.safetensors", "9")
    save(place, "checkpoint-3/model.safetensors", "9")
    os.utime(place / "my ckpt; {out}" / "checkpoint-20" / "model.safetensors", ns=(1, 1))
    assert run(line(place, "--once")) == 2, "no checkpoint at the top"
    assert run(line(place, "--once", "--pattern", "*/model.safetensors", out="by-name")) == 0
    names = [row["checkpoint"] for row in history(place, "by-name")["rows"]]
    assert names == ["checkpoint-3/model.safetensors", "checkpoint-20/model.safetensors"]
    assert run(line(place, "--once", "--pattern", "*/*.safetensors", "--order", "mtime", out="by-time")) == 0
    assert [row["checkpoint"] for row in history(place, "by-time")["rows"]] == names[::-1]
    for pattern in ("../*", "/tmp/*", "a**b", ""):
        assert run(line(place, "--once", "--pattern", pattern, out="x")) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--run", "dub {checkpoint}"], "{out} is missing"),
        (["--run", "dub {checkpoint} {out} {seed}"], "{seed} is no placeholder"),
        (["--run", "dub '{checkpoint} {out}"], "close the quote"),
        (["--run", "{checkpoint} {out}"], "program to start"),
        (["--metrics", "psnrr"], "psnr"),
        (["--data", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_cannot_be_watched_ends_before_any_work(
    place: Path, capsys: pytest.CaptureFixture[str], change: list[str], said: str
) -> None:
    save(place, "1.pt", "5")
    assert run(line(place, "--once", *change)) == 2
    assert said in capsys.readouterr().err and not (place / "w" / "checkpoints").exists()


def test_another_command_metric_or_folder_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(place, "1.pt", "5")
    assert run(line(place, "--once")) == 0
    for change, what in (
        (["--metrics", "psnr"], "signatures"),
        (["--run", "dub {checkpoint} {out}"], "--run"),
        (["--protocol", "radio"], "signatures"),
    ):
        capsys.readouterr()
        assert run(line(place, "--once", *change)) == 2 and what in capsys.readouterr().err
    (place / "mine").mkdir()
    (place / "mine" / "thesis.tex").write_text("")
    assert run(line(place, "--once", out="mine")) == 2 and "thesis.tex" in capsys.readouterr().err


def test_a_command_that_is_not_there_is_a_failed_row(place: Path) -> None:
    save(place, "1.pt", "5")
    assert run(line(place, "--once", "--run", "/nowhere/dub {checkpoint} {out}")) == 3
    assert "cannot be started" in history(place)["rows"][0]["reason"]


def test_killed_while_it_dubs_it_takes_the_checkpoint_up_again(place: Path) -> None:
    save(place, "1.pt", "5")
    save(place, "2.pt", "wait")
    watcher = subprocess.Popen([SCRIPT, *line(place, "--interval", "0.2")], stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 300
        while not (place / "waiting").exists():
            assert watcher.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        second = subprocess.run([SCRIPT, *line(place, "--once")], capture_output=True, text=True)
        assert second.returncode == 2 and "another job watches into it" in second.stderr
    finally:
        watcher.send_signal(signal.SIGKILL)
        watcher.communicate()
    assert state(place) == [("1.pt", "scored"), ("2.pt", "dubbing")]
    kept = history(place)["rows"][0]
    save(place, "3.pt", "4")
    assert run(line(place, "--once")) == 0
    assert state(place) == [("1.pt", "scored"), ("2.pt", "scored"), ("3.pt", "scored")]
    rows = history(place)["rows"]
    assert rows[0] == kept and rows[1]["scores"][0]["n_scored"] == 2
    assert not list((place / "w" / rows[1]["folder"] / "videos").glob("half*"))


def test_killed_while_it_scores_it_goes_on_without_the_checkpoint(place: Path) -> None:
    save(place, "1.pt", "5")
    assert run(line(place, "--once")) == 0
    whole = history(place)
    row = whole["rows"][0]
    for name in ("results.json", "clips.csv", "frames.npz"):
        (place / "w" / row["folder"] / "run" / name).unlink()
    half = {**whole, "rows": [{**row, "status": "scoring", "scores": []}]}
    (place / "w" / "history.json").write_text(json.dumps(half))
    (place / "my ckpt; {out}" / "1.pt").unlink()
    assert run(line(place, "--once")) == 0
    assert history(place) == whole


def test_it_goes_on_and_sees_what_comes(place: Path) -> None:
    watcher = subprocess.Popen(
        [SCRIPT, *line(place, "--interval", "0.2", "--settle", "0.1")], stdout=subprocess.PIPE, text=True
    )
    try:
        for i in range(2):
            save(place, f"{i}.pt", "5")
            assert watcher.stdout is not None and watcher.stdout.readline().startswith(f"{i}.pt: psnr ")
    finally:
        watcher.send_signal(signal.SIGINT)
        watcher.communicate()
    assert watcher.returncode == 130 and len(state(place)) == 2


def test_a_checkpoint_written_again_during_its_dubbing_fails(place: Path) -> None:
    from lipsync_eval.watch.checkpoints import Settling, find, look

    folder = place / "my ckpt; {out}"
    save(place, "1.pt", "5")
    settling = Settling(5)
    found = find(folder, ["*.pt"], place / "w")
    assert settling.settled(found, 0) == [] and settling.moving() == found
    save(place, "1.pt", "55")
    assert settling.settled(find(folder, ["*.pt"], place / "w"), 4) == []
    assert settling.settled(find(folder, ["*.pt"], place / "w"), 8.9) == []
    assert [c.size for c in settling.settled(find(folder, ["*.pt"], place / "w"), 9)] == [2]
    script = place / "rewrite.py"
    script.write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('777')")
    assert run(line(place, "--once", "--run", f"{sys.executable} {script} {{checkpoint}} {{out}}")) == 3
    rows = history(place)["rows"]
    assert "written again" in rows[0]["reason"] and look(folder, "1.pt") is not None


@pytest.mark.parametrize("bad", ["{", '{"schema": 2}', "[]", '{"schema":1,"rows":[{"folder":"checkpoints/../../x"}]}'])
def test_a_history_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str) -> None:
    (tmp_path / "history.json").write_text(bad)
    assert run(["gate", str(tmp_path), "--baseline", str(tmp_path)]) == 2
    assert "history.json" in capsys.readouterr().err


def test_steps_are_numbers_of_names_only_where_they_grow() -> None:
    from lipsync_eval.results.history import natural, steps

    assert steps(["step_20.pt", "step_300.pt"]) == [20, 300]
    assert steps(["epoch=1-step=50.ckpt", "epoch=2-step=60.ckpt"]) == [50, 60]
    assert steps(["last.pt", "last.pt"]) == [1, 2]
    assert steps(["a_5.pt", "b_6.pt"]) == [1, 2] and steps(["s_5.pt", "s_5.pt"]) == [1, 2] and steps([]) == []
    assert sorted(["s10", "s9", "s009b", "x"], key=natural) == ["s9", "s009b", "s10", "x"]


def test_the_plot_marks_directions_the_best_and_what_is_missing() -> None:
    from support.runs import run as made

    from lipsync_eval.reports.history_plot import draw, metrics_of
    from lipsync_eval.results.history import History, HistoryRow

    columns = ([30.0, 31.0], [39.0, None], None, [33.0, 34.0])
    rows = []
    for i, psnr in enumerate(columns):
        scores = made("m", {"psnr": psnr, "lmd": [9.0 - i, 9.0], "av_offset": [-3.0, 3.0]}).scores if psnr else []
        rows.append(
            HistoryRow(
                checkpoint=f"s{10 * i}.pt", sha256="", size=1, mtime_ns=i, folder=f"checkpoints/000{i}-s", started="",
                status="scored" if scores else "failed", scores=scores,
            )
        )  # fmt: skip
    history = History(checkpoints="/c", order="name", command="", manifest="", plan={}, rows=rows)
    assert metrics_of(history) == ["psnr", "lmd", "av_offset"]
    panels = {axes.get_title(): axes for axes in draw(history).axes if axes.get_visible()}
    assert list(panels) == ["PSNR (dB) ↑", "LMD (px) ↓", "AV offset (frames) →0, mean of |x|"]
    marks = {
        title: {line.get_marker(): list(zip(*line.get_data(), strict=True)) for line in axes.get_lines()}
        for title, axes in panels.items()
    }
    assert marks["PSNR (dB) ↑"]["*"] == [(30, 33.5)], "39 dB over the easy clip alone is not the best"
    assert marks["LMD (px) ↓"]["*"] == [(30, 7.5)]
    assert marks["PSNR (dB) ↑"]["x"] == [(20, 0.03)]
    hollow = [line for line in panels["PSNR (dB) ↑"].get_lines() if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[10]]
    assert panels["AV offset (frames) →0, mean of |x|"].get_lines()[0].get_ydata()[0] == 3.0
