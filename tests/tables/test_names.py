"""Any name in any format: read back by a reader of that format."""

from __future__ import annotations

import csv
import html.parser
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.runs import run

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.latex import _ESCAPES, as_latex, escaped
from lipsync_eval.reports.render import as_csv, as_html, as_markdown, as_text
from lipsync_eval.reports.table import Table, build
from lipsync_eval.results.csv_text import FORMULA
from lipsync_eval.results.names import printable

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=15).filter(
    lambda n: n != "GT" and n.strip()
)
HARD = [
    "[ours]",
    "*Ours",
    'Wav2Lip "HQ"',
    "a--b",
    "\\input{x}",
    "a|b`c`",
    "=cmd|'x'!A0",
    "\x1b[31mred",
    "<b>&amp;",
    "a\rb",
]


def table_of(names: list[str]) -> Table:
    return build([run(n, {"psnr": [30.0 + i], "lmd": [2.0 - i / 9]}, gen=f"/g/{i}") for i, n in enumerate(names)])


every_name = [example([name, "plain"]) for name in HARD]


def hard_names(test):  # type: ignore[no-untyped-def]
    for one in every_name:
        test = one(test)
    return settings(deadline=None, max_examples=60)(given(st.lists(NAMES, min_size=2, max_size=4, unique=True))(test))


class Headers(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.tags: set[str] = set()
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "th" and ("scope", "row") in attrs:
            self.inside = True
            self.rows.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1] += data


def unescaped(text: str) -> str:
    """What TeX prints, for what `escaped` writes."""
    back = {tex: sign for sign, tex in _ESCAPES.items() if sign != "–"}
    pattern = re.compile("|".join(re.escape(t) for t in sorted(back, key=len, reverse=True)) + r"|\\ |\{\}")
    return pattern.sub(lambda m: back.get(m.group(), " " if m.group() == "\\ " else ""), text)


@hard_names
def test_html(names: list[str]) -> None:
    found = Headers(as_html(table_of(names)))
    assert found.rows == [printable(n) for n in names]
    assert found.tags <= {"table", "thead", "tbody", "tr", "td", "th", "strong", "u", "p"}


@hard_names
def test_csv(names: list[str]) -> None:
    def plain(cell: str) -> str:
        return cell[1:] if cell.startswith("'") and FORMULA.match(cell.lstrip("'")) else cell

    rows = list(csv.DictReader(io.StringIO(as_csv(table_of(names)), newline="")))
    assert [plain(r["method"]) for r in rows] == [n for n in names for _ in range(2)]


@hard_names
def test_text(names: list[str]) -> None:
    text = as_text(table_of(names))
    assert all(c.isprintable() or c == "\n" for c in text)
    lines = text.splitlines()[2 : 2 + len(names)]
    for line, name in zip(lines, names, strict=True):
        assert line.startswith(printable(name))


@hard_names
def test_markdown(names: list[str]) -> None:
    lines = [line for line in as_markdown(table_of(names)).splitlines() if line.startswith("|")][2:]
    for line, name in zip(lines, names, strict=True):
        cells = re.split(r"(?<!\\)\|", re.sub(r"\\\\", "\0", line))
        assert len(cells) == 5, "a name splits no cell"
        cell = re.sub(r"\\(.)", r"\1", cells[1].strip()).replace("\0", "\\")
        for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            cell = cell.replace(entity, sign)
        assert cell == printable(name).strip()


@hard_names
def test_latex(names: list[str]) -> None:
    text = as_latex(table_of(names))
    rows = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    for row, name in zip(rows, names, strict=True):
        first = re.split(r"(?<!\\) & ", row)[0]
        assert not first.startswith(("[", "*")), "TeX would read it as an argument of the line above"
        assert unescaped(first) == printable(name)
        assert "--" not in first and "``" not in first and ",," not in first, "no ligature"


@pytest.mark.parametrize("name", [n for n in HARD if "\x1b" not in n])
def test_a_document_with_booktabs_alone_prints_names(tmp_path: Path, name: str) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    body = as_latex(table_of(["first", name, f"{name} {name}"]), name="tab:a_b", caption="Results")
    (tmp_path / "t.tex").write_text(head + body + "\\end{document}\n", "utf-8")
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    if shutil.which("pdftotext"):
        subprocess.run(["pdftotext", "-layout", "t.pdf"], cwd=tmp_path, check=True)
        text = (tmp_path / "t.txt").read_text("utf-8").replace("−", "-")
        assert re.sub(r"\s", "", printable(name)) in re.sub(r"\s", "", text)


def test_label_caption_and_fit() -> None:
    table = table_of(["a", "b"])
    text = as_latex(table, name="tab:main", caption=r"Ours is \emph{best}.")
    assert "\\label{tab:main}" in text and "\\caption{Ours is \\emph{best}.}" in text
    assert "% Bold: best." in text, "the footnotes are not lost"
    assert "\\begin{table}[t]" in text and "resizebox" not in text
    assert "\\begin{table*}[t]" in as_latex(table, fit="page")
    with pytest.raises(UsageError, match="tab:main"):
        as_latex(table, name="tab}{x")
    names = ("psnr", "ssim", "lmd", "lse_c", "lse_d")
    wide = build([run(f"{'m' * 40}{i}", {m: [1.0 + i] for m in names}) for i in (0, 1)])
    text = as_latex(wide, fit="column")
    assert "% too wide for a column: shrunk to about" in text and "graphicx" in text.splitlines()[0]


def test_what_is_left_out_is_a_comment_in_latex() -> None:
    from lipsync_eval.reports.layout import get_layout

    table = build([run("a", {"psnr": [1.0], "av_offset": [1.0]})], layout=get_layout("radio"))
    text = as_latex(table)
    assert "% Measured but not shown: av_offset." in text
    assert "not shown" not in text.split("\\caption")[1].splitlines()[0]
    assert "Measured but not shown: av_offset." in as_text(table)


def test_escaped_by_hand() -> None:
    assert escaped("[a]") == "{}[a]"
    assert escaped("a_b & 50%") == r"a\_b \& 50\%"
    assert escaped('"') == r"{\ttfamily\char34}"
