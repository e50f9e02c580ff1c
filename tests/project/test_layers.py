"""Imports run one way, wherever they stand: at the top of a file, inside a function, under TYPE_CHECKING."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FLOORS: list[set[str]] = [
    {"version", "errors", "progress", "prefetch"},
    {"files", "urls", "device", "networks", "registry", "logs"},
    {"align", "options", "cache", "locks"},
    {"settings", "schemas"},
    {"types"},
    {"warp"},
    {"batch"},
    {"media"},
    {"faces"},
    {"protocol"},
    {"weights"},
    {"features"},
    {"protocols"},
    {"metrics"},
    {"results"},
    {"reports", "demo"},
    {"engine"},
    {"baselines", "api"},
    {"torch", "watch", "export"},
    {"cli"},
    {"__init__", "__main__"},
]
"""Rooms from the ground up. A room imports from lower floors and from its own."""
SHELVES = {"protocols", "baselines", "reports"}
"""Found beside the package in a checkout: what lies below the command line imports them where it needs them, not at the
top of a file."""
REPORTS_MAY_USE = {"reports", "version", "errors", "files", "urls", "types", "registry", "results"}


class Import(NamedTuple):
    line: int
    module: str
    """Dotted name of a file of ours; 'lipsync_eval' for a name of the package root."""
    top: bool
    """Whether it is at the top level of its file."""


def our_files() -> dict[str, Path]:
    """Every file of the package by dotted name, the shelves' under lipsync_eval too."""
    found = {}
    for folder in ("lipsync_eval", *sorted(SHELVES)):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [p for p in path.relative_to(ROOT).with_suffix("").parts if p != "__init__"]
            found[".".join(parts if folder == "lipsync_eval" else ["lipsync_eval", *parts])] = path
    return found


FILES = our_files()


def imports(path: Path) -> list[Import]:
    """Every import of ours in a file."""
    tree = ast.parse(path.read_text("utf-8"))
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            wholes = [f"{module}.{alias.name}" for alias in node.names]
            names = [whole if whole in FILES else module for whole in wholes]
        elif isinstance(node, ast.ImportFrom):
            names = [f"lipsync_eval relative import at line {node.lineno}"]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found += [Import(node.lineno, n, id(node) in top) for n in names if n.split(".")[0] == "lipsync_eval"]
    return found


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def floor(name: str) -> int:
    return next(i for i, rooms in zip(count(), FLOORS) if name in rooms)


def test_every_room_has_a_floor() -> None:
    rooms = {room(module) for module in FILES} - {"__init__"}
    known = set().union(*FLOORS)
    assert rooms <= known, f"give these a floor: {sorted(rooms - known)}"


@pytest.mark.parametrize("module", FILES)
def test_imports_run_one_way(module: str) -> None:
    own = room(module)
    for line, target, top in imports(FILES[module]):
        where = f"{FILES[module]}:{line}"
        if own not in {"__init__", "__main__"}:
            assert target in FILES and target != "lipsync_eval", (
                f"{where} takes a name from the package root ({target})"
            )
        other = room(target)
        assert other == own or floor(other) < floor(own), f"{where} {own} imports {other}, which is not below it"
        if other in SHELVES and own not in SHELVES | {"api", "cli"}:
            assert not top, f"{where} imports the shelf {other} at the top of the file"
        assert own != "reports" or other in REPORTS_MAY_USE, f"{where} reports imports {other}"


def test_no_circle_between_files() -> None:
    graph = {module: {i.module for i in imports(path)} - {module} for module, path in FILES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' <- '.join(error.args[1])}")


def test_reports_never_import_torch() -> None:
    for path in (ROOT / "reports").rglob("*.py"):
        text = path.read_text("utf-8")
        assert "import torch" not in text, path


def test_nobody_imports_a_shelf_by_its_bare_name() -> None:
    for folder in ("lipsync_eval", "protocols", "baselines", "reports", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = (
                    [node.module or ""]
                    if isinstance(node, ast.ImportFrom) and node.level == 0
                    else [a.name for a in node.names]
                    if isinstance(node, ast.Import)
                    else []
                )
                assert not {n.split(".")[0] for n in names} & SHELVES, f"{path}:{node.lineno}"
