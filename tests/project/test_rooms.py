"""Rooms of the trainable generators: arrows run one way, and the kit knows no generator."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BASELINES = Path(__file__).parents[2] / "baselines"
BELOW = ("progress",)
"""Files that every room of the kit may use."""
ROOMS = {
    "kit": ("configuration", "network", "data", "training", "sync", "dubbing"),
    "avhubert_expert": ("config", "presets", "network", "data", "training", "dubbing"),
    "personatalk": ("config", "presets", "geometry", "network", "data", "training", "dubbing"),
    "radio": ("config", "presets", "network", "data", "training", "dubbing"),
    "stylesync": ("config", "presets", "network", "data", "training", "dubbing"),
}
"""From below; a room imports from itself and from those before it."""


def inner_imports(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    """(line, names under lipsync_eval.baselines) of every import in a file, at any level."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found += [
            (node.lineno, tuple(name.split(".")[2:])) for name in names if name.startswith("lipsync_eval.baselines.")
        ]
    return found


def files(package: str) -> list[Path]:
    return sorted(p for p in (BASELINES / package).rglob("*.py") if p.parent != BASELINES / package)


@pytest.mark.parametrize("package", ROOMS)
def test_arrows_between_rooms_run_one_way(package):
    order = ROOMS[package]
    seen = set()
    for path in files(package):
        own = path.relative_to(BASELINES / package).parts[0]
        for line, (first, *rest) in inner_imports(path):
            if first == package and rest[0] not in BELOW:
                assert order.index(rest[0]) <= order.index(own), f"{path}:{line} {own} imports {rest[0]}"
                seen.add((own, rest[0]))
    assert len(seen) > len(order)  # the test reads imports at all


def test_the_kit_knows_no_generator():
    for path in (BASELINES / "kit").rglob("*.py"):
        for line, (first, *_) in inner_imports(path):
            assert first == "kit", f"{path}:{line} the kit imports baselines.{first}"


def test_rooms_are_small():
    assert len(list((BASELINES / "radio").glob("*.py"))) <= 8
    for package in ROOMS:
        assert set(ROOMS[package]) >= {p.name for p in (BASELINES / package).iterdir() if (p / "__init__.py").exists()}
        for path in (BASELINES / package).rglob("*.py"):
            assert len(path.read_text("utf-8").splitlines()) <= 400, path
