"""A finished gate as JSON, JUnit XML and Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree as ET

from lipsync_eval.reports.gate_result import Gate, change_text, number_text, p_text, rule_text
from lipsync_eval.results.facts import BETTER
from lipsync_eval.results.names import printable


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
        f"{_cell(gate.new_name)} against {_cell(gate.baseline_name)}; {rule_text(gate)}.",
        "",
        "| metric | better | baseline | new | worse by (95 % interval) | tolerance | p | clips | verdict |",
        "|---|---|---:|---:|---|---:|---:|---:|---|",
    ]
    for row in gate.rows:
        verdict = f"**{row.verdict}**" if row.verdict in ("worse", "inconclusive") else row.verdict
        lines.append(
            f"| {_cell(row.metric)} | {BETTER[row.direction]} | {number_text(row.baseline)} | {number_text(row.new)} | {change_text(row)} | {row.tolerance:g} | {p_text(row)} | {row.n} | {verdict} ({row.how}) |"
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
                message=f"{printable(row.metric)} is worse by {change_text(row)}; tolerance {row.tolerance:g}; {row.how}",
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


def _cell(text: str) -> str:
    """Markdown without markup: clip names are anybody's text."""
    safe = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~@" else c for c in safe)
