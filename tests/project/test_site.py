"""The site's pages, without MkDocs: all are reached, headings that links name are there, generated pages are whole."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import unicodedata
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")


def loaded(name: str) -> ModuleType:
    """A file of docs/site as a module: it is no package."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, DOCS / "site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages_of(nav: Any) -> list[str]:
    """Addresses in a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in pages_of(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    listed = pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    assert sorted(listed) == sorted({p.relative_to(DOCS).as_posix() for p in PAGES} | {"tutorial.md"})


def test_nothing_is_fetched_for_a_reader() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert site["theme"]["font"] is False
    assert not re.findall(r"https?://|url\(\s*//", (DOCS / "site" / "extra.css").read_text("utf-8"))
    assert not any("://" in str(site.get(key, "")) for key in ("extra_css", "extra_javascript", "hooks"))


def anchors(page: Path) -> set[str]:
    """Addresses of a page's headings, as MkDocs and GitHub make them (they differ on headings that we don't link)."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_stay_in_the_site(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, heading = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.is_file() and path.is_relative_to(DOCS), f"{page.name} links to {target}: no file of docs/"
        if heading:
            assert heading in anchors(path), f"{page.name} links to {target}: no such heading"


def commands_in(page: Path) -> list[list[str]]:
    """Words of every lipsync-eval command line in a page's fenced blocks."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("lipsync-eval ")]


@pytest.mark.parametrize("page", [*sorted((DOCS / "how-to").glob("*.md")), DOCS / "index.md"], ids=lambda p: p.name)
def test_commands_of_task_pages_exist_with_their_options(page: Path) -> None:
    from lipsync_eval.cli import cli

    for words in commands_in(page):
        command: click.Command = cli
        rest = words[1:]
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), rest.pop(0))
            assert found is not None, words
            command = found
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        assert {w.split("=")[0] for w in rest if w.startswith("--")} <= known, words
        if "--metrics" in rest:
            from lipsync_eval.metrics.registry import specs

            asked = rest[rest.index("--metrics") + 1].split(",")
            assert {m.removeprefix("-") for m in asked} <= {*specs(), "core", "all", "mae"}, words


def test_help_pages_hold_every_command_and_subcommand() -> None:
    from lipsync_eval.cli import _COMMANDS

    pages = loaded("pages").command_pages()
    assert set(pages) == {f"commands/{name}.md" for name in _COMMANDS}
    for name in _COMMANDS:
        assert f"Usage: lipsync-eval {name}" in pages[f"commands/{name}.md"]
    assert "\n## radio dub\n" in pages["commands/radio.md"]


def test_api_pages_hold_all_that_the_package_offers() -> None:
    import lipsync_eval
    import lipsync_eval.torch

    pages = loaded("pages")
    assert pages.api_names() == set(lipsync_eval.__all__) - {"__version__"}
    text = "\n".join(pages.api_pages().values())
    for name in lipsync_eval.torch.__all__:
        assert f"::: lipsync_eval.torch.{name}\n" in text
