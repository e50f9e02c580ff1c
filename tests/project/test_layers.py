"""Imports run one way; the shelves are reached by table or entry point only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = [
    "types",
    "errors",
    "files",
    "locks",
    "cache",
    "device",
    "warp",
    "media",
    "faces",
    "protocol",
    "weights",
    "features",
    "metrics",
    "results",
    "engine",
    "cli",
]
BASE = {"types", "errors", "files", "locks", "cache", "device", "warp"}
SIDE_BY_SIDE = [BASE]
SHELVES = {
    "protocols": BASE | {"protocols", "protocol", "faces", "features", "weights", "media"},
    "baselines": BASE
    | {"baselines", "media", "faces", "protocols", "protocol", "weights", "metrics", "features", "results", "engine"},
    "reports": {"reports", "types", "errors", "files", "results"},
}


def imports(path: Path) -> list[tuple[int, str, bool]]:
    """(line, first name under lipsync_eval, whether at module level) of every import of ours in a file."""
    tree = ast.parse(path.read_text("utf-8"))
    top = set()
    for node in tree.body:
        inner = node.body if isinstance(node, ast.If) else [node]
        top |= {id(n) for n in inner}
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "lipsync_eval" else [f"lipsync_eval.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found += [
            (node.lineno, n.split(".")[1] if "." in n else "", id(node) in top)
            for n in names
            if n.split(".")[0] == "lipsync_eval"
        ]
    return found


def rank(name: str) -> int:
    for group in SIDE_BY_SIDE:
        if name in group:
            return max(ORDER.index(n) for n in group)
    return ORDER.index(name)


@pytest.mark.parametrize("path", sorted((ROOT / "lipsync_eval").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_library_layers(path: Path) -> None:
    own = path.relative_to(ROOT / "lipsync_eval").parts[0].removesuffix(".py")
    if own in {"__init__", "__main__", "demo"}:
        return
    for line, name, top in imports(path):
        if name in {"", "__version__"} or name == own:
            continue
        if name in SHELVES or name == "demo":
            assert own == "cli" or not top, f"{path}:{line} imports the shelf {name} at module level"
            assert own in {"engine", "cli", "metrics"} or name == "protocols", (
                f"{path}:{line} {own} reaches for the shelf {name}"
            )
            continue
        assert rank(name) <= rank(own), f"{path}:{line} {own} imports {name}, which lies above it"


@pytest.mark.parametrize("shelf", SHELVES)
def test_shelf_imports(shelf: str) -> None:
    files = sorted((ROOT / shelf).rglob("*.py"))
    assert files
    for path in files:
        for line, name, _ in imports(path):
            assert name in SHELVES[shelf] | {"", "__version__"}, f"{path}:{line} the shelf {shelf} imports {name}"


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
                assert not {n.split(".")[0] for n in names} & set(SHELVES), f"{path}:{node.lineno}"
