"""The report page: a folder that opens from the disk, with no server and no network.

index.html holds the summary and the list of clips; the per-frame values of each clip lie in a script of its own and are
read when the clip is opened, so a large run opens at once. All text of users (names, messages) travels as JSON and is
put into the page as text, never as markup.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import UsageError
from lipsync_eval.files import write_text
from lipsync_eval.reports.naming import method_names, with_reference
from lipsync_eval.reports.unlike import unlike
from lipsync_eval.results.schema import ClipRow, Result
from lipsync_eval.results.signature import short_hash

Frames = Mapping[str, Mapping[str, NDArray[Any]]]
Media = Callable[[int, ClipRow, Path], str | None]
"""media(place, clip, folder) writes a preview into folder and gives its file name, or None."""
MARK = '<meta name="generator" content="lipsync-eval report">'
"""Stands in every page: a folder without it is none that this command wrote."""

_DIGITS = 5
"""Significant digits of per-frame values on the page; results.json and frames.npz keep them all."""


def is_page(folder: Path) -> bool:
    """Whether a folder holds a page that `write_page` wrote."""
    try:
        text = (folder / "index.html").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    old = "<title>lipsync-eval report</title>" in text and (folder / "data" / "run.js").is_file()
    return MARK in text or old


def write_page(
    runs: Sequence[Result],
    frames: Sequence[Frames],
    folder: Path,
    media: Sequence[Media],
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the page of one or more runs into a folder.

    Args:
        runs: results; their names must differ.
        frames: per run, as load_frames gives.
        folder: made if absent; an older page in it is replaced.
        media: per run, what makes a preview of a clip.
        tell: told how many previews of how many are done.

    Returns:
        the path of index.html.

    Raises:
        UsageError: no run, or two of one name.
        OSError: the folder cannot be written.
    """
    names = method_names(runs)
    if not runs or len(set(names)) < len(names):
        raise UsageError(
            f"the page needs runs of different names; got: {', '.join(names) or 'none'}; give another name: RUN=NAME"
        )
    runs = [run.renamed(with_reference(name, [run])) for run, name in zip(runs, names, strict=True)]
    for part in ("data", "media"):
        if is_page(folder):
            shutil.rmtree(folder / part, ignore_errors=True)  # of the older page
        (folder / part).mkdir(parents=True, exist_ok=True)
    ids = list(dict.fromkeys(c.id for r in runs for c in r.clips))
    place = {name: i for i, name in enumerate(ids)}
    previews: list[dict[str, str]] = []
    done, total = 0, sum(len(r.clips) for r in runs)
    for k, run in enumerate(runs):
        found = {}
        for clip in run.clips:
            if (name := media[k](place[clip.id] + 100_000 * k, clip, folder / "media")) is not None:
                found[clip.id] = f"media/{name}"
            done += 1
            tell(done, total)
        previews.append(found)
    for i, name in enumerate(ids):
        write_text(folder / "data" / f"{i:06d}.js", f"clipData({i},{script_json(_curves(name, runs, frames))});\n")
    for asset in ("page.css", "page.js"):
        write_text(folder / asset, _template(asset))
    write_text(folder / "data" / "run.js", f"const DATA = {script_json(_summary(runs, ids, previews))};\n")
    index = folder / "index.html"
    write_text(index, _template("page.html"))
    return index


def _summary(runs: Sequence[Result], ids: Sequence[str], previews: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    metrics = list(dict.fromkeys(s.metric for r in runs for s in r.scores))
    known = {s.metric: s for r in reversed(runs) for s in r.scores}
    facts = {"heading": "title", "decimals": "decimals", "direction": "direction", "unit": "unit"}
    return {
        "metrics": [{"id": m, **{k: getattr(known[m], name) for k, name in facts.items()}} for m in metrics],
        "ids": list(ids),
        "unlike": unlike(runs),
        "runs": [_run(run, ids, found) for run, found in zip(runs, previews, strict=True)],
    }


def _run(run: Result, ids: Sequence[str], previews: Mapping[str, str]) -> dict[str, Any]:
    clips = {c.id: c for c in run.clips}
    failures: dict[str, list[str]] = {}
    for f in run.failures:
        failures.setdefault(f.id, []).append(f"{f.stage}: {f.metric or 'all metrics'}: {f.message}")
    return {
        "name": run.run.name,
        "version": run.run.version,
        "started": run.run.started,
        "nPairs": run.data.n_pairs,
        "scores": [
            {
                "metric": s.metric,
                "value": s.value,
                "absolute": s.mean_abs,
                "gt": s.gt_value,
                "low": s.ci.low if s.ci else None,
                "high": s.ci.high if s.ci else None,
                "n": s.n_scored,
                "asked": s.n_asked,
                "signature": s.signature,
                "hash": short_hash(s.signature),
                "notes": s.notes,
            }
            for s in run.scores
        ],
        "clips": [
            None
            if (c := clips.get(i)) is None
            else {
                "frames": c.n_frames,
                "values": c.values,
                "gt": c.gt_values,
                "notes": c.notes,
                "failures": failures.get(i, []),
                "media": previews.get(i),
            }
            for i in ids
        ],
    }


def _curves(name: str, runs: Sequence[Result], frames: Sequence[Frames]) -> list[dict[str, Any]]:
    """Per run: metric -> per-frame values, and SyncNet's distance by shift."""
    out = []
    for run, mine in zip(runs, frames, strict=True):
        arrays = mine.get(name, {})
        metrics = {s.metric for s in run.scores}
        curves = {m: _numbers(arrays[m]) for m in arrays if m in metrics and np.ndim(arrays[m]) == 1}
        distance = arrays.get("syncnet_distance")
        row: dict[str, Any] = {"curves": curves}
        if distance is not None:
            row["distance"] = _numbers(
                np.asarray(distance, np.float64).reshape(-1, np.shape(distance)[-1]).mean(axis=0)
            )
        out.append(row)
    return out


def _numbers(values: NDArray[Any]) -> list[float | None]:
    return [float(f"{v:.{_DIGITS}g}") if math.isfinite(v) else None for v in np.asarray(values, np.float64)]


def script_json(data: Any) -> str:
    """JSON that is safe inside a script: no '<', '>', '&' or line separators of JavaScript."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for c in "<>&\u2028\u2029":
        text = text.replace(c, f"\\u{ord(c):04x}")
    return text


def _template(name: str) -> str:
    text = files("lipsync_eval.reports").joinpath("templates", name).read_text("utf-8")
    return text.replace("<head>", f"<head>\n{MARK}", 1) if name == "page.html" else text
