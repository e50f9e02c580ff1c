"""How much the scores move with the reference (figure 4 of the paper as numbers)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.baselines.kit.dubbing.dub import Length, dub
from lipsync_eval.baselines.kit.dubbing.generator import Generator
from lipsync_eval.baselines.kit.progress import Say, silent
from lipsync_eval.cache import Cache
from lipsync_eval.errors import OutputError, UsageError
from lipsync_eval.files import write_text
from lipsync_eval.types import Settings


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (of the sample, n - 1), minimum, maximum and range of at least two numbers."""
    x = np.asarray(values, np.float64)
    return {
        "mean": float(x.mean()),
        "sd": float(x.std(ddof=1)),
        "min": float(x.min()),
        "max": float(x.max()),
        "range": float(x.max() - x.min()),
    }


def names_of(references: Sequence[str]) -> list[str]:
    """A file name for each reference: its number and, for images, the stem."""
    plain = ["".join(c if c.isalnum() or c in "-_" else "_" for c in Path(r).stem) for r in references]
    return [f"{k:02d}-{name}" for k, name in enumerate(plain)]


def robustness(
    video: Path,
    audio: Path,
    references: Sequence[str],
    generator: Generator,
    out: Path,
    *,
    metrics: str = "core",
    length: Length = "strict",
    cache: Path | None = None,
    say: Say = silent,
    **settings: Any,
) -> dict[str, Any]:
    """Dub one video with several references, score every result against the video, and tell how much each score moves.

    With the video's own audio the scores are those of a reconstruction. With other speech the mouth has nothing to be
    compared with in the video: read the spread, not the mean.

    Args:
        video: the video.
        audio: a file with speech.
        references: at least two: image files or numbers of frames of the video.
        generator: e.g. from `load_generator`.
        out: new folder: gen/NN-NAME.mkv, run/ (as `lipsync-eval score` writes it), robustness.json.
        metrics: as `score --metrics`.
        length: as in `dub`.
        cache: folder of tracks and features; None: out/cache.
        say: progress.
        **settings: fields of Settings.

    Returns:
        what robustness.json holds: {"references", "scores": {metric: {reference: value}}, "spread": {metric: {...}}}.

    Raises:
        UsageError: fewer than two references.
        OutputError: `out` exists.
    """
    from lipsync_eval.engine.score import score

    if len(references) < 2:
        raise UsageError(f"{len(references)} reference given; give at least two to compare")
    if out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} is not empty; give a new folder")
    (out / "gen").mkdir(parents=True)
    names, kept = names_of(references), cache or out / "cache"
    for name, reference in zip(names, references, strict=True):
        target = out / "gen" / f"{name}.mkv"
        dub(video, audio, target, generator, reference=reference, length=length, cache=Cache(kept), say=say)
        say(f"dubbed with reference {reference}")
    pairs = out / "pairs.csv"
    lines = [("gen", "gt", "id"), *((f"{name}.mkv", str(video.resolve()), name) for name in names)]
    write_text(pairs, "".join(",".join(_quoted(cell) for cell in line) + "\n" for line in lines))
    folders = (out / "gen", video.resolve().parent)
    how = Settings(cache_dir=kept, **settings)
    result = score(*folders, metrics=metrics, settings=how, pairs=pairs, out=out / "run", name="references")
    scores: dict[str, dict[str, float | None]] = {}
    for clip in result.clips:
        for metric, value in clip.values.items():
            scores.setdefault(metric, {})[clip.id] = value
    report: dict[str, Any] = {
        "video": video.name,
        "audio": audio.name,
        "references": dict(zip(names, references, strict=True)),
        "scores": scores,
        "spread": _spreads(scores),
        "failures": len(result.failures),
    }
    write_text(out / "robustness.json", json.dumps(report, indent=1) + "\n")
    return report


def _spreads(scores: dict[str, dict[str, float | None]]) -> dict[str, dict[str, float]]:
    """Spread of every metric that at least two references have."""
    known = {metric: [v for v in by_name.values() if v is not None] for metric, by_name in scores.items()}
    return {metric: spread(values) for metric, values in known.items() if len(values) >= 2}


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def table(report: dict[str, Any]) -> str:
    """Plain text: a line per metric with mean, sd and range over the references."""
    lines = [f"{'metric':22} {'mean':>10} {'sd':>10} {'min':>10} {'max':>10} {'range':>10}"]
    for metric, s in report["spread"].items():
        lines.append(f"{metric:22} " + " ".join(f"{s[k]:10.4f}" for k in ("mean", "sd", "min", "max", "range")))
    return "\n".join(lines)
