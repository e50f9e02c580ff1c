"""A small baseline for git: a results.json with what the gate needs and nothing else, one clip a line."""

from __future__ import annotations

import json
from pathlib import Path

from lipsync_eval.files import write_text
from lipsync_eval.results.schema import SCHEMA, ClipRow, Result


def baseline_text(result: Result) -> str:
    """The text of a baseline file; `results.schema.load_result` reads it like any results.json."""
    head = {
        "schema": SCHEMA,
        "run": {
            **result.run.model_dump(include={"name", "version", "commit", "seed", "started"}),
            "command": [],
            "dirty": None,
            "seconds": 0.0,
        },
        "data": {**result.data.model_dump(include={"n_pairs", "digest", "gt_digest"}), "gen": "", "gt": ""},
        "environment": {},
        "scores": [s.model_dump(exclude={"notes", "details"}) for s in result.scores],
        "failures": [f.model_dump() for f in result.failures],
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    clips = ",\n".join(json.dumps(_clip(c), ensure_ascii=False) for c in result.clips)
    lines.append(f'"clips": [\n{clips}\n]')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_baseline(result: Result, path: Path) -> None:
    """Write a baseline file, whole or not at all."""
    write_text(path, baseline_text(result))


def _clip(clip: ClipRow) -> dict[str, object]:
    gt = clip.details.get("gt")
    digest = gt.get("sha256") if isinstance(gt, dict) else None
    return {
        "id": clip.id,
        "gen": None,
        "gt": None,
        "n_frames": clip.n_frames,
        "values": clip.values,
        "gt_values": {},
        "notes": [],
        "details": {"gt": {"sha256": digest}} if digest else {},
    }
