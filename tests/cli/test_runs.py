"""RUN=NAME, names that would drive a terminal, and speakers from the table of --pairs to the interval."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from support.clips import blurred, frames, sound, write
from support.runs import run

from lipsync_eval.cli import run as cli
from lipsync_eval.cli.runs import metric_list, read_run
from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.results.schema import Result

EVIL = "evil\x1b]0;owned\x07\x1b[31m\u202e"


def save(folder: Path, name: str, **how: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(run(name, {"psnr": [30.0, 31.0]}, **how).to_json())  # type: ignore[arg-type]
    return folder


def test_a_run_under_another_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = save(tmp_path / "a", "gen", gen="/w/c1/gen"), save(tmp_path / "b=c", "gen", gen="/w/c2/gen")
    assert read_run(f"{a}=ours").run.name == "ours"
    assert read_run(str(b)).run.name == "gen", "a path that holds '=' is taken whole"
    assert read_run(f"{b}=x").run.name == "x"
    for bad in (f"{a}=", "=x"):
        with pytest.raises((UsageError, ParseError)):
            read_run(bad)
    with pytest.raises(ParseError):
        read_run(str(tmp_path / "none"))
    assert cli(["table", f"{a}=ours", str(b)]) == 0
    assert "ours " in capsys.readouterr().out
    assert cli(["table", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "c1/gen" in out and "c2/gen" in out
    assert read_run(f"{a}={'x' * 500}").run.name == "x" * 500
    assert metric_list(" psnr, ,lmd ") == ["psnr", "lmd"] and metric_list(None) is None


def test_no_name_reaches_the_terminal_raw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = save(tmp_path / "a", EVIL, ids=[EVIL, "b"])
    b = save(tmp_path / "b", EVIL + "2", ids=[EVIL, "b"])
    other = save(tmp_path / "c", EVIL + "3", ids=[EVIL, "b"], proto=f"x{EVIL}")
    short = save(tmp_path / "d", "short", ids=["z", "b"])
    for line in (
        ["table", a, b],
        ["table", a, b, "--format", "markdown"],
        ["table", a, b, "--format", "latex"],
        ["table", a, b, "--format", "html"],
        ["table", a, other],
        ["table", a, a],
        ["explain", a, other],
        ["explain", f"{a}={EVIL}", b],
        ["gate", b, "--baseline", a],
        ["gate", short, "--baseline", a],
        ["gate", other, "--baseline", a],
        ["plot", a, other, "--out", tmp_path / "p", "--overwrite"],
        ["plot", a, a, "--out", tmp_path / "q"],
        ["report", a, other, "--out", tmp_path / "page"],
        ["table", tmp_path / f"none{EVIL}"],
    ):
        assert cli([str(x) for x in line]) in (0, 1, 2)
        shown = "".join(capsys.readouterr())
        assert not [c for c in shown if not c.isprintable() and c not in "\n\t"], line


def test_speakers_of_the_pairs_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["gen,gt,id,speaker"]
    for i in range(4):
        real = list(frames(4, seed=i))
        write(tmp_path / "gt" / f"{i}.mkv", real, sound(4))
        write(tmp_path / "gen" / f"{i}.mkv", blurred(real, 1 + i), sound(4))
        lines.append(f"{i}.mkv,{i}.mkv,{i},{'ann' if i < 2 else 'bob'}")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(lines) + "\n")
    base = [
        "score",
        str(tmp_path / "gen"),
        str(tmp_path / "gt"),
        "--metrics",
        "psnr",
        "--protocol",
        "raw",
        "--no-cache",
        "--quiet",
    ]
    line = [*base, "--pairs", str(pairs), "--out", str(tmp_path / "run"), "--resample", "speaker"]
    assert cli(line) == 0
    result = Result.load(tmp_path / "run")
    assert [c.speaker for c in result.clips] == ["ann", "ann", "bob", "bob"]
    score = result["psnr"]
    means = [sum(c.values["psnr"] for c in result.clips[k : k + 2]) / 2 for k in (0, 2)]  # type: ignore[misc]
    assert score.ci is not None and score.resample == "speaker"
    assert (score.ci.low, score.ci.high) == (pytest.approx(min(means)), pytest.approx(max(means)))
    assert "interval over speakers" in str(score)
    assert "Intervals draw speakers" in str(result) and "Intervals draw speakers" in result._repr_html_()
    shown = capsys.readouterr().out
    assert "Intervals draw speakers" in shown
    assert cli(["export", str(tmp_path / "run"), "--to", "hf-model-card", "--dataset", "x"]) == 0
    assert 'interval_over: "speakers"' in capsys.readouterr().out
    assert cli(["export", str(tmp_path / "run"), "--to", "csv"]) == 0
    assert next(csv.DictReader(io.StringIO(capsys.readouterr().out)))["resample"] == "speaker"
    assert cli([*line, "--resume"]) == 0
    assert cli([*line[:-2], "--resume"]) == 2, "another plan"
    data = json.loads((tmp_path / "run" / "results.json").read_text())
    assert data["clips"][0]["speaker"] == "ann"
    capsys.readouterr()
    assert cli([*base, "--out", str(tmp_path / "other"), "--resample", "speaker"]) == 2
    assert "column `speaker`" in capsys.readouterr().err
    pairs.write_text("gen,gt,speaker\n0.mkv,0.mkv,\n")
    assert cli(line[:-2]) == 2
