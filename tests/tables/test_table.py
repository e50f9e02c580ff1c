from __future__ import annotations

import csv
import html.parser
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.runs import noisy, run

from lipsync_eval.cli import run as cli
from lipsync_eval.errors import ParseError, SignatureMismatch, UsageError
from lipsync_eval.reports.layout import get_layout
from lipsync_eval.reports.published import select
from lipsync_eval.reports.render import FORMATS, as_csv, as_html, as_latex, as_markdown, as_text
from lipsync_eval.reports.table import Table, build
from lipsync_eval.results.schema import Result
from lipsync_eval.results.signature import short_hash

BASE = list(np.random.default_rng(0).normal(30, 3, 20))
LMD = list(np.random.default_rng(1).uniform(1, 3, 20))
HOSTILE = "<img src=x onerror=alert(1)>_&%$#{}~^\\|`*[x](y)\n日"


def three() -> list[Result]:
    truth = {"lse_c": [7.0] * 20}
    return [
        run("GT", {"psnr": [100.0] * 20, "lmd_norm": [0.0] * 20, "lse_c": [7.0] * 20}, gt_values=truth),
        run(
            "light",
            {"psnr": noisy(BASE, 0, 2), "lmd_norm": noisy(LMD, 0, 3), "lse_c": noisy([6.5] * 20, 0, 4)},
            gt_values=truth,
        ),
        run(
            "heavy",
            {"psnr": noisy(BASE, -3, 5), "lmd_norm": noisy(LMD, 1, 6), "lse_c": noisy([8.5] * 20, 0, 7)},
            gt_values=truth,
        ),
    ]


def cells(table: Table, method: str) -> dict[str, tuple[bool, bool, bool, bool]]:
    row = next(r for r in table.rows if r.method == method)
    return {m: (c.best, c.second, c.star, c.significant) for (_, m), c in row.cells.items()}


def test_marks() -> None:
    table = build(three(), layout=get_layout("radio"))
    assert [r.method for r in table.rows] == ["GT", "light", "heavy"]
    assert not any(any(marks) for marks in cells(table, "GT").values()), "the truth takes part in no ranking"
    assert cells(table, "light") == {
        "psnr": (True, False, False, True),
        "lmd_norm": (True, False, False, True),
        "lse_c": (False, True, True, False),
    }
    assert cells(table, "heavy") == {
        "psnr": (False, True, False, False),
        "lmd_norm": (False, True, False, False),
        "lse_c": (True, False, False, True),
    }


def test_no_difference_is_not_significant() -> None:
    table = build([run("a", {"psnr": noisy(BASE, 0, 2)}), run("b", {"psnr": noisy(BASE, 0, 3)})])
    assert not any(c.significant for r in table.rows for c in r.cells.values())


def test_few_clips_are_not_tested() -> None:
    few, enough = (
        build([run("a", {"psnr": [30.0 + i for i in range(n)]}), run("b", {"psnr": [20.0 + 2 * i for i in range(n)]})])
        for n in (5, 6)
    )
    assert not any(c.significant for r in few.rows for c in r.cells.values())
    assert any("takes 6 clips" in note for note in few.footnotes)
    assert cells(enough, "a")["psnr"] == (True, False, False, True)
    assert not any("takes 6 clips" in note for note in enough.footnotes)


def test_equal_methods_are_rarely_called_different() -> None:
    """Two-sided: about 1 in 14 at 30 clips (a bootstrap is a little optimistic); a one-sided test of the better of two would give 1 in 8."""
    rng = np.random.default_rng(11)
    marked = 0
    for _ in range(200):
        table = build([run(name, {"psnr": list(rng.normal(30, 1, 30))}) for name in "ab"])
        marked += any(c.significant for r in table.rows for c in r.cells.values())
    assert 2 <= marked <= 22


def test_ties_share_a_mark() -> None:
    table = build([run("a", {"psnr": [30.0001]}), run("b", {"psnr": [30.0002]}), run("c", {"psnr": [20.0]})])
    assert [c.best for r in table.rows for c in r.cells.values()] == [True, True, False]
    assert [c.second for r in table.rows for c in r.cells.values()] == [False, False, True]


