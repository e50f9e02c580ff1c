"""Which runs were not measured the same way: what a plot or a page that shows them side by side has to say."""

from __future__ import annotations

from collections.abc import Sequence

from lipsync_eval.results.clips import same_real_videos
from lipsync_eval.results.schema import Result, Score
from lipsync_eval.results.signature import difference


def unlike(runs: Sequence[Result]) -> list[str]:
    """One sentence for each run that cannot be compared with the first that has the metric; none where all can.

    Args:
        runs: shown side by side.

    Returns:
        e.g. 'a and b: psnr, ssim were not measured the same way (proto: radio.1 | raw.1)'.
    """
    first: dict[str, tuple[Result, Score]] = {}
    found: dict[tuple[str, str, str], list[str]] = {}
    for run in runs:
        for score in run.scores:
            other, reference = first.setdefault(score.metric, (run, score))
            if not reference.n_scored:  # it does not say whose landmarks cropped
                first[score.metric] = (run, score)
            if keys := difference(reference.signature, score.signature):
                text = "; ".join(f"{key}: {a or '(absent)'} | {b or '(absent)'}" for key, (a, b) in keys.items())
                found.setdefault((other.run.name, run.run.name, text), []).append(score.metric)
    out = [
        f"{a} and {b}: {', '.join(metrics)} {'was' if len(metrics) == 1 else 'were'} not measured the same way ({text})"
        for (a, b, text), metrics in found.items()
    ]
    return out + [
        f"{runs[0].run.name} and {run.run.name} were not scored against the same real videos"
        for run in runs
        if not same_real_videos(runs[0], run)
    ]
