from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from scipy.stats import permutation_test

from lipsync_eval.cli import run as cli
from lipsync_eval.errors import SignatureMismatch, UsageError
from lipsync_eval.reports.baseline_file import baseline_text
from lipsync_eval.reports.gate import compare, holm, parse_tolerance, sign_flip
from lipsync_eval.reports.gate_output import as_json, as_junit, as_markdown
from lipsync_eval.reports.gate_result import as_text
from lipsync_eval.results.schema import ClipRow, DataInfo, FailureRow, Result, RunInfo, Score, load_result

UNIT = {"psnr": ("dB", "up"), "lmd": ("px", "down"), "av_offset": ("frames", "zero")}


def make(
    name: str,
    values: dict[str, Sequence[float | None]],
    proto: str = "radio.1",
    ids: Sequence[str] | None = None,
    digest: str = "d",
) -> Result:
    n = len(next(iter(values.values())))
    ids = ids or [f"clip{i}" for i in range(n)]
    scores = []
    for metric, column in values.items():
        unit, direction = UNIT[metric]
        good = [v for v in column if v is not None]
        scores.append(
            Score(
                metric=metric,
                value=float(np.mean(good)) if good else None,
                gt_value=None,
                unit=unit,
                direction=direction,
                ci=None,  # type: ignore[arg-type]
                n_scored=len(good),
                n_asked=n,
                signature=f"metric:{metric}.1|n:{len(good)}of{n}|proto:{proto}|v:0.1.0",
            )
        )
    clips = [
        ClipRow(
            id=ids[i],
            gen="g",
            gt="r",
            n_frames=5,
            values={m: c[i] for m, c in values.items()},
            gt_values={},
            notes=[],
            details={"gt": {"sha256": digest}},
        )
        for i in range(n)
    ]
    failures = [
        FailureRow(id=c.id, stage="metric", metric=m, error="E", message="x")
        for c in clips
        for m, v in c.values.items()
        if v is None
    ]
    return Result(
        run=RunInfo(name=name, command=[], version="0.1.0", commit=None, dirty=None, seed=1, started="t", seconds=1),
        data=DataInfo(n_pairs=n, digest="x", gt_digest="y", gen="g", gt="r"),
        environment={},
        scores=scores,
        clips=clips,
        failures=failures,
    )


