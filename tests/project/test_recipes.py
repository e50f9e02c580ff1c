"""The recipes printed for the papers' tables: every baselines.toml and every `compare` line is taken as it stands."""

import re
import shlex
from pathlib import Path

import click
import pytest

from lipsync_eval.baselines.environments import read_environments
from lipsync_eval.cli import cli
from lipsync_eval.cli.compare import compare
from lipsync_eval.cli.generators import chosen
from lipsync_eval.metrics.registry import select as metrics
from lipsync_eval.reports.layout import get_layout
from lipsync_eval.reports.published import select

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "avhubert-expert.md": {"row_lipexpert", "row_multimodal", "row_unsupervised"},
    "stylesync.md": {"row_wosync", "makeittalk", "pc_avs", "wav2lip_ref", "ad_nerf"},
    "personatalk-generator.md": {
        "row_single",
        "row_random",
        "wav2lip",
        "videoretalking",
        "talklip",
        "ip_lap",
        "dinet",
        "synctalk",
    },
    "radio.md": {"radio_b", "radio_c", "radio_d", "radio_vit11", "radio_vit12"},
}
"""Methods whose tables a page says are like another one, or leaves to the reader."""


def blocks(page: str, kind: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def compare_lines(page: str) -> list[str]:
    """Every `lipsync-eval compare ...` of the page's shell blocks, continuation lines joined."""
    text = "\n".join(blocks(page, "")).replace("\\\n", " ")
    return re.findall(r"lipsync-eval (compare .*)", text)


@pytest.mark.parametrize("page", PAGES)
def test_printed_environments_are_taken(page: str, tmp_path: Path) -> None:
    file = tmp_path / "baselines.toml"
    file.write_text("\n".join(blocks(page, "toml")), "utf-8")
    known = read_environments(file)
    methods = {m for line in compare_lines(page) for m in re.findall(r"--methods (\S+)", line)[0].split(",")}
    named = sorted(methods - PAGES[page])
    assert named and {adapter.record.name for adapter, _ in chosen(named, known)} == set(named)
    assert not PAGES[page] & set(known), "a table is printed, so take its name out of PAGES"


@pytest.mark.parametrize("page", PAGES)
def test_printed_compare_lines_are_taken(page: str) -> None:
    lines = compare_lines(page)
    assert lines
    root = click.Context(cli, info_name="lipsync-eval", **cli.context_settings)  # a command keeps its first -h for good
    for line in lines:
        values = compare.make_context("compare", shlex.split(line)[1:], parent=root).params
        if values["layout"]:
            get_layout(values["layout"])
        for key in values["published"]:
            assert select(*key.split("/", 1)), key
        assert metrics(values["metrics"])


@pytest.mark.parametrize("page", PAGES)
def test_runs_of_compare_are_named_as_folders(page: str) -> None:
    """OUT/runs also holds the pairs' tables: `runs/*` without a slash would hand them over as runs."""
    for line in re.findall(r"lipsync-eval (?:study|table|report|plot|figure).*/runs/\S*", "\n".join(blocks(page, ""))):
        assert line.endswith("/runs/*/"), line
