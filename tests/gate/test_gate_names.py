"""Any name of a clip or a run in any output of the gate, and in results.json: read back by a reader of that format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.runs import run

from lipsync_eval.reports.gate import compare
from lipsync_eval.reports.gate_output import as_json, as_junit, as_markdown
from lipsync_eval.reports.gate_result import Gate, as_text
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import Result

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15)
HARD = [
    "]]>",
    "<!--",
    "&amp;",
    "a|b`c`",
    "\x1b[31mred",
    "a\rb",
    "\ufffe",
    "\x0b",
    "\u2028",
    "- x",
    '"',
    "é👩",
    "\\|",
    " ",
]
Test = Callable[[list[str]], None]


def hard_names(test: Test) -> Test:
    """Random lists of names, and the hard ones."""
    for one in HARD:
        test = example([one, "plain"])(test)
    return settings(deadline=None, max_examples=60)(given(st.lists(NAMES, min_size=2, max_size=4, unique=True))(test))


def gate_of(names: list[str]) -> Gate:
    """All clips but the last fail newly; the runs are called by the first and the last name."""
    old = run(names[-1], {"psnr": [1.0] * len(names)}, ids=names)
    new = run(names[0], {"psnr": [None] * (len(names) - 1) + [1.0]}, ids=names)
    gate = compare(new, old)
    assert sorted(gate.newly_failing) == sorted(f"{name}: psnr" for name in names[:-1])
    return gate


@hard_names
def test_junit(names: list[str]) -> None:
    gate = gate_of(names)
    suite = ET.fromstring(as_junit(gate))
    (found,) = [case.find("failure") for case in suite if case.get("name") == "no clip is newly failing"]
    assert found is not None and found.text is not None
    assert found.text.split("\n") == [printable(n) for n in gate.newly_failing]
    assert suite.get("tests") == str(len(suite)) and suite.get("failures") == "1"


@hard_names
def test_json(names: list[str]) -> None:
    gate = gate_of(names)
    data = json.loads(as_json(gate))
    assert data["newly_failing"] == list(gate.newly_failing)
    assert (data["new_name"], data["baseline_name"]) == (names[0], names[-1])


@hard_names
def test_results_json(names: list[str]) -> None:
    result = run(names[0], {"psnr": [1.0] * len(names)}, ids=names)
    text = result.to_json()
    assert Result.model_validate(json.loads(text)) == result
    assert [c["id"] for c in json.loads(text)["clips"]] == names


@hard_names
def test_markdown(names: list[str]) -> None:
    gate = gate_of(names)
    lines = as_markdown(gate).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("**Newly failing clips"))
    found = [line.removeprefix("- ") for line in lines[first + 2 : first + 2 + len(names) - 1]]
    assert [plain(text) for text in found] == [printable(n) for n in gate.newly_failing]
    for text in found:
        assert not re.search(r"(?<!\\)[<>`*_\[\]|]", re.sub(r"\\\\", "", text)), "no markup"


def plain(text: str) -> str:
    """What Markdown shows."""
    shown = re.sub(r"\\(.)", r"\1", text)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        shown = shown.replace(entity, sign)
    return shown


@hard_names
def test_terminal(names: list[str]) -> None:
    gate = gate_of(names)
    text = as_text(gate)
    assert all(c.isprintable() or c == "\n" for c in text)
    lines = text.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("newly failing ("))
    assert lines[first + 1 : first + len(names)] == [f"  {printable(n)}" for n in gate.newly_failing]
    assert lines[0].startswith(f"{printable(names[0])} against {printable(names[-1])}: FAILED")


@hard_names
def test_a_result_that_is_printed(names: list[str]) -> None:
    """`print(result)` and the page of a notebook show names of runs and clips as one line of text."""
    result = run(names[0], {"psnr": [None] * (len(names) - 1) + [1.0]}, ids=names)
    assert all(c.isprintable() or c == "\n" for c in f"{result}{result!r}")


def test_two_runs_of_one_name_are_told_apart_by_their_folders() -> None:
    old, new = (run("gen", {"psnr": [1.0, 2.0]}, gen=f"/w/ckpt{k}/gen") for k in (1, 2))
    assert as_text(compare(new, old)).startswith("ckpt2/gen against ckpt1/gen: ")
    assert as_text(compare(old, old)).startswith("gen against gen: "), "nothing tells these apart"
