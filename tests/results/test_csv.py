"""Every text reads back exactly from our CSV, whatever Python made it, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_eval.files import csv_plain, csv_rows, csv_text, write_text
from lipsync_eval.results.schema import ClipRow
from lipsync_eval.results.store import clips_csv

NAMES = st.text(st.characters(exclude_characters="\0"), max_size=8) | st.text("=+-@'\t\r\n\",; a", max_size=6)


def row(name: str, value: float | None = 31.078535067112902) -> ClipRow:
    return ClipRow(
        id=name, gen=f"gen/{name}.mp4", gt=None, n_frames=100, values={"psnr": value}, gt_values={}, notes=[name], details={}
    )  # fmt: skip


def test_the_case_of_the_carriage_return(tmp_path: Path) -> None:
    names = ["=1+1", "a\rb", "x,y"]
    path = tmp_path / "clips.csv"
    write_text(path, clips_csv([row(name) for name in names], ["psnr"]))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [csv_plain(r["id"]) for r in rows] == names
    assert [float(r["psnr"]) for r in rows] == [31.078535067112902] * 3
    frame = pd.read_csv(path)
    assert frame["psnr"].tolist() == [31.078535067112902] * 3
    assert [csv_plain(name) for name in frame["id"]] == names
    assert rows[0]["id"] == "'=1+1", "inert in a spreadsheet"


@given(names=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4))
def test_all_texts_read_back(names: list[tuple[str, str]]) -> None:
    text = csv_text(names)
    assert [tuple(r) for r in csv_rows(text)] == names
    plain = list(csv.reader(io.StringIO(text, newline="")))
    assert [tuple(map(csv_plain, r)) for r in plain] == names
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for r in plain for cell in r)


@given(value=st.floats(allow_nan=False, allow_infinity=False), name=NAMES)
def test_numbers_read_back_and_are_never_marked(value: float, name: str) -> None:
    back = csv_rows(clips_csv([row(name, value)], ["psnr"]))
    assert back[0] == ["id", "gen", "gt", "n_frames", "psnr", "notes"]
    assert back[1][0] == name and float(back[1][4]) == value and back[1][5] == name


def test_a_name_whose_bytes_are_no_utf_8_is_written_and_read_back(tmp_path: Path) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    write_text(tmp_path / "x.json", json.dumps({"gen": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "x.json").read_text("utf-8")) == {"gen": name}
    write_text(tmp_path / "x.csv", csv_text([[name]]))
    assert (tmp_path / "x.csv").read_text("utf-8") == "caf\\udce9\n"


@pytest.mark.parametrize("name", ["x" * 300, "名" * 120])
def test_long_names_get_a_short_temporary_name(name: str, tmp_path: Path) -> None:
    if len(name.encode()) <= 255:
        write_text(tmp_path / name, "x")
    write_text(tmp_path / name[:80], "x")
    assert (tmp_path / name[:80]).read_text() == "x"
