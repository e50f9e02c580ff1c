"""A finished gate as text, JSON, JUnit XML and Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree as ET

from lipsync_eval.reports.gate import Comparison, Gate
from lipsync_eval.results.facts import BETTER
from lipsync_eval.results.names import printable
from lipsync_eval.results.numbers import unsigned_zero


def as_text(gate: Gate) -> str:
    """For a terminal, 80 columns."""
    lines = [
        f"{printable(gate.new_name)} against {printable(gate.baseline_name)}: {'passed' if gate.passed else 'FAILED'} ({_rule(gate)})"
    ]
    wide = max([26, *(len(_change(row)) for row in gate.rows)])
    lines += ["", f"{'metric':<22}{'baseline':>10}{'new':>10}  {'worse by':<{wide}}{'p':>7}  verdict"]
    for row in gate.rows:
        lines.append(
            f"{printable(row.metric):<22}{_number(row.baseline):>10}{_number(row.new):>10}  {_change(row):<{wide}}{_p(row):>7}  {row.verdict}"
        )
        if row.how.startswith(("tolerance", "no value", "not compared")):
            lines.append(f"{'':<22}  ({row.how})")
    if gate.newly_failing:
        lines += [
            "",
            f"newly failing ({len(gate.newly_failing)}):",
            *(f"  {printable(name)}" for name in gate.newly_failing),
        ]
    lines += [f"note: {printable(note)}" for note in gate.notes]
    return "\n".join(lines) + "\n"


def as_json(gate: Gate) -> str:
    """All of it, for a program."""
    data = asdict(gate) | {
        "passed": gate.passed,
        "conclusive": gate.conclusive,
        "rows": [asdict(r) | {"interval": r.interval.model_dump() if r.interval else None} for r in gate.rows],
    }
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def as_markdown(gate: Gate) -> str:
    """For a CI job page."""
    mark = ("✅ passed" if gate.conclusive else "⚠️ passed, not conclusive") if gate.passed else "❌ failed"
    lines = [
        f"### lipsync-eval gate: {mark}",
        "",
        f"{_cell(gate.new_name)} against {_cell(gate.baseline_name)}; {_rule(gate)}.",
        "",
        "| metric | better | baseline | new | worse by (95 % interval) | tolerance | p | clips | verdict |",
        "|---|---|---:|---:|---|---:|---:|---:|---|",
    ]
    for row in gate.rows:
        verdict = f"**{row.verdict}**" if row.verdict in ("worse", "inconclusive") else row.verdict
        lines.append(
            f"| {_cell(row.metric)} | {BETTER[row.direction]} | {_number(row.baseline)} | {_number(row.new)} | {_change(row)} | {row.tolerance:g} | {_p(row)} | {row.n} | {verdict} ({row.how}) |"
        )
    if gate.newly_failing:
        lines += [
            "",
            f"**Newly failing clips ({len(gate.newly_failing)})**",
            "",
            *(f"- {_cell(name)}" for name in gate.newly_failing),
        ]
    lines += ["", *(f"- note: {_cell(note)}" for note in gate.notes)] if gate.notes else []
    return "\n".join(lines) + "\n"


def as_junit(gate: Gate) -> str:
    """JUnit XML: one test case a metric, one for newly failing clips."""
    suite = ET.Element("testsuite", name="lipsync-eval gate", tests=str(len(gate.rows) + 1))
    failed = 0
    for row in gate.rows:
        case = ET.SubElement(suite, "testcase", classname="lipsync_eval.gate", name=printable(row.metric))
        if row.verdict == "worse":
            failed += 1
            ET.SubElement(
                case,
                "failure",
                message=f"{printable(row.metric)} is worse by {_change(row)}; tolerance {row.tolerance:g}; {row.how}",
            )
    case = ET.SubElement(suite, "testcase", classname="lipsync_eval.gate", name="no clip is newly failing")
    if gate.newly_failing:
        failed += 1
        ET.SubElement(case, "failure", message=f"{len(gate.newly_failing)} clips").text = "\n".join(
            printable(n) for n in gate.newly_failing
        )
    suite.set("failures", str(failed))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _rule(gate: Gate) -> str:
    over = "" if gate.resample == "clip" else f", {gate.resample}s resampled"
    return f"alpha {gate.alpha:g}, Holm over {len(gate.families)} metric families{over}"


def _number(value: float | None) -> str:
    return "none" if value is None else unsigned_zero(f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}")


def _signed(value: float) -> str:
    text = f"{value:+.3g}"
    return "0" if not text.strip("+-0.") else text


def _change(row: Comparison) -> str:
    if row.worsening is None:
        return "none"
    interval = "" if row.interval is None else f" [{_signed(row.interval.low)}, {_signed(row.interval.high)}]"
    return f"{_signed(row.worsening)}{interval}"


def _p(row: Comparison) -> str:
    if row.p_worse is None or row.p_better is None:
        return ""
    return f"{row.p_better if row.verdict == 'better' else row.p_worse:.4f}"


def _cell(text: str) -> str:
    """Markdown without markup: clip names are anybody's text."""
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~@" else c for c in safe)
