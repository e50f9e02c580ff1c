"""Progress on stderr: a live bar on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lipsync_eval.engine.run import Event

_EVERY = 10.0
"""Seconds between plain lines."""


def printable(name: str) -> str:
    """A clip's name as one line that cannot drive a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in name)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Event]:
    """Give an event function that shows clips, stage and time left. It learns the number of clips from the event ('', 'total', n)."""
    if quiet:
        yield lambda clip, stage, share: None
    elif sys.stderr.isatty():
        with _bar() as event:
            yield event
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Event]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("clips"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
    )
    shares: dict[str, float] = {}
    stages = {"decode": 0.0, "faces (gen)": 0.05, "faces (gt)": 0.25, "metrics": 0.45}
    done, total = 0, 1
    with bar:
        task = bar.add_task("", total=None)

        def event(clip: str, stage: str, share: float) -> None:
            nonlocal done, total
            if stage == "total":
                total = int(share)
                bar.update(task, total=total)
                return
            if stage == "done":
                done += 1
                shares.pop(clip, None)
            else:
                shares[clip] = stages.get(stage, 0.5) + share * (0.55 if stage == "metrics" else 0.2)
            text = f"{stage}: {escape(printable(clip)[:30])}" if stage != "done" else ""
            bar.update(task, completed=min(total, done + sum(shares.values())), description=text)

        yield event


def _lines() -> Event:
    began = last = time.monotonic()
    done, total = 0, 1

    def event(clip: str, stage: str, share: float) -> None:
        nonlocal done, last, total
        now = time.monotonic()
        if stage == "total":
            total = int(share)
            return
        if stage == "done":
            done += 1
        if done == total and stage == "done":
            sys.stderr.write(f"{done}/{total} clips in {now - began:.0f} s\n")
        elif now - last >= _EVERY:
            last = now
            left = (now - began) / done * (total - done) if done else 0.0
            rest = f", about {left:.0f} s left" if done else ""
            sys.stderr.write(f"{done}/{total} clips ({stage}: {printable(clip)[:60]}){rest}\n")

    return event
