"""Result objects made up by the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lipsync_eval.results.aggregate import bootstrap, clip_mean
from lipsync_eval.results.schema import ClipRow, DataInfo, FailureRow, Result, RunInfo, Score

UNITS = {
    "psnr": ("dB", "up"),
    "ssim": ("1", "up"),
    "lmd": ("px", "down"),
    "lmd_norm": ("1", "down"),
    "lse_c": ("1", "up"),
    "lse_d": ("1", "down"),
    "av_offset": ("frames", "zero"),
}
Values = Mapping[str, Sequence[float | None]]


def run(
    name: str,
    values: Values,
    *,
    gt_values: Mapping[str, Sequence[float]] | None = None,
    proto: str = "radio.1",
    data: str = "real",
    ids: Sequence[str] | None = None,
) -> Result:
    """A run with one value per clip and metric; None becomes a failure row."""
    n = len(next(iter(values.values())))
    ids = ids or [f"clip{i:03d}" for i in range(n)]
    truth = gt_values or {}
    scores = []
    for metric, column in values.items():
        unit, direction = UNITS[metric]
        good = [v for v in column if v is not None]
        own = clip_mean(list(truth[metric])) if metric in truth else None
        signature = f"agg:clip-mean|metric:{metric}.1|n:{len(good)}of{n}|proto:{proto}|v:0.1.0"
        scores.append(
            Score(
                metric=metric,
                value=clip_mean(good),
                gt_value=own,
                unit=unit,
                direction=direction,
                ci=bootstrap(good, 1),
                n_scored=len(good),
                n_asked=n,
                signature=signature,
            )  # type: ignore[arg-type]
        )
    clips = [
        ClipRow(
            id=ids[i],
            gen=f"gen/{ids[i]}.mp4",
            gt=f"{data}/{ids[i]}.mp4",
            n_frames=50,
            values={m: c[i] for m, c in values.items()},
            gt_values={m: c[i] for m, c in truth.items()},
            notes=[],
            details={"gt": {"sha256": f"{data}{i}"}},
        )
        for i in range(n)
    ]
    failures = [
        FailureRow(id=c.id, stage="metric", metric=m, error="MetricError", message="made up")
        for c in clips
        for m, v in c.values.items()
        if v is None
    ]
    return Result(
        run=RunInfo(
            name=name,
            command=["made", "up"],
            version="0.1.0",
            commit=None,
            dirty=None,
            seed=1,
            started="2026-01-01T00:00:00+00:00",
            seconds=1.0,
        ),
        data=DataInfo(n_pairs=n, digest=name, gt_digest=data, gen="gen", gt=data),
        environment={},
        scores=scores,
        clips=clips,
        failures=failures,
    )


def noisy(base: Sequence[float], shift: float, seed: int, sigma: float = 0.1) -> list[float]:
    """base + shift + noise."""
    return list(np.asarray(base) + shift + np.random.default_rng(seed).normal(0, sigma, len(base)))