def test_the_truth_row_comes_from_the_runs() -> None:
    table = build(three()[1:])
    assert table.rows[0].is_gt
    assert {m: c.value for (_, m), c in table.rows[0].cells.items()} == {"lse_c": 7.0}


def test_a_layout_without_a_metric_of_the_truth_has_no_row_of_dashes() -> None:
    runs = [
        run(name, {"psnr": noisy(BASE, 0, seed), "av_offset": [3.0] * 20}, gt_values={"av_offset": [1.0] * 20})
        for name, seed in (("a", 1), ("b", 2))
    ]
    assert [r.method for r in build(runs).rows] == ["GT", "a", "b"]
    assert [r.method for r in build(runs, layout=get_layout("radio")).rows] == ["a", "b"]


def test_unlike_runs_are_refused() -> None:
    a, b = run("a", {"psnr": BASE}), run("b", {"psnr": BASE}, proto="raw.1")
    with pytest.raises(SignatureMismatch, match=r"proto: radio\.1 in a \(psnr\), raw\.1 in b"):
        build([a, b])
    allowed = build([a, b], ignore=["proto"])
    assert len(allowed.rows) == 2
    assert "Not measured the same way, allowed by --ignore: PSNR (proto)." in allowed.footnotes
    hashes = [short_hash(r.scores[0].signature) for r in (a, b)]
    assert f"Signatures: PSNR {'/'.join(hashes)}." in allowed.footnotes
    assert not any("--ignore" in note for note in build([a, run("c", {"psnr": BASE})]).footnotes)
    other = run("b", {"psnr": BASE}, data="elsewhere")
    with pytest.raises(SignatureMismatch, match="--group-by dataset"):
        build([a, other])
    assert build([a, other], ignore=["data"]).datasets == ("",)
    with pytest.raises(UsageError, match="two runs are called 'a'"):
        build([a, a])


def test_datasets_as_column_groups() -> None:
    runs = [
        run(m, {"psnr": noisy(BASE, s, k)}, data=d)
        for k, (m, d, s) in enumerate([("a", "HDTF", 0), ("a", "LRW", 0), ("b", "HDTF", 1), ("b", "LRW", 1)])
    ]
    table = build(runs, by_dataset=True)
    assert table.datasets == ("HDTF", "LRW")
    assert [r.method for r in table.rows] == ["a", "b"]
    assert r"\multicolumn{1}{c}{HDTF} & \multicolumn{1}{c}{LRW}" in as_latex(table)


def test_published_rows_never_mix_unmarked() -> None:
    table = build(three(), select("radio"), layout=get_layout("radio"))
    assert [r.kind for r in table.rows] == ["measured"] * 3 + ["published"] * 16
    assert table.datasets == ("", "published"), "one group of columns, a row for each dataset"
    assert {"Wav2Lip (HDTF)", "Wav2Lip (VoxCeleb2)"} <= {r.method for r in table.rows}
    same = build(three(), select("radio"), layout=get_layout("radio"), dataset="hdtf")
    assert same.datasets == ("",), "the same columns as one's own metrics"
    assert [r.kind for r in same.rows] == ["measured"] * 3 + ["published"] * 8
    assert len(same.columns) == 6
    with pytest.raises(UsageError, match="HDTF, VoxCeleb2"):
        build(three(), select("radio"), dataset="LRW")
    assert cells(table, "light")["psnr"][0], "RADIO's printed 33.9 dB does not outrank a measured row"
    for name, text in ((f, render(table)) for f, render in FORMATS.items()):
        if name == "csv":
            assert {r["kind"] for r in csv.DictReader(io.StringIO(text))} == {"gt", "measured", "published"}
        else:
            assert "dagger" in text or "†" in text
            assert "another protocol" in text


def test_failed_clips_are_counted_below() -> None:
    runs = [run("a", {"psnr": [None, *BASE[1:]]}), run("b", {"psnr": BASE})]
    assert any("Not all scored: a: 19 of 20 clips (PSNR)" in note for note in build(runs).footnotes)


