"""The evaluation results of a Hugging Face model card: YAML between two lines of dashes, as README.md of a model begins.

The format is the Hub's model-index (https://github.com/huggingface/hub-docs, modelcard.md). A signature stands in the
field `args` of its metric.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lipsync_eval.results.facts import BETTER
from lipsync_eval.results.names import printable
from lipsync_eval.results.schema import Result
from lipsync_eval.results.signature import short_hash

_UNSAFE = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
"""What may not stand in YAML as it is, and what is no one character in it."""


def model_card(result: Result, *, model: str | None, dataset: str) -> str:
    """The head of a model card.

    Args:
        result: the run.
        model: its name on the card; None: the run's.
        dataset: what was scored, in words, e.g. 'HDTF, 50 clips'. The digest of the real videos goes with it.

    Returns:
        text; a score without value is left out, since the Hub takes numbers alone.
    """
    metrics = [
        {
            "type": s.metric,
            "name": f"{s.title}{'' if s.unit == '1' else f' ({s.unit})'}, {BETTER[s.direction]} is better"
            if s.direction
            else s.title,
            "value": s.value,
            "args": {
                "signature": s.signature,
                "signature_hash": short_hash(s.signature),
                **({} if s.mean_abs is None else {"mean_abs": s.mean_abs}),
                **(
                    {}
                    if s.ci is None
                    else {
                        "interval_low": s.ci.low,
                        "interval_high": s.ci.high,
                        "interval_level": s.ci.level,
                        **({} if s.resample == "clip" else {"interval_over": f"{s.resample}s"}),
                    }
                ),
                **({} if s.gt_value is None else {"real_videos": s.gt_value}),
                "clips_scored": s.n_scored,
                "clips_asked": s.n_asked,
            },
        }
        for s in result.scores
        if s.value is not None
    ]
    slug = re.sub(r"[^a-z0-9._-]+", "-", dataset.lower()).strip("-") or "dataset"
    entry = {
        "task": {"type": "video-to-video", "name": "Lip synchronization"},
        "dataset": {"type": slug, "name": dataset, "args": {"real_videos_sha256": result.data.gt_digest or "none"}},
        "metrics": metrics,
    }
    body = {"model-index": [{"name": model or result.run.name, "results": [entry]}]}
    return "---\n" + "\n".join(_lines(body)) + "\n---\n"


def _lines(value: Any) -> list[str]:
    """Block YAML of dicts and lists that hold texts, whole numbers and floats."""
    lines: list[str] = []
    if isinstance(value, dict):
        for key, held in value.items():
            if isinstance(held, dict | list):
                lines += [f"{key}:", *(f"  {line}" for line in _lines(held))]
            else:
                lines.append(f"{key}: {_scalar(held)}")
        return lines
    for held in value:
        first, *rest = _lines(held)
        lines += [f"- {first}", *(f"  {line}" for line in rest)]
    return lines


def _scalar(value: str | float) -> str:
    if isinstance(value, str):
        text = json.dumps(printable(value), ensure_ascii=False)
        return _UNSAFE.sub(lambda c: f"\\U{ord(c[0]):08x}", text)
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text  # 1e-05 is a text in YAML 1.1
