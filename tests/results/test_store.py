from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipsync_eval.errors import OutputError, ParseError
from lipsync_eval.results.journal import Journal, Outcome
from lipsync_eval.results.schema import ClipRow, DataInfo, FailureRow, Result, RunInfo, Score, load_result
from lipsync_eval.results.store import load_frames, run_folder, write_run

NASTY = ['a,b"c', "new\nline", "../../up", "日本 ü", "x" * 200]


def outcome(i: int, name: str) -> Outcome:
    return Outcome(
        id=name,
        gen="/data/g",
        gt="/data/r",
        digests=("1", "2"),
        n_frames=3,
        values={"psnr": 1.0 + i / 3, "ssim": None},
        notes=["cut"],
        failures=[{"id": name, "stage": "metric", "metric": "ssim", "error": "MetricError", "message": "why"}],
        frames={"psnr": np.array([1.0, np.nan, 2.0])},
        states={"fid": {"n": np.array(3), "sum": np.arange(4.0)}},
    )


def result(outcomes: list[Outcome]) -> Result:
    return Result(
        run=RunInfo(name="m", command=["x"], version="0", commit=None, dirty=None, seed=1, started="t", seconds=0.1),
        data=DataInfo(n_pairs=len(outcomes), digest="d", gt_digest="e", gen="/data/g", gt="/data/r"),
        environment={},
        scores=[
            Score(
                metric="psnr",
                value=1.0,
                gt_value=None,
                unit="dB",
                direction="up",
                ci=None,
                n_scored=1,
                n_asked=1,
                signature="a:b",
            ),
            Score(
                metric="ssim",
                value=None,
                gt_value=None,
                unit="1",
                direction="up",
                ci=None,
                n_scored=0,
                n_asked=1,
                signature="a:b",
            ),
        ],
        clips=[
            ClipRow(
                id=o.id,
                gen=o.gen,
                gt=o.gt,
                n_frames=o.n_frames,
                values=o.values,
                gt_values={},
                notes=o.notes,
                details={},
            )
            for o in outcomes
        ],
        failures=[FailureRow(**f) for o in outcomes for f in o.failures],
    )


def prepare(folder: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    with run_folder(folder, resume=resume, overwrite=overwrite):
        pass


def test_a_run_reads_back(tmp_path: Path) -> None:
    outcomes = [outcome(i, name) for i, name in enumerate(NASTY)]
    journal = Journal(tmp_path)
    journal.begin({"a": 1})
    for i, o in enumerate(outcomes):
        journal.write(i, o)
    assert journal.done(NASTY) == set(range(len(NASTY)))
    back = journal.read(1, "new\nline")
    assert back.id == "new\nline"
    assert back.values == outcomes[1].values
    np.testing.assert_array_equal(back.frames["psnr"], [1.0, np.nan, 2.0])
    np.testing.assert_array_equal(back.states["fid"]["sum"], np.arange(4.0))
    write_run(tmp_path, result(outcomes), journal)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clips.csv", "frames.npz", "results.json"]
    assert load_result(tmp_path) == result(outcomes)
    frames = load_frames(str(tmp_path))
    assert list(frames) == NASTY
    np.testing.assert_array_equal(frames["../../up"]["psnr"], [1.0, np.nan, 2.0])
    with (tmp_path / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == NASTY
    assert float(rows[1]["psnr"]) == 1.0 + 1 / 3
    assert rows[1]["ssim"] == ""


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        journal = Journal(folder)
        journal.begin({})
        journal.write(0, outcome(0, "x"))
        write_run(folder, result([outcome(0, "x")]), journal)
    for name in ("clips.csv", "frames.npz", "results.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nan_never_reaches_the_file() -> None:
    bad = outcome(0, "x")
    bad.values["psnr"] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        result([bad])


def test_an_entry_without_its_json_is_not_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin({})
    journal.write(0, outcome(0, "x"))
    (journal.folder / "000000.json").unlink()
    assert journal.done(["x"]) == set()


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path / "new")
    Journal(tmp_path / "new").begin({})
    with pytest.raises(OutputError, match="--resume"):
        prepare(tmp_path / "new")
    prepare(tmp_path / "new", resume=True)
    prepare(tmp_path / "new", overwrite=True)
    assert (tmp_path / "new" / "journal").exists(), "only Journal.begin replaces a run"


def test_foreign_files_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all my work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds no run"):
            prepare(tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "all my work"
    with pytest.raises(OutputError, match="that is a file"):
        prepare(tmp_path / "thesis.tex", overwrite=True)


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    target = Path("/proc/nowhere") if os.geteuid() == 0 else tmp_path / "locked"
    if os.geteuid() != 0:
        target.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(target)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "run": 3}'])
def test_malformed_results_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ParseError, match=r"results\.json"):
        load_result(tmp_path)


def test_no_results(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="--resume"):
        load_result(tmp_path)
    with pytest.raises(ParseError, match="cannot be read"):
        load_frames(tmp_path)


def test_the_csv_has_the_fixed_columns() -> None:
    text = result([outcome(0, "x")]).to_csv()
    assert next(csv.reader(io.StringIO(text))) == ["id", "gen", "gt", "n_frames", "psnr", "ssim", "notes"]


def test_schema_key_is_on_top() -> None:
    data = json.loads(result([outcome(0, "x")]).to_json())
    assert data["schema"] == 2
    assert set(data) == {"schema", "run", "data", "environment", "scores", "clips", "failures"}


@pytest.mark.parametrize("how", [{"notes": [1]}, {"values": {"m": 1e300}}, {"details": {"x": float("inf")}}])
def test_an_outcome_that_no_result_could_hold_is_not_kept(how: dict[str, Any], tmp_path: Path) -> None:
    """It becomes a failure row of its clip, while the run goes on, instead of losing the run at its end."""
    journal = Journal(tmp_path)
    journal.begin({})
    with pytest.raises(ValueError, match=r"."):
        journal.write(0, Outcome("a", "a.mp4", "b.mp4", **how))
    assert journal.done(["a"]) == set() and not list((tmp_path / "journal").glob("0*"))
