"""Progress on stderr: a live bar on a terminal, plain lines elsewhere (a log file keeps them whole), nothing with --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lipsync_eval.cli.streams import bars
from lipsync_eval.cli.tally import Tally
from lipsync_eval.logs import note
from lipsync_eval.progress import SPENT, Progress
from lipsync_eval.results.names import printable

_SILENCE = 60.0
"""Seconds after which a line is due though no clip has ended, so that a log shows that the run lives."""


@contextmanager
def progress(*, quiet: bool, every: int | None = None, profile: bool = False) -> Iterator[Progress]:
    """Give an event function that shows clips, their speed, time left and the slowest stage.

    It learns the number of clips from the event ('', 'total', n). The log file gets the plain lines in any case.

    Args:
        quiet: show nothing.
        every: clips between two plain lines; None: about 50 lines a run.
        profile: at the end, print where time went (also when quiet: it was asked for).
    """
    tally = Tally(time.monotonic(), every)
    if quiet:
        yield _told(tally, lambda item, stage, share: None, lambda line: None)
    elif sys.stderr.isatty():
        with _bar(tally) as draw:
            yield _told(tally, draw, lambda line: None)
    else:
        yield _told(tally, lambda item, stage, share: None, lambda line: print(line, file=sys.stderr, flush=True))
    if profile:
        text = tally.profile(time.monotonic())
        print(printable_lines(text), file=sys.stderr, flush=True)
        note(text)


def printable_lines(text: str) -> str:
    """Several lines that cannot drive a terminal."""
    return "\n".join(map(printable, text.split("\n")))


def _told(tally: Tally, draw: Progress, write: Callable[[str], None]) -> Progress:
    last = tally.began

    def event(item: str, stage: str, share: float) -> None:
        nonlocal last
        due, now = tally.event(item, stage, share), time.monotonic()
        draw(item, stage, share)
        if due or (now - last >= _SILENCE and stage not in {"total", "done"}):
            last = now
            line = tally.line(now)
            if not due:
                line += f" ({printable(stage)[:60]}: {printable(item)[:60]})"
            write(line)
            note(line)

    return event


@contextmanager
def _bar(tally: Tally) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("clips"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(file=bars(), stderr=True),
        transient=True,
    )
    shares: dict[str, float] = {}
    stages = {"decode": 0.0, "faces (gen)": 0.05, "faces (gt)": 0.25, "metrics": 0.45}
    with bar:
        task = bar.add_task("", total=None)

        def draw(clip: str, stage: str, share: float) -> None:
            if stage == "total":
                bar.update(task, total=tally.total)
                return
            if stage == "done":
                shares.pop(clip, None)
            elif not stage.startswith(SPENT):
                shares[clip] = stages.get(stage, 0.5) + share * (0.55 if stage == "metrics" else 0.2)
            said = [] if (speed := tally.speed(time.monotonic())) is None else [f"{speed:.3g} clips/min"]
            if slow := tally.slowest():
                said.append(f"slowest: {slow}")
            if stage != "done" and not stage.startswith(SPENT):
                said.append(f"{stage}: {escape(printable(clip)[:30])}")
            bar.update(task, completed=min(tally.total, tally.done + sum(shares.values())), description=", ".join(said))

        yield draw
