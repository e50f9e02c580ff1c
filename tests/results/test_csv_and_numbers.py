"""CSV that every reader takes apart alike; numbers that are printed and compared by one rule."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.runs import run

from lipsync_eval.results.csv_text import FORMULA, csv_text
from lipsync_eval.results.names import printable, short_paths, shortened
from lipsync_eval.results.numbers import all_apart, apart, fixed, level, rank, ranks, rounded
from lipsync_eval.results.paths import absolutes
from lipsync_eval.results.schema import load_result

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def plain(cell: str) -> str:
    """The inverse of the apostrophe before a formula."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell.lstrip("'")) else cell


@settings(deadline=None)
@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=5))
@example([["a\rb", "x"], ["clip01\r", "\r\n"], ["=cmd|' /C calc'!A0", "'=1"], ["-0Xab", "@me"], ['"', " a "]])
def test_cells_read_back_exactly(rows: list[list[str]]) -> None:
    text = csv_text([["head", "er"], *rows])
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [[plain(c) for c in row] for row in read] == rows
    for row in read:
        for cell in row:
            assert not cell.lstrip().startswith("="), "no spreadsheet runs it"
    for row in rows:
        for cell in row:
            if re.fullmatch(r"[\w\r\n ,\"-]*", cell) and "=" not in cell:
                assert cell in [c for line in read for c in line], "an ordinary name is left as it is"


@pytest.mark.parametrize("name", ["clip01\r", "a\rb", "\r", "a\r\nb"])
def test_a_carriage_return_is_no_line(name: str) -> None:
    """pandas-dev/pandas#10018: 3 clips, 3 rows."""
    psnr = 31.078535067112902
    text = run("m", {"psnr": [psnr, 30.0, 29.0]}, ids=[name, "b", "c"]).to_csv()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [r["id"] for r in rows] == [name, "b", "c"]
    assert float(rows[0]["psnr"]) == psnr
    assert list(pd.read_csv(io.StringIO(text, newline=""))["psnr"]) == [psnr, 30.0, 29.0]


def test_the_carriage_return_of_a_real_run(data: Path) -> None:
    """Three copies of a demo clip, one called 'a<CR>b'."""
    result = load_result(data / "faults" / "metrics" / "csv-carriage-return" / "run")
    rows = list(csv.DictReader(io.StringIO(result.to_csv(), newline="")))
    assert len(rows) == 3
    assert {r["id"]: float(r["psnr"]) for r in rows}["a\rb"] == 31.078535067112902


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(0, 6))
@example(-0.0004, 3)
@example(-1 / 30, 1)
def test_no_minus_before_a_zero(value: float, decimals: int) -> None:
    text = fixed(value, decimals)
    assert not re.fullmatch(r"-0(\.0*)?", text)
    assert float(text) == rounded(value, decimals), "ranking sees the printed number"


def test_one_rule_for_equal() -> None:
    assert apart(30.1 - 30.0, 0.1, 30.1) == 0.0
    assert apart(0.1 + 1e-6, 0.1) > 0
    assert apart(0.0, 1e-12) == 0.0
    assert level([5, -5] * 5, "zero") == 5.0
    assert level([5, -5] * 5, "up") == 0.0


@settings(deadline=None)
@given(st.lists(TEXT.filter(bool), min_size=1, max_size=6, unique=True), st.integers(8, 30))
def test_short_names_stay_different(names: list[str], most: int) -> None:
    short = shortened(names, most)
    full = [printable(n) for n in names]
    assert all(s.isprintable() and len(s) <= most for s in short)
    assert len(set(short)) == len(set(full))


def test_ends_of_paths() -> None:
    assert short_paths(["/d/hdtf/gt", "/d/lrs2/gt"]) == ["hdtf/gt", "lrs2/gt"]
    assert short_paths(["/d/gt", "/d/gt"]) == ["gt", "gt"]
    assert short_paths(["gt", "a/gt"]) == ["gt", "a/gt"]
    assert short_paths([""]) == [""] or short_paths([""]) == ["."]


REAL = st.floats(-1e12, 1e12) | st.sampled_from([0.0, -0.0, 1.0, 1 + 1e-9, 1 + 2e-9, 1e-9])


@settings(deadline=None)
@given(st.lists(st.tuples(REAL, REAL, REAL), min_size=1, max_size=8), REAL)
def test_many_numbers_are_compared_as_one_is(rows: list[tuple[float, float, float]], single: float) -> None:
    a, b, c = (np.array(column) for column in zip(*rows, strict=True))
    assert all_apart(a, b, c).tolist() == [apart(*row) for row in rows]
    assert all_apart(a, single, c).tolist() == [apart(x, single, z) for x, _, z in rows]
    for direction in ("up", "down", "zero"):
        assert ranks(a.tolist(), direction).tolist() == [rank(x, direction) for x in a.tolist()]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", ".", "..", "a", "b.mp4", " ", "~"]), max_size=5), st.sampled_from(["", "/", "//"]))
def test_a_path_is_the_same_with_and_without_a_known_folder(parts: list[str], root: str) -> None:
    start = Path("/some/run")
    whole, text = absolutes(start), root + "/".join(parts)
    wanted = os.path.normpath(os.path.join(os.path.realpath(start), text)) if text else text  # noqa: PTH118
    assert [whole(text), whole(text)] == [wanted, wanted]
