"""What the report page knows: runs, scores with their marks, clips, and per-frame values, as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.reports.marks import Marks, measured, real_level
from lipsync_eval.reports.page_media import Previews
from lipsync_eval.reports.plots import Frames
from lipsync_eval.reports.published import GT
from lipsync_eval.reports.unlike import unlike
from lipsync_eval.results.schema import ClipRow, Result, Score
from lipsync_eval.results.signature import parse_signature, short_hash

_DIGITS = 5
"""Significant digits of per-frame values on the page; results.json and frames.npz keep them all."""


def summary(runs: Sequence[Result], ids: Sequence[str], previews: Sequence[Previews]) -> dict[str, Any]:
    """What the page shows at once: metrics, runs, values per clip.

    Args:
        runs: of different names.
        ids: of all clips, in the page's order.
        previews: of each clip.
    """
    known = {s.metric: s for r in reversed(runs) for s in r.scores}
    metrics = list(dict.fromkeys(s.metric for r in runs for s in r.scores))
    sentences = unlike(runs)
    return {
        "metrics": [_metric(runs, known[m], compared=not sentences) for m in metrics],
        "ids": list(ids),
        "real": [p.real is not None for p in previews],
        "unlike": sentences,
        "runs": [_run(run, ids, [p.methods[k] is not None for p in previews]) for k, run in enumerate(runs)],
    }


def _metric(runs: Sequence[Result], score: Score, *, compared: bool) -> dict[str, Any]:
    """Facts of a metric, the real videos' level and who is best; nobody where runs were not measured alike."""
    real = real_level(runs, score.metric)
    methods = {r.run.name: r for r in runs if r.run.name != GT}
    marks = Marks()
    if compared:
        marks = measured(
            methods, score.metric, score.direction, score.decimals,
            ranked=score.ranked, truth=real,
        )  # fmt: skip
    return {
        "id": score.metric,
        "heading": score.title,
        "decimals": score.decimals,
        "direction": score.direction,
        "unit": score.unit,
        "ranked": score.ranked,
        "real": real,
        "best": sorted(marks.best),
        "second": sorted(marks.second),
        "leftOut": len(marks.left_out),
        "unmarked": marks.why_none,
    }


def _run(run: Result, ids: Sequence[str], shown: Sequence[bool]) -> dict[str, Any]:
    clips = {c.id: c for c in run.clips}
    failures = _failures(run)
    return {
        "name": run.run.name,
        "version": run.run.version,
        "started": run.run.started,
        "nPairs": run.data.n_pairs,
        "cross": any(parse_signature(s.signature).get("setting") == "cross" for s in run.scores),
        "scores": [_score(s) for s in run.scores],
        "clips": [_clip(clips.get(i), failures.get(i, []), media) for i, media in zip(ids, shown, strict=True)],
    }


def _failures(run: Result) -> dict[str, list[str]]:
    """Clip -> what went wrong, one text for one cause, however many metrics it took."""
    causes: dict[str, dict[tuple[str, str], list[str]]] = {}
    for f in run.failures:
        causes.setdefault(f.id, {}).setdefault((f.stage, f.message), []).append(f.metric or "all metrics")
    return {
        i: [f"{stage}: {', '.join(metrics)}: {message}" for (stage, message), metrics in found.items()]
        for i, found in causes.items()
    }


def _score(s: Score) -> dict[str, Any]:
    return {
        "metric": s.metric,
        "value": s.value,
        "absolute": s.mean_abs,
        "low": s.ci.low if s.ci else None,
        "high": s.ci.high if s.ci else None,
        "resample": s.resample,
        "n": s.n_scored,
        "asked": s.n_asked,
        "signature": s.signature,
        "hash": short_hash(s.signature),
        "notes": s.notes,
    }


def _clip(clip: ClipRow | None, failures: list[str], shown: bool) -> dict[str, Any] | None:
    if clip is None:
        return None
    return {
        "frames": clip.n_frames,
        "values": clip.values,
        "gt": clip.gt_values,
        "notes": clip.notes,
        "failures": failures,
        "media": shown,
    }


def clip_data(name: str, runs: Sequence[Result], frames: Sequence[Frames], previews: Previews) -> dict[str, Any]:
    """What the page reads when a clip is opened: facts of its previews and, per run, metric -> per-frame values and
    SyncNet's distance by shift.
    """
    methods = []
    for run, mine, media in zip(runs, frames, previews.methods, strict=True):
        arrays = mine.get(name, {})
        metrics = {s.metric for s in run.scores}
        curves = {m: _numbers(arrays[m]) for m in arrays if m in metrics and np.ndim(arrays[m]) == 1}
        row: dict[str, Any] = {"curves": curves, "media": media}
        if (distance := arrays.get("syncnet_distance")) is not None:
            by_shift = np.asarray(distance, np.float64).reshape(-1, np.shape(distance)[-1])
            row["distance"] = _numbers(by_shift.mean(axis=0))
        methods.append(row)
    return {"real": previews.real, "methods": methods}


def _numbers(values: NDArray[Any]) -> list[float | None]:
    return [float(f"{v:.{_DIGITS}g}") if math.isfinite(v) else None for v in np.asarray(values, np.float64).tolist()]


def script_json(data: Any) -> str:
    """JSON that is safe inside a script: no '<', '>', '&' or line separators of JavaScript."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for c in "<>&\u2028\u2029":
        text = text.replace(c, f"\\u{ord(c):04x}")
    return text
