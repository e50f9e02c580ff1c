"""What a gate found, and how it prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lipsync_eval.results.facts import Direction
from lipsync_eval.results.names import printable
from lipsync_eval.results.numbers import unsigned_zero
from lipsync_eval.results.rows import Interval, Resample

Verdict = Literal["worse", "better", "no difference", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric, compared."""

    metric: str
    title: str
    unit: str
    direction: Direction | None
    decimals: int
    family: str
    baseline: float | None
    """Level over the common clips: their mean, for 'zero' the mean of absolute values (the pooled value for pooled metrics)."""
    new: float | None
    worsening: float | None
    """Mean paired difference, positive = worse."""
    interval: Interval | None
    """Bootstrap interval of `worsening`."""
    p_worse: float | None
    """Adjusted p of 'worse by more than the tolerance'; None where no test was possible."""
    p_better: float | None
    tolerance: float
    n: int
    verdict: Verdict
    how: str
    """Which rule decided: 'exact sign-flip test', 'sampled ...', 'tolerance alone: ...'."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A finished comparison."""

    new_name: str
    baseline_name: str
    alpha: float
    seed: int
    resample: Resample
    rows: tuple[Comparison, ...]
    newly_failing: tuple[str, ...]
    """'clip: metric, metric' that the baseline scored and the new run did not."""
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """No metric worse, no clip newly failing."""
        return not self.newly_failing and all(row.verdict != "worse" for row in self.rows)

    @property
    def conclusive(self) -> bool:
        """Whether no metric is inconclusive: what `--strict` asks for beside `passed`."""
        return all(row.verdict != "inconclusive" for row in self.rows)

    @property
    def families(self) -> tuple[str, ...]:
        """Families over which Holm's correction goes."""
        return tuple(dict.fromkeys(row.family for row in self.rows))

    def __str__(self) -> str:
        """As the command prints it."""
        return as_text(self).rstrip("\n")


def as_text(gate: Gate) -> str:
    """For a terminal, 80 columns."""
    lines = [
        f"{printable(gate.new_name)} against {printable(gate.baseline_name)}: {'passed' if gate.passed else 'FAILED'} ({rule_text(gate)})"
    ]
    wide = max([26, *(len(change_text(row)) for row in gate.rows)])
    lines += ["", f"{'metric':<22}{'baseline':>10}{'new':>10}  {'worse by':<{wide}}{'p':>7}  verdict"]
    for row in gate.rows:
        lines.append(
            f"{printable(row.metric):<22}{number_text(row.baseline):>10}{number_text(row.new):>10}  {change_text(row):<{wide}}{p_text(row):>7}  {row.verdict}"
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


def rule_text(gate: Gate) -> str:
    """Alpha, the correction, and what was resampled."""
    over = "" if gate.resample == "clip" else f", {gate.resample}s resampled"
    return f"alpha {gate.alpha:g}, Holm over {len(gate.families)} metric families{over}"


def number_text(value: float | None) -> str:
    """A level with four digits."""
    return "none" if value is None else unsigned_zero(f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}")


def _signed(value: float) -> str:
    text = f"{value:+.3g}"
    return "0" if not text.strip("+-0.") else text


def change_text(row: Comparison) -> str:
    """How much worse, with its interval."""
    if row.worsening is None:
        return "none"
    interval = "" if row.interval is None else f" [{_signed(row.interval.low)}, {_signed(row.interval.high)}]"
    return f"{_signed(row.worsening)}{interval}"


def p_text(row: Comparison) -> str:
    """The p of the verdict; empty where there was no test."""
    if row.p_worse is None or row.p_better is None:
        return ""
    return f"{row.p_better if row.verdict == 'better' else row.p_worse:.4f}"
