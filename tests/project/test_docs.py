"""What the documents promise is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = target.partition("#")[0]
        assert (page.parent / path).exists(), f"{page.name} links to {target}"


def test_every_metric_and_protocol_is_in_the_readme() -> None:
    from lipsync_eval.metrics.registry import specs

    text = (ROOT / "README.md").read_text("utf-8")
    for name, spec in specs().items():
        family = name.split("_ref")[0]
        short = "_" + family.split("_", 1)[1] if family.startswith("stylesim_") else family
        if spec.group != "opt-in":
            assert f"`{family}`" in text or f"`{short}`" in text, name
    import lipsync_eval.protocols as shelf

    for name in shelf.names():
        assert f"`{name}`" in text, name


def test_the_readme_names_real_commands() -> None:
    from lipsync_eval.cli import _COMMANDS

    for page in PAGES:
        for command in re.findall(r"lipsync-eval ([a-z][a-z-]+)", page.read_text("utf-8")):
            assert command in _COMMANDS, f"{page.name}: lipsync-eval {command}"


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_fit_a_screen(page: Path) -> None:
    """README's table of metrics is the exception: its links alone fill a line."""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        shown = re.sub(r"https?://\S+", "", line)
        assert len(shown) <= 120, f"{page.name}:{number} has {len(shown)} characters; 120 fit"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_of_code_is_closed(page: Path) -> None:
    fences = re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0, f"{page.name}: {len(fences)} lines with ```"
    assert not any(fences[1::2]), f"{page.name}: a block begins inside another"
