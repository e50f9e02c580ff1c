"""The gate over random clips, lost clips, pooled scores, families, speakers and the edge of a tolerance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.runs import noisy, pooled, run

from lipsync_eval.cli import run as cli
from lipsync_eval.errors import UsageError
from lipsync_eval.reports.gate import compare, parse_tolerance
from lipsync_eval.reports.gate_output import as_json, as_junit, as_markdown
from lipsync_eval.reports.gate_result import as_text
from lipsync_eval.reports.permutation import family_sign_flip, holm, holm_over_families, sign_flip
from lipsync_eval.results.schema import load_result

VALUES = st.one_of(st.none(), st.integers(-500, 500).map(lambda v: v / 10))
COLUMNS = st.integers(1, 9).flatmap(lambda n: st.tuples(*[st.lists(VALUES, min_size=n, max_size=n)] * 2))


@settings(deadline=None, max_examples=80)
@given(COLUMNS)
def test_lost_clips_fail_the_gate_and_the_rest_is_compared(
    columns: tuple[list[float | None], list[float | None]],
) -> None:
    old, new = columns
    lost = {f"clip{i:03d}" for i, (a, b) in enumerate(zip(old, new, strict=True)) if a is not None and b is None}
    both = [(a, b) for a, b in zip(old, new, strict=True) if a is not None and b is not None]
    assume(lost or both)
    gate = compare(run("new", {"psnr": new}), run("old", {"psnr": old}))
    assert {line.partition(":")[0] for line in gate.newly_failing} == lost
    assert not (lost and gate.passed)
    if both:
        row = gate.rows[0]
        assert row.n == len(both)
        assert row.baseline == pytest.approx(np.mean([a for a, _ in both]))
        assert row.worsening == pytest.approx(np.mean([a - b for a, b in both]), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(-400, 400), st.integers(0, 30), st.integers(1, 20), st.sampled_from(["psnr", "lmd", "av_offset"]))
def test_exactly_the_tolerance_passes(start: int, step: int, n: int, metric: str) -> None:
    """Decimals that binary cannot hold: a drop of exactly the tolerance is within it, a hair more is not."""
    if metric == "av_offset":
        start = abs(start)
    old, allowed = start / 10, step / 10
    worse = (start - step if metric == "psnr" else start + step) / 10
    text = f"{metric}={allowed}"
    gate = compare(run("new", {metric: [worse] * n}), run("old", {metric: [old] * n}), tolerance=parse_tolerance(text))
    assert gate.passed, str(gate)
    beyond = worse + (-0.001 if metric == "psnr" else 0.001)
    again = compare(
        run("new", {metric: [beyond] * n}), run("old", {metric: [old] * n}), tolerance=parse_tolerance(text)
    )
    assert not again.passed


def test_the_boundary_that_a_user_met(data: Path) -> None:
    folder = data / "faults" / "metrics" / "tolerance-boundary"
    tolerance = parse_tolerance("psnr=0.1,ssim=0.1,av_offset=1")
    gate = compare(load_result(folder / "new"), load_result(folder / "old"), tolerance=tolerance)
    assert gate.passed and {r.verdict for r in gate.rows} == {"no difference"}


def test_a_pooled_score_over_fewer_clips_fails(data: Path) -> None:
    gate = compare(pooled("new", 8.0, 20, lost=10), pooled("old", 10.0, 20))
    assert not gate.passed
    assert len(gate.newly_failing) == 10 and gate.newly_failing[0] == "clip010: fid"
    assert gate.rows[0].verdict == "inconclusive" and "other clips" in gate.rows[0].how
    folder = data / "faults" / "metrics" / "gate-pooled-lost-clips"
    found = compare(load_result(folder / "new"), load_result(folder / "old"), metrics=["fid"])
    assert not found.passed and len(found.newly_failing) == 10
    more = compare(pooled("new", 8.0, 20), pooled("old", 10.0, 20, lost=10))
    assert more.passed and not more.conclusive, "more clips are no loss, and no comparison either"
    assert compare(pooled("new", 8.0, 20, lost=3), pooled("old", 10.0, 20, lost=3)).rows[0].verdict == "better"


def test_offsets_do_not_cancel(data: Path) -> None:
    gate = compare(run("new", {"av_offset": [5.0, -5.0] * 5}), run("old", {"av_offset": [1.0] * 10}))
    row = gate.rows[0]
    assert (row.baseline, row.new, row.worsening, row.verdict) == (1.0, 5.0, 4.0, "worse")
    folder = data / "faults" / "metrics" / "offset-mean-cancels"
    row = compare(load_result(folder / "b"), load_result(folder / "a")).rows[0]
    assert (row.baseline, row.new) == (1.0, 5.0)
    percent = compare(
        run("new", {"av_offset": [2.4, -2.4] * 5}),
        run("old", {"av_offset": [2.0, -2.0] * 5}),
        tolerance=parse_tolerance("av_offset=25%"),
    )
    assert percent.passed, "25 % of the mean of absolute values (2), not of the signed mean (0)"


def test_an_open_question_is_inconclusive() -> None:
    rng = np.random.default_rng(4)
    base = list(rng.normal(30, 1, 8))
    gate = compare(
        run("new", {"psnr": [v - 2.75 + d for v, d in zip(base, rng.normal(0, 5, 8), strict=True)]}),
        run("old", {"psnr": base}),
    )
    row = gate.rows[0]
    assert row.p_worse is not None and row.p_worse > 0.05
    assert row.verdict == "inconclusive"
    assert gate.passed and not gate.conclusive
    assert "inconclusive" in as_text(gate) and "not conclusive" in as_markdown(gate)
    assert json.loads(as_json(gate))["conclusive"] is False
    assert 'failures="0"' in as_junit(gate)
    small = compare(
        run("new", {"psnr": noisy(base, 0, 1, 0.01)}), run("old", {"psnr": base}), tolerance=parse_tolerance("psnr=0.5")
    )
    assert small.rows[0].verdict == "no difference", "the interval lies within the tolerance"


def test_near_duplicates_do_not_dilute_the_correction() -> None:
    rng = np.random.default_rng(5)
    base = rng.uniform(1, 3, 25)
    worse = base + 0.1 + rng.normal(0, 0.15, 25)
    lmds = ("lmd", "lmd_centered", "f_lmd", "lmd_atvg_sum")
    old = run("old", {m: list(base * (k + 1)) for k, m in enumerate(lmds)})
    new = run("new", {m: list(worse * (k + 1)) for k, m in enumerate(lmds)})
    alone = compare(run("new", {"lmd": list(worse)}), run("old", {"lmd": list(base)}))
    four = compare(new, old)
    assert four.families == ("lmd:LMD",)
    assert {r.p_worse for r in four.rows} == {alone.rows[0].p_worse}, "three copies cost nothing"
    assert any("lmd + lmd_centered + f_lmd + lmd_atvg_sum" in n for n in four.notes), "which, and why"
    assert "Holm over 1 metric families" in as_text(four)


def test_a_family_is_tested_together() -> None:
    d = {"a": {str(i): v for i, v in enumerate([0.5, 0.2, 0.9, -0.1, 0.4])}}
    assert family_sign_flip(d, 1)[0]["a"] == sign_flip(list(d["a"].values()), 1)[0]
    twin = {**d, "b": {k: 3 * v for k, v in d["a"].items()}}
    assert family_sign_flip(twin, 1)[0] == pytest.approx({"a": 3 / 32, "b": 3 / 32}, abs=1 / 16)
    assert family_sign_flip(twin, 1)[0]["a"] == family_sign_flip(d, 1)[0]["a"]
    other = {**d, "c": {k: -v * (1 + int(k)) for k, v in d["a"].items()}}
    assert family_sign_flip(other, 1)[0]["a"] >= family_sign_flip(d, 1)[0]["a"]
    assert holm_over_families({"x": {"a": 0.01}, "y": {"b": 0.04}, "z": {"c": 0.03}}) == pytest.approx(
        holm({"a": 0.01, "b": 0.04, "c": 0.03})
    )


def test_false_alarms_over_families_stay_within_alpha() -> None:
    """Runs that differ by noise alone, with two families of near-duplicates."""
    alarms = 0
    for trial in range(150):
        rng = np.random.default_rng([7, trial])
        columns = []
        for _ in range(2):
            p, q = rng.normal(30, 1, 20), rng.uniform(1, 3, 20)
            columns.append({"psnr": list(p), "lmd": list(q), "f_lmd": list(q * 1.1)})
        new, old = columns
        alarms += not compare(run("new", new), run("old", old), seed=trial).passed
    assert alarms <= 14, "a binomial with p = 0.05 exceeds 14 of 150 in 1 % of cases"


def test_coarse_metrics_are_gated_by_name_only() -> None:
    old = run("old", {"psnr": [30.0] * 10, "mouth_audio_corr": [0.6] * 10})
    new = run("new", {"psnr": [30.0] * 10, "mouth_audio_corr": [0.1] * 10})
    gate = compare(new, old)
    assert gate.passed and [r.metric for r in gate.rows] == ["psnr"]
    assert any("mouth_audio_corr" in n and "--metrics" in n for n in gate.notes)
    assert not compare(new, old, metrics=["mouth_audio_corr"]).passed
    with pytest.raises(UsageError, match="name some with --metrics"):
        compare(run("n", {"mouth_audio_corr": [0.1]}), run("o", {"mouth_audio_corr": [0.1]}))


def test_speakers_are_resampled() -> None:
    who = [f"s{i // 5}" for i in range(20)]
    old = run("old", {"psnr": [30.0] * 20}, speakers=who)
    new = run("new", {"psnr": [29.9] * 20}, speakers=who)
    assert not compare(new, old).passed
    gate = compare(new, old, resample="speaker", tolerance=parse_tolerance("psnr=0.2"))
    assert "4 speakers cannot reach alpha" in gate.rows[0].how
    assert "speakers resampled" in as_text(gate)


def test_the_command_renames_and_is_strict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(4)
    base = list(rng.normal(30, 1, 8))
    for name, shift in (("old", 0.0), ("new", 1.0)):
        folder = tmp_path / name
        folder.mkdir()
        values = [v + shift * d for v, d in zip(base, rng.normal(-0.2, 2, 8), strict=True)]
        (folder / "results.json").write_text(run("gen", {"psnr": values}).to_json())
    line = ["gate", f"{tmp_path / 'new'}=ours\x1b[31m", "--baseline", f"{tmp_path / 'old'}=theirs"]
    assert cli(line) == 0
    out = capsys.readouterr().out
    assert "against theirs: passed" in out and "\x1b" not in out and r"ours\x1b" in out
    assert cli([*line, "--strict"]) == 1
