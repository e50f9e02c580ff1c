"""Result objects made up by the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lipsync_eval.results.aggregate import bootstrap, clip_mean
from lipsync_eval.results.numbers import level
from lipsync_eval.results.schema import ClipRow, DataInfo, FailureRow, Result, RunInfo, Score

UNITS = {
    "psnr": ("dB", "up"),
    "ssim": ("1", "up"),
    "lmd": ("px", "down"),
    "lmd_centered": ("px", "down"),
    "f_lmd": ("px", "down"),
    "lmd_atvg_sum": ("px", "down"),
    "lmd_norm": ("1", "down"),
    "lse_c": ("1", "up"),
    "lse_d": ("1", "down"),
    "av_offset": ("frames", "zero"),
    "mouth_audio_corr": ("1", "up"),
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
    gen: str = "/made/gen",
    speakers: Sequence[str] | None = None,
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
                mean_abs=level(good, "zero") if good and direction == "zero" else None,
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
            gen=f"{gen}/{ids[i]}.mp4",
            gt=f"{data}/{ids[i]}.mp4",
            n_frames=50,
            values={m: c[i] for m, c in values.items()},
            gt_values={m: c[i] for m, c in truth.items()},
            notes=[],
            details={"gt": {"sha256": f"{data}{i}"}},
            speaker=speakers[i] if speakers else None,
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
        data=DataInfo(n_pairs=n, digest=name, gt_digest=data, gen=gen, gt=data),
        environment={},
        scores=scores,
        clips=clips,
        failures=failures,
    )


def pooled(name: str, value: float, n: int, *, lost: int = 0) -> Result:
    """A run with FID alone: a pooled score, the last `lost` clips not in it."""
    base = run(name, {"psnr": [30.0] * n})
    left = n - lost
    score = Score(
        metric="fid",
        value=value,
        gt_value=None,
        ci=None,
        n_scored=left,
        n_asked=n,
        signature=f"agg:pooled|metric:fid.1|n:{left}of{n}|v:0.1.0",
    )  # type: ignore[call-arg]
    failures = [
        FailureRow(id=c.id, stage="metric", metric="fid", error="MetricError", message="made up")
        for c in base.clips[left:]
    ]
    clips = [c.model_copy(update={"values": {}}) for c in base.clips]
    return base.model_copy(update={"scores": [score], "clips": clips, "failures": failures})


def noisy(base: Sequence[float], shift: float, seed: int, sigma: float = 0.1) -> list[float]:
    """base + shift + noise."""
    return list(np.asarray(base) + shift + np.random.default_rng(seed).normal(0, sigma, len(base)))