@pytest.mark.parametrize("n", [1, 5, 9])
def test_sign_flips_by_brute_force_and_scipy(n: int) -> None:
    d = np.random.default_rng(n).normal(0.3, 1, n)
    brute = np.mean([np.dot(s, d) >= d.sum() - 1e-12 for s in itertools.product([-1, 1], repeat=n)])
    p, how = sign_flip(list(d), 1)
    assert p == pytest.approx(brute)
    assert how == "exact sign-flip test"
    if n > 1:
        theirs = permutation_test((d,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf)
        assert p == pytest.approx(theirs.pvalue)


def test_sampled_flips_agree_with_exact_ones() -> None:
    d = list(np.random.default_rng(3).normal(0.4, 1, 14))
    exact, _ = sign_flip(d, 1)
    sampled, how = sign_flip([*d, 0.0], 1)  # a zero difference changes no p
    assert how.startswith("sign-flip test, 10000")
    assert sampled == pytest.approx(exact, abs=0.015)
    assert sign_flip([*d, 0.0], 1) == sign_flip([*d, 0.0], 1)


def test_ties_count_against_an_alarm() -> None:
    assert sign_flip([0.0] * 6, 1)[0] == 1.0
    assert sign_flip([0.1] * 6, 1)[0] == pytest.approx(1 / 64)


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({}) == {}


def test_equal_runs_pass() -> None:
    values = {"psnr": list(np.linspace(20, 40, 20)), "lmd": list(np.linspace(1, 3, 20))}
    gate = compare(make("b", values), make("a", values))
    assert gate.passed
    assert {r.verdict for r in gate.rows} == {"no difference"}


@pytest.mark.parametrize(("metric", "step"), [("psnr", -0.5), ("lmd", 0.5), ("av_offset", 2.0)])
def test_a_known_degradation_fails_and_is_named(metric: str, step: float) -> None:
    rng = np.random.default_rng(0)
    old = {"psnr": list(rng.normal(30, 3, 30)), "lmd": list(rng.uniform(1, 3, 30)), "av_offset": [0.0] * 30}
    new = {m: [v + (step if m == metric else 0.0) for v in c] for m, c in old.items()}
    gate = compare(make("b", new), make("a", old))
    assert not gate.passed
    assert [r.metric for r in gate.rows if r.verdict == "worse"] == [metric]
    row = next(r for r in gate.rows if r.metric == metric)
    assert row.worsening == pytest.approx(abs(step))
    better = compare(make("b", old), make("a", new))
    assert better.passed
    assert next(r for r in better.rows if r.metric == metric).verdict == "better"


def test_columns_of_the_text_stay_in_line() -> None:
    old = make("old", {"lmd": [0.9, 0.91, 0.92, 0.9, 0.93, 0.95, 0.9, 0.94], "psnr": [30.0] * 8})
    new = make(
        "new", {"lmd": [0.90123, 0.91457, 0.91877, 0.90321, 0.94123, 0.94987, 0.90456, 0.93111], "psnr": [31.0] * 8}
    )
    rows = as_text(compare(new, old)).splitlines()[2:5]
    assert max(len(row[44:].split("]")[0]) for row in rows[1:]) > 26, "an interval wider than the heading"
    assert len({row.index(word) for row, word in zip(rows, ("verdict", "inconclusive", "better"), strict=True)}) == 1, (
        rows
    )


def test_tolerance_absolute_and_percent() -> None:
    rng = np.random.default_rng(0)
    old = list(rng.normal(30, 3, 30))
    new = [v - 0.2 + n for v, n in zip(old, rng.normal(0, 0.05, 30), strict=True)]
    runs = make("b", {"psnr": new}), make("a", {"psnr": old})
    assert not compare(*runs).passed
    assert not compare(*runs, tolerance=parse_tolerance("psnr=0.1")).passed
    assert compare(*runs, tolerance=parse_tolerance("psnr=0.3")).passed
    assert compare(*runs, tolerance=parse_tolerance("psnr=2%")).passed
    assert not compare(*runs, tolerance=parse_tolerance("psnr=0.3%")).passed


@pytest.mark.parametrize("text", ["psnr", "psnr=", "=1", "psnr=-1", "psnr=nan", "psnr=1,psnr=2", "psnr=1%%"])
def test_bad_tolerances(text: str) -> None:
    with pytest.raises(UsageError, match="metric=amount"):
        parse_tolerance(text)
    with pytest.raises(UsageError, match="not compared"):
        compare(make("b", {"psnr": [1.0]}), make("a", {"psnr": [1.0]}), tolerance=parse_tolerance("ssim=1"))


def test_rounding_is_no_worsening() -> None:
    """Sums in another order: one metric at its end of the scale, one large, one near 0."""
    old = {"psnr": [100.0, 31.0, 28.0], "lmd": [0.0, 0.0, 1.0], "av_offset": [0.0, 1.0, 2.0]}
    new = {m: [v - (1 if m == "psnr" else -1) * 1e-13 * max(1, v) for v in column] for m, column in old.items()}
    assert compare(make("new", new), make("old", old)).passed
    new["psnr"][0] -= 1e-6
    assert not compare(make("new", new), make("old", old)).passed


def test_few_clips_decide_by_tolerance_and_say_so() -> None:
    gate = compare(make("b", {"psnr": [29.9, 30.9]}), make("a", {"psnr": [30.0, 31.0]}))
    assert not gate.passed
    assert "2 clips cannot reach alpha 0.05" in gate.rows[0].how
    assert compare(
        make("b", {"psnr": [29.9, 30.9]}), make("a", {"psnr": [30.0, 31.0]}), tolerance=parse_tolerance("psnr=0.2")
    ).passed


def test_missing_and_newly_failing_clips_fail() -> None:
    old = make("a", {"psnr": [30.0] * 12, "lmd": [1.0] * 12})
    lost = make("b", {"psnr": [30.0] * 11, "lmd": [1.0] * 11})
    gate = compare(lost, old)
    assert not gate.passed
    assert gate.newly_failing == ("clip11: the clip is missing from the new run",)
    failing = make("b", {"psnr": [30.0] * 12, "lmd": [1.0] * 11 + [None]})
    assert compare(failing, old).newly_failing == ("clip11: lmd",)
    assert compare(old, failing).passed, "a clip that fails no more is no regression"
    assert compare(failing, failing).passed, "a clip that failed before is not newly failing"


def test_what_cannot_be_compared_is_refused() -> None:
    a = make("a", {"psnr": [30.0, 31.0]})
    with pytest.raises(SignatureMismatch, match=r"proto: radio\.1 in the baseline, raw\.1"):
        compare(make("b", {"psnr": [30.0, 31.0]}, proto="raw.1"), a)
    assert compare(make("b", {"psnr": [30.0, 31.0]}, proto="raw.1"), a, ignore=["proto"]).passed
    with pytest.raises(SignatureMismatch, match="not the same files"):
        compare(make("b", {"psnr": [30.0, 31.0]}, digest="other"), a)
    with pytest.raises(UsageError, match="no clip in common"):
        compare(make("b", {"psnr": [30.0]}, ids=["else"]), a)
    with pytest.raises(UsageError, match="the new run has no psnr"):
        compare(make("b", {"lmd": [30.0, 31.0]}), a)
    with pytest.raises(UsageError, match="no metric has a value"):
        compare(make("b", {"psnr": [None, None]}), make("a", {"psnr": [None, None]}))
    with pytest.raises(UsageError, match="alpha"):
        compare(a, a, alpha=1.5)


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(UsageError, match="the new run has no psnr, av_offset;"):
        compare(
            make("b", {"lmd": [1.0, 2.0]}), make("a", {"psnr": [1.0, 2.0], "av_offset": [1.0, 1.0], "lmd": [1.0, 2.0]})
        )


def test_false_alarms_stay_within_alpha() -> None:
    """200 pairs of runs that differ by noise alone: the share that fails is at most alpha, up to the sampling of 200 trials."""
    alarms = 0
    for trial in range(200):
        rng = np.random.default_rng([99, trial])
        base = {
            "psnr": rng.normal(30, 3, 25),
            "lmd": rng.uniform(1, 3, 25),
            "av_offset": rng.integers(-2, 3, 25).astype(float),
        }
        old = {m: list(c + rng.normal(0, 0.3, 25)) for m, c in base.items()}
        new = {m: list(c + rng.normal(0, 0.3, 25)) for m, c in base.items()}
        alarms += not compare(make("b", new), make("a", old), seed=trial).passed
    print(f"false alarms: {alarms} of 200")
    assert alarms <= 17, "a binomial with p = 0.05 exceeds 17 of 200 in 1 % of cases"


def test_outputs_hold_hostile_names() -> None:
    bad = "<img src=x onerror=alert(1)>|`*\n\x1b[31m"
    gate = compare(make("b", {"psnr": [None, 1.0]}, ids=[bad, "x"]), make("a", {"psnr": [1.0, 1.0]}, ids=[bad, "x"]))
    assert "\x1b" not in as_text(gate) + as_markdown(gate) + as_junit(gate)
    assert "<img" not in as_markdown(gate)
    suite = ET.fromstring(as_junit(gate))
    assert suite.get("failures") == "1"
    assert json.loads(as_json(gate))["passed"] is False


def test_the_baseline_file_is_small_and_gates_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    old = make("a", {"psnr": list(rng.normal(30, 3, 200)), "lmd": [*rng.uniform(1, 3, 199), None]})
    new = make("b", {"psnr": list(rng.normal(29, 3, 200)), "lmd": [*rng.uniform(1, 3, 199), None]})
    (tmp_path / "base.json").write_text(baseline_text(old), "utf-8")
    assert compare(new, load_result(tmp_path / "base.json")) == compare(new, old)
    assert (tmp_path / "base.json").stat().st_size < 200 * 300


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    values = list(rng.normal(30, 3, 20))
    for name, shift in (("old", 0.0), ("new", -1.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(make(name, {"psnr": [v + shift for v in values]}).to_json())
    old, new, base = str(tmp_path / "old"), str(tmp_path / "new"), str(tmp_path / "base.json")
    assert cli(["gate", old, "--update", base]) == 0
    assert cli(["gate", old, "--baseline", base]) == 0
    outputs = [str(tmp_path / n) for n in ("g.json", "g.xml", "g.md")]
    before = Path(base).read_bytes()
    assert (
        cli(
            [
                "gate",
                new,
                "--baseline",
                base,
                "--json",
                outputs[0],
                "--junit",
                outputs[1],
                "--markdown",
                outputs[2],
                "--update",
                base,
            ]
        )
        == 1
    )
    assert Path(base).read_bytes() == before, "a failing run must not become the baseline"
    assert "psnr" in capsys.readouterr().out
    assert all(Path(p).stat().st_size for p in outputs)
    assert cli(["gate", new, "--baseline", base, "--tolerance", "psnr=2"]) == 0
    assert cli(["gate", new]) == 2
    assert cli(["gate", new, "--baseline", str(tmp_path / "nowhere")]) == 2
