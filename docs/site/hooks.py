"""MkDocs' hooks: generated pages, examples that run while the site is built, and a look at what the pages would fetch."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
import examples
import pages

_made: dict[str, str] = {}
"""Address -> Markdown, made once: `mkdocs serve` builds again after every change."""
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b(?![^>]*\bcanonical)[^>]*\bhref=["']?(?:https?:)?//"""
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the pages, run the examples, add both to the navigation."""
    if not _made:
        _made.update(pages.command_pages() | pages.api_pages() | {"tutorial.md": _run_examples()})
    reference: list[Any] = next(part["Reference"] for part in config.nav or [] if "Reference" in part)
    for title, folder in (("Commands", "commands/"), ("Python", "api/")):
        if not any(title in part for part in reference):
            reference.append({title: [name for name in _made if name.startswith(folder)]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    for name, text in _made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """In the repository the first page leads to the notebook, on the site to the page that is made of it."""
    return markdown.replace("](tutorial.ipynb)", "](tutorial.md)") if page.file.src_uri == "index.md" else markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site whose pages load something from an address."""
    for page in sorted(Path(config.site_dir).rglob("*.html")):
        if found := _FETCHED.search(page.read_text("utf-8")):
            raise PluginError(f"{page.name} loads something from the network: {found[0]}")


def _run_examples() -> str:
    """Run every page's examples and the tutorial; the tutorial's page with what it printed."""
    from lipsync_eval.demo import make_demo

    with examples.empty_folder() as folder:
        make_demo(folder / "demo")
        for page in examples.PAGES:
            try:
                examples.run_page(page)
            except Exception as error:
                raise PluginError(f"an example of docs/{page} fails: {error!r}") from error
    notebook = json.loads((examples.DOCS / "tutorial.ipynb").read_text("utf-8"))
    with examples.empty_folder():
        try:
            page = examples.as_markdown(notebook, examples.run_cells(notebook))
        except Exception as error:
            raise PluginError(f"a cell of docs/tutorial.ipynb fails: {error!r}") from error
    return page + "\n[This page as a notebook](tutorial.ipynb){ download }\n"
