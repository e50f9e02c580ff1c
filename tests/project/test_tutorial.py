"""The tutorial's cells run, and say what the notebook shows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from test_site import loaded

DOCS = Path(__file__).parents[2] / "docs"
PATH = DOCS / "tutorial.ipynb"
NUMBER = re.compile(r"[-+]?\d+\.\d+")


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
    return read


def test_it_is_a_small_notebook(notebook: dict[str, Any]) -> None:
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert PATH.stat().st_size < 300_000


def test_its_links_lead_somewhere(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)\s]+)\)", "".join(cell["source"])):
                assert (DOCS / target).is_file(), target


def test_cells_run_and_say_what_is_shown(notebook: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    examples = loaded("examples")
    with examples.empty_folder():
        fresh = examples.run_cells(notebook)
    shown = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(shown) == len(fresh) > 8
    for before, now in zip(shown, fresh, strict=True):
        a, b = examples.texts(before), examples.texts(now)
        assert NUMBER.sub("#", a) == NUMBER.sub("#", b), "run docs/site/examples.py docs/tutorial.ipynb"
        for old, new in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True):
            assert float(new) == pytest.approx(float(old), abs=0.02)
        assert [o["output_type"] for o in before] == [o["output_type"] for o in now]


def test_the_runner_reports_a_cell_that_fails() -> None:
    cell = {"cell_type": "code", "source": ["x = 1\n", "x / 0"]}
    with pytest.raises(ZeroDivisionError):
        loaded("examples").run_cells({"cells": [cell]})


def test_the_runner_shows_what_jupyter_would() -> None:
    cells = [{"cell_type": "code", "source": [line]} for line in ("print(1); 2", "3;", "x = 4", "x")]
    said = [loaded("examples").texts(found) for found in loaded("examples").run_cells({"cells": cells})]
    assert said == ["1\n2", "", "", "4"]
    assert "matplotlib" in sys.modules
