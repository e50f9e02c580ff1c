"""Counting what a run has done: clips per minute, time left, where time went. Pure: it is told the time."""

from __future__ import annotations

from dataclasses import dataclass, field

from lipsync_eval.progress import SPENT

_LINES = 50
"""About so many lines for a run of any length, with at least one clip between two of them."""


@dataclass
class Tally:
    """A run under way."""

    began: float
    """s, of the clock that every call uses."""
    every: int | None = None
    """Clips between two lines; None: a fiftieth of the clips."""
    total: int = 1
    done: int = 0
    earlier: int = 0
    """Of `done`: clips that an earlier call finished (--resume), which say nothing about speed."""
    under_way: dict[str, str] = field(default_factory=dict)
    """Clip -> stage."""
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by part of the work, over all workers."""

    def event(self, item: str, stage: str, share: float) -> bool:
        """Take one event of a run.

        Returns:
            whether a line is due: N more clips are finished, or all are.
        """
        if stage == "total":
            self.total = int(share)
        elif stage.startswith(SPENT):
            part = stage.removeprefix(SPENT)
            self.spent[part] = self.spent.get(part, 0.0) + share
        elif stage == "done":
            self.done += 1
            if self.under_way.pop(item, None) is None:
                self.earlier += 1
                return self.done == self.total
            return self.done == self.total or self.done % self.step == 0
        else:
            self.under_way[item] = stage
        return False

    @property
    def step(self) -> int:
        """Clips between two lines."""
        return self.every or max(1, -(-self.total // _LINES))

    def speed(self, now: float) -> float | None:
        """Clips per minute; None before the first one."""
        fresh = self.done - self.earlier
        return 60 * fresh / (now - self.began) if fresh and now > self.began else None

    def slowest(self) -> str:
        """'faces 54 %' of the time spent; '' before the first clip ends."""
        whole = sum(self.spent.values())
        if whole <= 0:
            return ""
        part = max(self.spent, key=lambda name: self.spent[name])
        return f"{part} {100 * self.spent[part] / whole:.0f} %"

    def line(self, now: float) -> str:
        """One line of progress, without its end."""
        text = f"{self.done}/{self.total} clips"
        said = [f"{self.earlier} of them earlier"] if self.earlier else []
        if (speed := self.speed(now)) is not None:
            said.append(f"{speed:.3g} clips/min")
            if self.done < self.total:
                said.append(f"about {duration(60 * (self.total - self.done) / speed)} left")
        if self.done == self.total:
            text += f" in {duration(now - self.began)}"
        if slow := self.slowest():
            said.append(f"slowest: {slow}")
        return ", ".join([text, *said])

    def profile(self, now: float) -> str:
        """A table of where time went, longest first; seconds of all workers together."""
        whole = sum(self.spent.values())
        fresh = max(1, self.done - self.earlier)
        lines = [f"where time went: {duration(now - self.began)} in all, {duration(whole)} of work on {fresh} clips"]
        if whole <= 0:
            return lines[0] + "; no clip was measured in this call"
        lines.append(f"{'seconds':>9}  {'share':>5}  {'s/clip':>7}  part")
        for part, seconds in sorted(self.spent.items(), key=lambda row: -row[1]):
            lines.append(f"{seconds:9.1f}  {100 * seconds / whole:4.0f}%  {seconds / fresh:7.2f}  {part}")
        lines.append("What several metrics share (a crop, a feature) counts for the first that asks for it.")
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """'45 s', '12 min', '3 h 20 min'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
