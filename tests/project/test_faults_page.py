"""docs/faults.md names a test for every case, and each test is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([a-z0-9-]+) \| [^|]+ \| [^|]+ \| ([a-z_/]+): (\w+) \|$", TEXT, re.M)
KINDS = re.findall(r"([a-z]+/[a-z_]+):\s(\w+)[),]", TEXT)


def test_every_row_is_read() -> None:
    assert len(ROWS) == sum(line.startswith("| ") for line in TEXT.splitlines()) - 1
    assert len({case for case, _, _ in ROWS}) == len(ROWS) and len(KINDS) == 5


@pytest.mark.parametrize(("file", "name"), sorted({(file, name) for _, file, name in ROWS} | set(KINDS)))
def test_the_test_is_there(file: str, name: str) -> None:
    folder, stem = file.split("/")
    code = (ROOT / "tests" / folder / f"test_{stem}.py").read_text("utf-8")
    assert re.search(rf"^def test_{name}\(", code, re.M)


@pytest.mark.parametrize("case", [case for case, _, name in ROWS if name == "what_should_be_equal_is"])
def test_the_case_is_among_those_of_the_test(case: str) -> None:
    assert f'"{case}/' in (ROOT / "tests" / "media" / "test_faults.py").read_text("utf-8")


def test_no_case_is_left_out(data: Path) -> None:
    folders = {path.name for part in ("media", "metrics") for path in (data / "faults" / part).iterdir()}
    if not folders:
        pytest.skip("the test data hold no faults")
    assert {case for case, _, _ in ROWS} == folders
