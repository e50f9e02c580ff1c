"""Methods are compared over the clips that all of them scored, whatever the order of arguments."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs import pooled, run

from lipsync_eval.errors import SignatureMismatch, UsageError
from lipsync_eval.reports.render import FORMATS, as_csv, as_text
from lipsync_eval.reports.table import Table, build
from lipsync_eval.results.schema import Result, load_result

Column = list[float | None]
VALUES = st.one_of(st.none(), st.floats(-20, 60).map(lambda v: round(v, 2)))


def marks(table: Table, metric: str = "psnr") -> dict[str, tuple[bool, bool, bool]]:
    return {r.method: (c.best, c.second, c.star) for r in table.rows for (_, m), c in r.cells.items() if m == metric}


@st.composite
def runs_of_random_clips(draw: st.DrawFn, metric: str = "psnr") -> list[Result]:
    n, k = draw(st.integers(1, 8)), draw(st.integers(2, 4))
    truth = draw(st.lists(st.floats(0, 10), min_size=n, max_size=n))
    columns = [draw(st.lists(VALUES, min_size=n, max_size=n)) for _ in range(k)]
    return [run(f"m{i}", {metric: c}, gt_values={metric: truth}) for i, c in enumerate(columns)]


@settings(deadline=None, max_examples=60)
@given(runs_of_random_clips(), st.randoms())
def test_marks_follow_from_the_common_clips(runs: list[Result], order: random.Random) -> None:
    """Against a ranking made here, from scratch."""
    table = build(runs)
    columns = {r.run.name: {c.id: c.values["psnr"] for c in r.clips} for r in runs if r["psnr"].value is not None}
    common = [i for i in next(iter(columns.values()), {}) if all(c[i] is not None for c in columns.values())]
    means = {name: round(float(np.mean([c[i] for i in common])), 3) for name, c in columns.items()} if common else {}
    levels = sorted(set(means.values()), reverse=True)
    for name, (best, second, _) in marks(table).items():
        if name == "GT":
            continue
        assert best == (len(means) > 1 and means.get(name) == levels[0])
        assert second == (len(means) > 1 and len(levels) > 1 and means.get(name) == levels[1])
    shuffled = list(runs)
    order.shuffle(shuffled)
    assert marks(build(shuffled)) == marks(table)
    by_name = {r.run.name: r for r in runs}
    for row in table.rows:
        if not row.is_gt:
            assert row.cells["", "psnr"].value == by_name[row.method]["psnr"].value, (
                "the printed value is the run's own"
            )


@settings(deadline=None, max_examples=40)
@given(runs_of_random_clips("lse_c"), st.randoms())
def test_the_real_row_holds_every_real_clip_that_any_run_scored(runs: list[Result], order: random.Random) -> None:
    for run_ in runs:
        for clip in run_.clips:
            if clip.values["lse_c"] is None:
                clip.gt_values.clear()  # as `score` writes it: a clip that failed has no real score either
    scored = {c.id: c.gt_values["lse_c"] for r in runs for c in r.clips if "lse_c" in c.gt_values}
    table, turned = build(runs), build(order.sample(runs, len(runs)))
    for one in (table, turned):
        row = next((r for r in one.rows if r.is_gt), None)
        if not scored:
            assert row is None or row.cells["", "lse_c"].value is not None
            continue
        assert row is not None
        assert row.cells["", "lse_c"].value == pytest.approx(np.mean(list(scored.values())))
    assert marks(table, "lse_c") == marks(turned, "lse_c")
    for r in runs:
        if any(c.values["lse_c"] is None and c.id in scored for c in r.clips):
            assert not marks(table, "lse_c")[r.run.name][2], "who lost a real clip gets no star for it"


def test_a_run_that_failed_on_the_hard_clips_is_not_marked_better() -> None:
    full = run("full", {"psnr": [30.0, 20.0, 31.0, 29.0]})
    lucky = run("lucky", {"psnr": [29.5, None, 30.5, 28.5]})
    table = build([lucky, full])
    assert lucky["psnr"].value > full["psnr"].value  # type: ignore[operator]
    assert marks(table) == {"lucky": (False, True, False), "full": (True, False, False)}
    note = next(n for n in table.footnotes if n.startswith("Compared over"))
    assert "the 3 of 4 clips" in note and "clip001" in note


def test_runs_that_are_equal_on_the_common_clip(data: Path) -> None:
    """faults/metrics/table-partial-coverage: equal to the last digit where both have a score."""
    faults = data / "faults" / "metrics" / "table-partial-coverage"
    table = build([load_result(faults / "full"), load_result(faults / "part")])
    found = marks(table, "ssim")
    assert found["full"][:2] == found["part"][:2], "no mark for the run that failed and not for the other"
    orders = [("full", "part", "third"), ("part", "full", "third"), ("third", "part", "full")]
    for order in orders:
        table = build([load_result(faults / "gt-order" / name) for name in order])
        assert next(r for r in table.rows if r.is_gt).cells["", "lse_c"].value == 5.0
        assert {n for n, m in marks(table, "lse_c").items() if m[2]} == {"third"}


def test_a_pooled_score_is_marked_over_equal_clips_only() -> None:
    same = build([pooled("a", 10.0, 6), pooled("b", 8.0, 6)])
    assert marks(same, "fid")["b"][0] and marks(same, "fid")["a"][1]
    unlike = build([pooled("a", 10.0, 6), pooled("b", 8.0, 6, lost=2)])
    assert not any(any(m) for m in marks(unlike, "fid").values())
    assert any("pooled over other clips" in n for n in unlike.footnotes)


def test_offsets_do_not_cancel() -> None:
    late, both = run("late", {"av_offset": [1.0] * 10}), run("both", {"av_offset": [5.0, -5.0] * 5})
    table = build([late, both])
    assert marks(table, "av_offset") == {"late": (True, False, False), "both": (False, True, False)}
    assert "1.0 (1.0)" in as_text(table) and "0.0 (5.0)" in as_text(table)
    assert "5.0" in as_csv(table).splitlines()[2]


def test_no_format_prints_a_negative_zero() -> None:
    runs = [
        run("a", {"av_offset": [-1 / 30] * 3, "psnr": [-0.0004] * 3}),
        run("b", {"av_offset": [0.0] * 3, "psnr": [0.0] * 3}),
    ]
    for name, render in FORMATS.items():
        if name != "csv":
            assert "-0.0" not in render(build(runs))


def test_coarse_metrics_have_no_mark() -> None:
    table = build([run("a", {"mouth_audio_corr": [0.2] * 8}), run("b", {"mouth_audio_corr": [0.6] * 8})])
    assert not any(any(m) for m in marks(table, "mouth_audio_corr").values())
    assert any("Mouth-audio corr." in n and "without a rank" in n for n in table.footnotes)


def test_datasets_whose_folders_have_one_name(data: Path) -> None:
    here = [run("m", {"psnr": [30.0]}, data=d) for d in ("/d/hdtf/gt", "/d/lrs2/gt")]
    assert build(here, by_dataset=True).datasets == ("hdtf/gt", "lrs2/gt")
    faults = data / "faults" / "metrics" / "group-by-same-basename"
    table = build([load_result(faults / n) for n in "hl"], by_dataset=True)
    assert table.datasets == ("hdtf/gt", "lrs2/gt")
    changed = run("n", {"psnr": [30.0]}, data="/d/hdtf/gt")
    changed.clips[0].details["gt"]["sha256"] = "other"
    with pytest.raises(SignatureMismatch, match="one folder of real videos"):
        build([here[0], changed], by_dataset=True)


def test_runs_of_one_name_are_told_apart() -> None:
    one, two = (run("gen", {"psnr": [v]}, gen=f"/w/ckpt{i}/gen") for i, v in ((1, 30.0), (2, 31.0)))
    assert [r.method for r in build([one, two]).rows] == ["ckpt1/gen", "ckpt2/gen"]
    with pytest.raises(UsageError, match="RUN=NAME"):
        build([one, one])
    assert [r.method for r in build([one, one.renamed("again")]).rows] == ["gen", "again"]


def test_resampling_speakers() -> None:
    """Two speakers, clips of one of them all alike: many clips, and yet two independent ones."""
    who = [f"s{i // 10}" for i in range(20)]
    a = run("a", {"psnr": [31.0] * 10 + [30.1] * 10}, speakers=who)
    b = run("b", {"psnr": [30.0] * 20}, speakers=who)
    assert next(c for r in build([a, b]).rows if r.method == "a" for c in r.cells.values()).significant
    table = build([a, b], resample="speaker")
    assert not any(c.significant for r in table.rows for c in r.cells.values())
    many = [f"s{i}" for i in range(20)]
    a, b = (run(n, {"psnr": [v + i / 10 for i in range(20)]}, speakers=many) for n, v in (("a", 31.0), ("b", 30.0)))
    assert any("over speakers" in n for n in build([a, b], resample="speaker").footnotes)
    assert any("it takes 6 speakers" in n for n in table.footnotes)
    with pytest.raises(UsageError, match="column `speaker`"):
        build([run("a", {"psnr": [1.0, 2.0]})], resample="speaker")
    with pytest.raises(UsageError, match="column `speaker`"):
        build([run("a", {"psnr": [1.0]}), run("b", {"psnr": [2.0]})], resample="speaker")


def test_intervals_of_a_table_draw_what_is_asked_for() -> None:
    """One speaker's clips are all alike: over clips the interval is narrow, over the two speakers it spans both."""
    who = ["s0"] * 10 + ["s1"] * 10
    a, b = run("a", {"psnr": [30.0] * 10 + [32.0] * 10}, speakers=who), run("b", {"psnr": [30.0] * 19 + [31.0]})
    for order in ([a, b], [b, a]):
        rows = {
            (r["method"], r["resample"]): (float(r["low"]), float(r["high"]))
            for how in ("clip", "speaker")
            for r in csv.DictReader(io.StringIO(as_csv(build(order, resample=how)), newline=""))  # type: ignore[arg-type]
        }
        assert rows["a", "speaker"] == (30.0, 32.0)
        assert 30.0 < rows["a", "clip"][0] < rows["a", "clip"][1] < 32.0
        assert rows["b", "speaker"] == (30.0, 30.1), "clips of one id have one speaker, whichever run names it"
