"""Which frames are trained on and which are held out: spans of prepared entries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.baselines.kit.configuration.sections import DataConfig
from lipsync_eval.baselines.kit.data.inputs import ModelInput
from lipsync_eval.baselines.kit.data.shards import Shard, ShardEntry, check_shards, load_manifest
from lipsync_eval.errors import InputError, UsageError


@dataclass(frozen=True)
class Span:
    """Frames start..stop-1 of one entry, from which windows are drawn."""

    shard: Shard
    number: int
    entry: ShardEntry
    start: int
    stop: int
    window: int = 5
    """Frames in a window."""

    @property
    def windows(self) -> int:
        """Windows that fit."""
        return max(0, self.stop - self.start - self.window + 1)


class Pool:
    """The spans of a prepared folder, split into training and held-out."""

    def __init__(self, data: DataConfig, model: ModelInput) -> None:
        if data.folder is None:
            raise UsageError("no training data named; give --data FOLDER (made by `prepare`)")
        self.folder, self.model = Path(data.folder), model
        manifest = load_manifest(self.folder)
        check_shards(self.folder, manifest, data.verify)
        self.size = int(manifest.preprocessing["size"])
        _check_preparation(self.folder, manifest.preprocessing, model)
        spans = [
            Span(shard, k, entry, 0, entry.frames, model.window)
            for shard, k, entry in manifest.entries()
            if entry.frames >= data.min_frames
        ]
        if not spans:
            raise UsageError(f"{self.folder} holds no entry of {data.min_frames} frames; prepare more videos")
        self.train, self.held_out = split(spans, data.holdout)

    def __str__(self) -> str:
        counts = [
            (sum(s.windows for s in part), len({s.entry.source for s in part})) for part in (self.train, self.held_out)
        ]
        return f"{counts[0][0]} windows of {counts[0][1]} videos to train, {counts[1][0]} of {counts[1][1]} held out"


def _check_preparation(folder: Path, preprocessing: Mapping[str, Any], model: ModelInput) -> None:
    """Data made for another model are refused."""
    if (size := int(preprocessing["size"])) < model.size:
        raise UsageError(
            f"{folder} holds {size}-pixel crops, the model is {model.size} px; "
            f"prepare again with --size {model.size} or choose a smaller model"
        )
    wanted = {"align": model.alignment.description} | {array.name: array.description for array in model.arrays}
    for name, description in wanted.items():
        if (found := preprocessing.get(name)) != description:
            raise UsageError(
                f"{folder} was prepared with {name} = {found!r}, the model needs {description!r}; "
                "prepare the videos again, into another folder, with the model's own `prepare` command"
            )


def split(spans: Sequence[Span], rule: str) -> tuple[list[Span], list[Span]]:
    """Training and held-out spans.

    Args:
        spans: whole entries.
        rule: 'clips:SHARE' holds out the last groups (persons or videos) in an order by hash; 'tail:SHARE' the end of
            every entry; 'ids:A,B' sources by name without suffix; 'split' what the layout calls val.

    Raises:
        UsageError: an unknown rule, or one that leaves a side empty.
    """
    kind, _, value = rule.partition(":")
    train: list[Span] = []
    held: list[Span] = []
    if kind == "tail":
        share = _share(rule, value)
        for s in spans:
            cut = max(s.stop - max(s.window, round(share * (s.stop - s.start))), s.start)
            train.append(replace(s, stop=cut))
            held.append(replace(s, start=cut))
    elif kind in {"clips", "ids", "split"}:
        chosen = _chosen(spans, kind, value, rule)
        for s in spans:
            if kind == "split" and s.entry.split == "test":
                continue
            (held if _key(s, kind) in chosen else train).append(s)
    else:
        raise UsageError(f"holdout {rule!r} is not known; give clips:SHARE, tail:SHARE, ids:A,B or split")
    train, held = [s for s in train if s.windows], [s for s in held if s.windows]
    if not train or not held:
        empty = "to train on" if not train else "to hold out"
        raise UsageError(f"holdout {rule!r} leaves no window {empty}; choose another rule, e.g. tail:0.2")
    return train, held


def _share(rule: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise UsageError(f"holdout {rule!r}: the share must lie between 0 and 1")
    return share


def _key(span: Span, kind: str) -> str:
    if kind == "ids":
        return span.entry.source.rpartition(".")[0]
    return str(span.entry.split) if kind == "split" else span.entry.group


def _chosen(spans: Sequence[Span], kind: str, value: str, rule: str) -> set[str]:
    if kind == "split":
        return {"val"}
    keys = sorted({_key(s, kind) for s in spans}, key=lambda k: hashlib.sha256(k.encode()).digest())
    if kind == "ids":
        asked = set(value.split(","))
        if missing := asked - set(keys):
            raise UsageError(
                f"holdout {rule!r}: there is no {', '.join(sorted(missing))}; there are {', '.join(sorted(keys)[:20])}"
            )
        return asked
    return set(keys[: max(1, round(_share(rule, value) * len(keys)))])


def shifted(span: Span, start: int, least: int, rng: np.random.Generator) -> int:
    """First frame of a window of the span at least `least` frames away from `start` (the furthest if none is)."""
    last = span.start + span.windows - 1
    far = [i for i in range(span.start, last + 1) if abs(i - start) >= least]
    if not far:
        return span.start if start - span.start > last - start else last
    return int(rng.choice(far))


def even_windows(spans: Sequence[Span], count: int) -> list[tuple[Span, int]]:
    """`count` windows (span, first frame) spread evenly over all windows of the spans; fewer when there are fewer.

    Raises:
        InputError: count is not positive.
    """
    if count < 1:
        raise InputError(f"asked for {count} windows; give at least 1")
    edges = np.cumsum([s.windows for s in spans])
    total = int(edges[-1])
    picks = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
    found = []
    for at in picks.tolist():
        which = int(np.searchsorted(edges, at, side="right"))
        found.append((spans[which], spans[which].start + at - int(edges[which] - spans[which].windows)))
    return found
