"""A result as people read it: the table that `score` prints (80 columns), and the same for a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from lipsync_eval.results.facts import BETTER
from lipsync_eval.results.names import printable
from lipsync_eval.results.rows import FailureRow, Score
from lipsync_eval.results.signature import parse_signature

_FAILURES = 8
_HEAD = ("metric", "value", "95 % interval", "real", "better", "clips")
_ABSOLUTE = "  mean of absolute values"


def summary(scores: Sequence[Score], failures: Sequence[FailureRow], n_clips: int) -> str:
    """The final table, what failed, and the signatures, as text without colour; ends without a line break."""
    lines = [_line(*_HEAD)]
    lines.append("-" * len(lines[0]))
    lines += [_line(*cells) for cells in _table(scores)]
    lines += _drawn(scores)
    lines += _failures(failures, n_clips)
    lines += ["", *_signatures(scores)]
    return "\n".join(lines)


def summary_html(scores: Sequence[Score], failures: Sequence[FailureRow], n_clips: int) -> str:
    """The same for a notebook: a fragment without script or style; every text is escaped."""

    def row(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c.strip())}</{tag}>" for c in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in _table(scores))
    rest = "\n".join([*_drawn(scores), *_failures(failures, n_clips), *_signatures(scores)])
    table = f"<table><thead>{row(_HEAD, 'th')}</thead><tbody>{body}</tbody></table>"
    return f"{table}<pre>{html.escape(rest)}</pre>"


def _line(metric: str, value: str, interval: str, own: str, better: str, clips: str) -> str:
    return f"{metric:<27}{value:>8}  {interval:<18}{own:>8}  {better:<7}{clips:>8}".rstrip()


def _table(scores: Sequence[Score]) -> list[tuple[str, str, str, str, str, str]]:
    rows = []
    for s in scores:
        unit = "" if s.unit == "1" else f" ({s.unit})"
        interval = "" if s.ci is None else f"{s.printed(s.ci.low)} .. {s.printed(s.ci.high)}"
        real = "" if s.gt_value is None else s.printed(s.gt_value)
        clips = f"{s.n_scored} of {s.n_asked}"
        rows.append((printable(s.metric + unit), s.printed(s.value), interval, real, BETTER[s.direction], clips))
        if s.mean_abs is not None:
            rows.append((_ABSOLUTE, s.printed(s.mean_abs), "", "", "", ""))
    return rows


def _drawn(scores: Sequence[Score]) -> list[str]:
    """What the intervals draw, where that is not clips."""
    return (
        ["", "Intervals draw speakers, with all their clips."] if any(s.resample == "speaker" for s in scores) else []
    )


def _failures(failures: Sequence[FailureRow], n_clips: int) -> list[str]:
    if not failures:
        return []
    clips = len({f.id for f in failures})
    lines = ["", f"{clips} of {n_clips} clips failed, in whole or in part:"]
    told: dict[tuple[str, str, str], list[str]] = {}
    for failure in failures:
        whose = "all clips" if failure.stage == "weights" else failure.id  # what is missing is missing for every clip
        metrics = told.setdefault((whose, failure.stage, failure.message), [])
        if (metric := failure.metric or "all metrics") not in metrics:
            metrics.append(metric)
    for (name, stage, message), metrics in list(told.items())[:_FAILURES]:
        lines.append(f"  {printable(name)} [{stage}: {', '.join(metrics)}] {printable(' '.join(message.split()))}")
    if left := sum(len(metrics) for metrics in list(told.values())[_FAILURES:]):
        lines.append(f"  ... and {left} more rows in results.json")
    return lines


def _signatures(scores: Sequence[Score]) -> list[str]:
    """What all signatures share, once; then what each adds."""
    scored = [s for s in scores if s.n_scored] or scores
    parsed = {s.metric: parse_signature(s.signature) for s in scored}
    shared = dict(set.intersection(*(set(p.items()) for p in parsed.values()))) if parsed else {}
    lines = ["signature: " + "|".join(f"{k}:{v}" for k, v in sorted(shared.items()))]
    for parts in parsed.values():
        own = {k: v for k, v in parts.items() if k not in shared}
        if not own:
            continue
        lines.append("  + " + "|".join(f"{k}:{v}" for k, v in sorted(own.items())))
    return [printable(line) for line in lines]
