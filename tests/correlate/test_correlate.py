"""Correlation with people's scores: against scipy, on a study with a planted order, with ties, gaps and few raters."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from support.runs import pooled, run

from lipsync_eval import correlate
from lipsync_eval.cli import run as cli
from lipsync_eval.errors import ParseError, UsageError
from lipsync_eval.reports import correlation
from lipsync_eval.reports.opinions import read_opinions
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.schema import Result

SCIPY = {"spearman": stats.spearmanr, "kendall": stats.kendalltau, "pearson": stats.pearsonr}
numbers = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=3, max_size=30)
METHODS = ("bad", "fair", "good", "best")


def test_ids_as_clips_csv_writes_them(tmp_path: Path) -> None:
    """clips.csv has an apostrophe before what a spreadsheet would run; a study may have its ids from there."""
    names = ["=cmd", "-1=1", "plain", "'quoted"]
    (tmp_path / "m.csv").write_text(csv_text([("id", "method", "mos"), *((n, "a", i) for i, n in enumerate(names))]))
    assert "'=cmd" in (tmp_path / "m.csv").read_text()
    (opinions,) = read_opinions(tmp_path / "m.csv")
    assert [clip for clip, _ in opinions.scores] == names


@pytest.mark.filterwarnings("ignore")
@given(numbers)
def test_coefficients_are_scipys_with_ties_too(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(v, np.float64) for v in zip(*pairs, strict=True))
    for kind, reference in SCIPY.items():
        mine, theirs = correlation.coefficient(kind, x, y), float(reference(x, y).statistic)
        assert (mine is None) == np.isnan(theirs)
        assert mine is None or mine == pytest.approx(theirs, abs=1e-12)


@pytest.mark.filterwarnings("ignore")
@given(numbers, st.integers(0, 99))
def test_a_resample_is_the_coefficient_of_its_copies(pairs: list[tuple[int, int]], seed: int) -> None:
    x, y = (np.array(v, np.float64) for v in zip(*pairs, strict=True))
    copies = correlation.drawn_clips(len(x), 4, seed)
    assert (copies.sum(axis=1) == len(x)).all()
    for kind, reference in SCIPY.items():
        mine = correlation.weighted(kind, x, y, copies.astype(np.float64))
        theirs = [reference(np.repeat(x, c), np.repeat(y, c)).statistic for c in copies]
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_blocks_change_nothing() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 700)).round(1)
    mine = correlation.coefficient("kendall", x, x + y)
    assert mine == pytest.approx(stats.kendalltau(x, x + y).statistic, abs=1e-12)


@given(st.integers(0, 99))
def test_rows_are_coefficients(seed: int) -> None:
    x, y = np.random.default_rng(seed).integers(0, 4, (2, 5, 6)).astype(np.float64)
    for kind in correlation.KINDS:
        each = [correlation.coefficient(kind, a, b) for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(correlation.rows(kind, x, y), [np.nan if e is None else e for e in each], atol=1e-12)


def planted(tmp_path: Path, clips: int = 12) -> tuple[Path, list[Result]]:
    """A study in which people follow LMD closely, PSNR loosely and SSIM not at all, and four runs."""
    rng = np.random.default_rng(1)
    quality = np.arange(4)[:, None] + rng.normal(0, 0.3, (4, clips))
    runs = []
    for i, method in enumerate(METHODS):
        values = {
            "psnr": list(30 + quality[i] + rng.normal(0, 2, clips)),
            "ssim": list(rng.uniform(0.5, 0.9, clips)),
            "lmd": list(5 - quality[i]),
            "av_offset": list((4 - quality[i]) * rng.choice([-1, 1], clips)),
        }
        runs.append(run(method, values))
    lines = ["id,method,mos"]
    lines += [
        f"clip{k:03d},{m},{1 + quality[i, k] + rng.normal(0, 0.1):.4f}"
        for i, m in enumerate(METHODS)
        for k in range(clips)
    ]
    (tmp_path / "mos.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "mos.csv", runs


def found(text: str, level: str = "clip") -> dict[str, dict]:  # type: ignore[type-arg]
    return {r["metric"]: r for r in json.loads(text)["rows"] if r["level"] == level}


def test_the_planted_order_is_found(tmp_path: Path) -> None:
    mos, runs = planted(tmp_path)
    rows = found(correlate(mos, runs, form="json"))
    assert list(rows)[-2:] == ["psnr", "ssim"] and set(list(rows)[:2]) == {"lmd", "av_offset"}
    lmd = rows["lmd"]["coefficients"]["spearman"]
    assert 0.95 < lmd["low"] < lmd["value"] < lmd["high"] <= 1
    assert rows["lmd"]["coefficients"]["pearson"]["value"] > 0.98  # lower is better: negated
    assert rows["av_offset"]["coefficients"]["spearman"]["value"] > 0.98  # best at 0
    ssim = rows["ssim"]["coefficients"]["kendall"]
    assert ssim["low"] < 0 < ssim["high"]
    assert rows["lmd"]["pairs"] == 48 and rows["lmd"]["clips"] == 12
    methods = found(correlate(mos, runs, form="json"), "method")
    assert methods["lmd"]["pairs"] == 4 and methods["lmd"]["coefficients"]["spearman"]["value"] == pytest.approx(1)
    assert correlate(mos, runs) == correlate(mos, runs)


def test_a_failed_video_has_no_pair_and_a_method_mean_is_over_equal_clips(tmp_path: Path) -> None:
    mos, runs = planted(tmp_path)
    lost = run("bad", {"lmd": [None, *[c.values["lmd"] for c in runs[0].clips[1:]]]})
    text = correlate(mos, [lost, *runs[1:]], metrics=["lmd"], form="json")
    assert found(text)["lmd"]["pairs"] == 47
    assert found(text, "method")["lmd"]["clips"] == 11


def test_a_pooled_metric_is_compared_per_method_alone(tmp_path: Path) -> None:
    mos, _ = planted(tmp_path)
    runs = [pooled(m, 50.0 - 9 * i, 12) for i, m in enumerate(METHODS)]
    text = correlate(mos, runs, form="json")
    assert "fid" not in found(text)
    assert found(text, "method")["fid"]["coefficients"]["spearman"]["value"] == pytest.approx(1)


def test_ties_few_pairs_and_constant_numbers_have_reasons(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,method,mos\nclip000,a,1\nclip001,a,2\n")
    rows = found(correlate(tmp_path / "m.csv", [run("a", {"psnr": [1.0, 2.0]})], form="json"))
    assert rows["psnr"]["why"] == "2 videos, at least 3 are needed"
    (tmp_path / "m.csv").write_text("id,method,mos\nclip000,a,3\nclip001,a,3\nclip002,a,3\n")
    text = correlate(tmp_path / "m.csv", [run("a", {"psnr": [1.0, 2.0, 3.0], "ssim": [0.1] * 3})], form="json")
    assert found(text)["psnr"]["why"] == "the opinion is the same everywhere"
    assert found(text)["ssim"]["why"] == "the metric is the same everywhere"
    assert "none, 1 methods" in correlate(tmp_path / "m.csv", [run("a", {"psnr": [1.0, 2.0, 3.0]})])


def test_raters_questions_and_names(tmp_path: Path) -> None:
    rows = [f"clip00{k},{m},{v},{r},{q}" for k in range(3) for m in ("a", "$b") for q in ("sync", "look")
            for r, v in (("r1", k + 1), ("r2", k + 2))]  # fmt: skip
    (tmp_path / "m.csv").write_text("\n".join(["id,method,mos,rater,question", *rows]))
    runs = [
        run("a", {"psnr": [1.0, 2.0, 3.0]}),
        run("$b", {"psnr": [1.0, 2.0, 3.0]}),
        run("other", {"psnr": [1.0] * 3}),
    ]
    text = correlate(tmp_path / "m.csv", runs)
    assert "sync: 2 raters, at least 2 a video; Krippendorff's alpha" in text
    assert "fewer than 5 ratings a video" in text
    assert "among the runs but not in the study, so left out: other" in text
    assert {r["question"] for r in json.loads(correlate(tmp_path / "m.csv", runs, form="json"))["rows"]} == {
        "sync",
        "look",
    }


@pytest.mark.parametrize(
    "text",
    ["", "id,method\na,b\n", "id,method,mos\n", "id,method,mos\na,b,x\n", "id,method,mos\na,b,nan\n", "id,method,mos\na,,1\n",
     "id,method,mos\na,b,1\na,b,2\n", "id,method,mos\na,b\n", "id,method,mos\na,b,1,2\n", "id,method,mos,rater\na,b,1,\n",
     'id,method,mos\n"a,b,1\n', "id,method,mos,mos\na,b,1,1\n"],
)  # fmt: skip
def test_broken_tables_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(ParseError):
        correlate(tmp_path / "m.csv", [run("b", {"psnr": [1.0]}, ids=["a"])])


def test_nothing_in_common_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,method,mos\na,b,1\n")
    with pytest.raises(UsageError, match=r"RUN=NAME"):
        correlate(tmp_path / "m.csv", [run("c", {"psnr": [1.0]})])
    with pytest.raises(UsageError, match=r"no rated clip is in the runs"):
        correlate(tmp_path / "m.csv", [run("b", {"psnr": [1.0]})])
    with pytest.raises(UsageError, match=r"no run scored lmd"):
        correlate(tmp_path / "m.csv", [run("b", {"psnr": [1.0]}, ids=["a"])], metrics=["lmd"])


def study(tmp_path: Path, runs: list[Result], raters: int = 6) -> Path:
    """key.json and answers of raters who follow LMD."""
    items = {
        f"{i:02d}{k:02d}": {"method": r.run.name, "clip": c.id}
        for i, r in enumerate(runs)
        for k, c in enumerate(r.clips)
    }
    methods, clips = [r.run.name for r in runs], [c.id for c in runs[0].clips]
    key = {"study": "s", "seed": 1, "questions": ["sync"], "methods": methods, "clips": clips, "items": items}
    (tmp_path / "key.json").write_text(json.dumps(key))
    rng = np.random.default_rng(2)
    values = {(r.run.name, c.id): 5 - c.values["lmd"] for r in runs for c in r.clips}  # type: ignore[operator]
    for rater in range(raters):
        answers = [
            {"item": n, "question": "sync", "watched": True,
             "score": int(np.clip(round(1.5 + values[v["method"], v["clip"]] + rng.normal(0, 0.5)), 1, 5))}
            for n, v in items.items()
        ]  # fmt: skip
        (tmp_path / f"answers-s-rater{rater}.json").write_text(
            json.dumps({"study": "s", "rater": rater, "answers": answers})
        )
    return tmp_path / "key.json"


def test_the_study_pages_answers_and_what_collect_wrote_agree(tmp_path: Path) -> None:
    _, runs = planted(tmp_path)
    key = study(tmp_path, runs)
    rows = found(correlate(key, runs, form="json"))
    assert next(iter(rows)) in ("lmd", "av_offset") and rows["lmd"]["coefficients"]["spearman"]["value"] > 0.85
    assert found(correlate(tmp_path, runs, form="json")) == rows
    files = sorted(tmp_path.glob("answers*.json"))
    assert cli(["study", "collect", str(key), *map(str, files), "--out", str(tmp_path / "mos")]) == 0
    assert found(correlate(tmp_path / "mos", runs, form="json")) == rows
    with pytest.raises(UsageError, match="a rater number came twice"):
        correlate(key, runs, answers=[files[0], files[0]])


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mos, runs = planted(tmp_path)
    named = []
    for i, r in enumerate(runs):
        r.renamed("x").save(tmp_path / f"{i}")
        named.append(f"{tmp_path / str(i)}={r.run.name}")
    line = ["correlate", str(mos), *named, "--plot", str(tmp_path / "p")]
    assert cli(line) == 0
    out = capsys.readouterr().out
    assert "mos, per clip (a pair is a video)" in out and "Positive: the metric prefers what people prefer" in out
    with Image.open(tmp_path / "p.png") as image:
        assert image.width == round(2 * 3.4 * 300)
    assert cli(line) == 2  # nothing is replaced silently
    assert cli([*line, "--overwrite", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {r["coefficient"] for r in rows} == {"spearman", "kendall", "pearson"}
    assert float(rows[0]["value"]) > 0.97
    assert cli([*line[:-2], "--format", "markdown", "--out", str(tmp_path / "t.md")]) == 0
    table = [x for x in (tmp_path / "t.md").read_text().splitlines() if x.startswith("|")]
    assert len({x.count("|") for x in table}) == 1
