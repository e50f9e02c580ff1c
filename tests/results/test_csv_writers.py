"""Every table that this package writes goes through one rule for cells."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from lipsync_eval.baselines.generation import write_pairs
from lipsync_eval.baselines.manifest import ManifestEntry, draw_manifest
from lipsync_eval.engine.sensitivity.files import _csv
from lipsync_eval.engine.sensitivity.study import SensitivityRow
from lipsync_eval.media.table import read_pairs

ROOT = Path(__file__).parents[2]


def test_nothing_writes_csv_with_pythons_own_writer() -> None:
    """It leaves a bare carriage return unquoted before Python 3.11.9, and formulas alive."""
    for room in ("lipsync_eval", "baselines", "protocols", "reports"):
        for file in (ROOT / room).rglob("*.py"):
            assert not re.search(r"csv\.(writer|DictWriter)\(", file.read_text("utf-8")), file


def test_a_table_of_pairs_reads_back(tmp_path: Path) -> None:
    video = tmp_path / "gt" / "a\rb, c.mp4"
    (tmp_path / "gen" / "m").mkdir(parents=True)
    (tmp_path / "gen" / "m" / "x.mp4").touch()
    (tmp_path / "gt").mkdir()
    video.touch()
    entries = [ManifestEntry(name, video, video, None, video) for name in ("x", "=cmd", "'=cmd")]
    write_pairs("m", entries, tmp_path / "gen", tmp_path / "pairs.csv")
    with (tmp_path / "pairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == ["x", "'=cmd", "''=cmd"] and rows[0]["gt"] == str(video.resolve())
    read = read_pairs(tmp_path / "pairs.csv", tmp_path / "gen", tmp_path / "gt")
    assert {pair.id for pair in read} == {"x", "=cmd", "'=cmd"}


def test_a_drawn_manifest_reads_back(tmp_path: Path) -> None:
    video = tmp_path / "hdtf" / "a,b.mp4"
    video.parent.mkdir()
    video.touch()
    draw_manifest("hdtf", video.parent, tmp_path / "m.csv", n=1, seed=1)
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as file:
        assert [r["video"] for r in csv.DictReader(file)] == [str(video.resolve())]


def test_a_study_reads_back() -> None:
    row = SensitivityRow("blur", 0.5, "px", "a\rb", "psnr", 0.1 + 0.2, "=cmd|' /C calc'!A0")

    class OneRow:
        rows = (row,)

    text = _csv(OneRow())  # type: ignore[arg-type]
    (read,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (read["clip"], read["strength"], float(read["value"])) == ("a\rb", "0.5", 0.1 + 0.2)
    assert read["error"].startswith("'="), "no spreadsheet runs it"
