"""The table that `score` prints: readable at 80 columns."""

from __future__ import annotations

from lipsync_eval.cli.progress import printable
from lipsync_eval.metrics.registry import specs
from lipsync_eval.results.schema import Result, Score
from lipsync_eval.results.signature import parse_signature

_BETTER = {"up": "higher", "down": "lower", "zero": "near 0"}
_FAILURES = 8


def summary(result: Result) -> str:
    """The final table, what failed, and the signatures, as text without colour."""
    lines = [_row("metric", "value", "95 % interval", "real", "better", "clips")]
    lines.append("-" * len(lines[0]))
    lines += [_score_row(score) for score in result.scores]
    lines += _failures(result)
    lines += ["", *_signatures(result)]
    return "\n".join(lines) + "\n"


def _row(metric: str, value: str, interval: str, own: str, better: str, clips: str) -> str:
    return f"{metric:<27}{value:>8}  {interval:<18}{own:>8}  {better:<7}{clips:>8}"


def _score_row(score: Score) -> str:
    known = specs().get(score.metric)
    digits = known.decimals if known else 3
    unit = "" if score.unit == "1" else f" ({score.unit})"
    value = "none" if score.value is None else f"{score.value:.{digits}f}"
    interval = "" if score.ci is None else f"{score.ci.low:.{digits}f} .. {score.ci.high:.{digits}f}"
    own = "" if score.gt_value is None else f"{score.gt_value:.{digits}f}"
    return _row(
        score.metric + unit, value, interval, own, _BETTER[score.direction], f"{score.n_scored} of {score.n_asked}"
    )


def _failures(result: Result) -> list[str]:
    if not result.failures:
        return []
    clips = len({f.id for f in result.failures})
    lines = ["", f"{clips} of {result.data.n_pairs} clips failed, in whole or in part:"]
    told: dict[tuple[str, str, str], list[str]] = {}
    for failure in result.failures:
        whose = "all clips" if failure.stage == "weights" else failure.id  # what is missing is missing for every clip
        metrics = told.setdefault((whose, failure.stage, failure.message), [])
        if (metric := failure.metric or "all metrics") not in metrics:
            metrics.append(metric)
    for (name, stage, message), metrics in list(told.items())[:_FAILURES]:
        lines.append(f"  {printable(name)} [{stage}: {', '.join(metrics)}] {printable(' '.join(message.split()))}")
    if left := sum(len(metrics) for metrics in list(told.values())[_FAILURES:]):
        lines.append(f"  ... and {left} more rows in results.json")
    return lines


def _signatures(result: Result) -> list[str]:
    """What all signatures share, once; then what each adds."""
    scored = [s for s in result.scores if s.n_scored] or result.scores
    parsed = {s.metric: parse_signature(s.signature) for s in scored}
    shared = dict(set.intersection(*(set(p.items()) for p in parsed.values()))) if parsed else {}
    lines = ["signature: " + "|".join(f"{k}:{v}" for k, v in sorted(shared.items()))]
    for parts in parsed.values():
        own = {k: v for k, v in parts.items() if k not in shared}
        if not own:
            continue
        lines.append("  + " + "|".join(f"{k}:{v}" for k, v in sorted(own.items())))
    return lines