def test_odd_numbers_of_things() -> None:
    with pytest.raises(UsageError, match="nothing to show"):
        build([])
    assert as_text(build([run("a", {"psnr": [1.0]})])).count("1.00") == 1
    assert "–" in as_text(build([run("a", {"psnr": [None, None]})]))
    assert len(build([run(f"m{i}", {"psnr": noisy(BASE, i, i)}) for i in range(40)]).rows) == 40
    big = [run(n, {"psnr": list(np.random.default_rng(k).normal(30, 3, 5000))}) for k, n in enumerate("ab")]
    assert "5000" in as_text(build(big))
    with pytest.raises(UsageError, match="none of the layout's metrics"):
        build([run("a", {"av_offset": [1.0]})], layout=get_layout("radio"))


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_hostile_names_stay_text() -> None:
    table = build(
        [run(HOSTILE, {"psnr": BASE}, data=HOSTILE), run("b", {"psnr": noisy(BASE, 1, 1)}, data=HOSTILE)],
        by_dataset=True,
    )
    assert Tags(as_html(table)).seen <= {"table", "thead", "tbody", "tr", "td", "th", "strong", "u", "p", "caption"}
    assert "<img" not in as_markdown(table)
    assert (
        len({line.replace(r"\|", "").count("|") for line in as_markdown(table).splitlines() if line.startswith("|")})
        == 1
    ), "the name must not split a cell"
    assert "\n日" not in as_text(table)
    assert [r["method"] for r in csv.DictReader(io.StringIO(as_csv(table), newline=""))] == [HOSTILE, "b"]


def test_csv_is_tidy_and_unrounded() -> None:
    found = list(csv.DictReader(io.StringIO(as_csv(build(three())))))
    light = next(r for r in found if r["method"] == "light" and r["metric"] == "psnr")
    assert float(light["value"]) == three()[1]["psnr"].value
    assert light["marks"] == "best significant"
    assert light["n_scored"] == "20"


@pytest.mark.parametrize("hostile", [False, True])
def test_latex_compiles(tmp_path: Path, hostile: bool) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    runs = three()
    if hostile:
        runs = [run(HOSTILE.replace("日", "ü"), {"psnr": BASE}), run("b_1 & c", {"psnr": noisy(BASE, 1, 1)})]
    body = as_latex(build(runs, () if hostile else select("radio"), layout=get_layout("radio")))
    document = (
        "\\documentclass{article}\\usepackage[landscape,margin=1cm]{geometry}\\usepackage{booktabs}\\usepackage{graphicx}\\usepackage[T1]{fontenc}\\begin{document}\n"
        + body
        + "\\end{document}\n"
    )
    (tmp_path / "t.tex").write_text(document, "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 10_000


def test_own_layouts(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "Mine"\nmetrics = ["lmd_norm", "psnr"]\n[headings]\nlmd_norm = "Lip distance"\n[decimals]\npsnr = 1\n'
    )
    table = build(three(), layout=get_layout(str(path)))
    assert [(c.heading, c.decimals) for c in table.columns] == [("Lip distance", 4), ("PSNR", 1)]
    for text, words in (
        ("metrics = []", "metric ids"),
        ("metric = 3", "'metric' is not expected"),
        ("x", "cannot be read"),
        ('metrics=["psnr"]\n[decimals]\npsnr=-1', "whole numbers"),
    ):
        path.write_text(text)
        with pytest.raises(ParseError, match=words):
            get_layout(str(path))
    with pytest.raises(UsageError, match="radio, radio-ablation, personatalk"):
        get_layout("fancy")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for r in three():
        (tmp_path / r.run.name).mkdir()
        (tmp_path / r.run.name / "results.json").write_text(r.to_json())
    paths = [str(tmp_path / n) for n in ("GT", "light", "heavy")]
    for form in FORMATS:
        assert cli(["table", *paths, "--layout", "radio", "--format", form]) == 0
        assert "light" in capsys.readouterr().out
    assert cli(["table", *paths, "--out", str(tmp_path / "t.md"), "--format", "markdown"]) == 0
    assert "**" in (tmp_path / "t.md").read_text()
    assert cli(["table"]) == 2
    assert cli(["table", str(tmp_path / "none")]) == 2
    assert cli(["table", "--published", "radio"]) == 0
    assert cli(["list", "published"]) == 0
    assert cli(["show", "radio"]) == 0
