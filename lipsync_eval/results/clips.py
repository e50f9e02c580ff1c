"""Which clips of a run count in which score, and what two runs have in common.

Runs are compared over the clips that all of them scored: a run that failed on the hard clips is never better for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from lipsync_eval.results.rows import ClipRow, Resample
from lipsync_eval.results.schema import Result
from lipsync_eval.results.signature import CROP_FROM, MIXED, parse_signature


def values_of(run: Result, metric: str) -> Mapping[str, float]:
    """Clip id -> value in clip order, of the clips that have one; empty for a pooled metric."""
    return run.column(metric)


def scored_clips(run: Result, metric: str) -> frozenset[str]:
    """Ids of the clips that count in a score.

    For a pooled metric: those without a failure row of it; where that are more than the score counts, those without any
    failure row, if their number fits.
    """
    if metric not in run or run[metric].n_scored == 0:
        return frozenset()
    if not any(metric in c.values for c in run.clips):
        lost = {f.id for f in run.failures if f.metric in (None, metric)}
        left = frozenset(c.id for c in run.clips if c.id not in lost)
        whole = left - {f.id for f in run.failures}
        return whole if len(left) != run[metric].n_scored == len(whole) else left
    return frozenset(values_of(run, metric))


def pooled_over(run: Result, metric: str) -> bool:
    """Whether a score is pooled over clips that have no value of their own."""
    return metric in run and run[metric].value is not None and not run.column(metric)


def common_clips(runs: Sequence[Result], metric: str) -> list[str]:
    """Ids, sorted, of the clips that all of these runs scored, from crops of the same kind."""
    found = [scored_clips(run, metric) for run in runs]
    return sorted(frozenset.intersection(*found) - cropped_otherwise(runs, metric)) if found else []


def cropped_otherwise(runs: Sequence[Result], metric: str) -> frozenset[str]:
    """Ids of the clips that one run cropped from their own landmarks and another from the real video's.

    Only among runs that all mix both kinds (`crop_from:gt+own` in their signatures): other runs are alike throughout, or
    their signatures differ and say so.
    """
    if not runs or any(_crop_from(run, metric) != MIXED for run in runs):
        return frozenset()
    kinds: dict[str, set[str]] = {}
    for run in runs:
        for clip in run.clips:
            if isinstance(whose := clip.details.get(CROP_FROM), str):
                kinds.setdefault(clip.id, set()).add(whose)
    return frozenset(i for i, found in kinds.items() if len(found) > 1)


def _crop_from(run: Result, metric: str) -> str:
    return parse_signature(run[metric].signature).get(CROP_FROM, "") if metric in run else ""


def real_values(runs: Sequence[Result], metric: str) -> dict[str, float]:
    """The real videos' own score of every clip that any of the runs scored, by id.

    Where runs differ on a clip (a pair is cut to its common length), the mean over them stands; the order of runs does
    not matter.
    """
    columns = [column for run in runs if (column := run.column(metric, real=True))]
    return {i: _mean([c[i] for c in columns if i in c]) for i in sorted(dict.fromkeys(chain.from_iterable(columns)))}


def _mean(values: Sequence[float]) -> float:
    """The mean, whatever the order; NumPy's for many, as a call of it costs more than two additions."""
    return (values[0] + values[-1]) / 2 if len(values) <= 2 else float(np.mean(sorted(values)))


def same_real_videos(a: Result, b: Result) -> bool:
    """Whether two runs were scored against the same real videos: the same file for every clip that both have.

    Where no clip tells (results without digests, or no clip in common), the digests of the whole real sides decide. A run
    without real videos contradicts no other: the signatures (gt:none) tell the two apart.
    """
    if not (a.data.gt_digest and b.data.gt_digest):
        return True
    before, after = _digests(a), _digests(b)
    common = before.keys() & after.keys()
    return all(before[i] == after[i] for i in common) if common else a.data.gt_digest == b.data.gt_digest


def other_real_videos(a: Result, b: Result) -> list[str]:
    """Ids of the clips whose real videos are not the same files in two runs."""
    before, after = _digests(a), _digests(b)
    return sorted(i for i in before.keys() & after.keys() if before[i] != after[i])


def speakers(run: Result) -> dict[str, str]:
    """Clip id -> speaker, of the clips whose manifest names one."""
    return {c.id: c.speaker for c in run.clips if c.speaker is not None}


def groups_of(ids: Sequence[str], runs: Sequence[Result], resample: Resample) -> list[str] | None:
    """For every clip the name of what is resampled with it; None: each clip by itself.

    Raises:
        UsageError: `resample` is 'speaker' and a clip names none, or two runs name different ones.
    """
    if resample == "clip":
        return None
    from lipsync_eval.errors import UsageError

    known: dict[str, str] = {}
    for run in runs:
        for clip, speaker in speakers(run).items():
            if known.setdefault(clip, speaker) != speaker:
                raise UsageError(f"clip {clip!r} has two speakers, {known[clip]!r} and {speaker!r}; mend the manifest")
    if missing := [i for i in ids if i not in known]:
        raise UsageError(
            f"--resample speaker: {len(missing)} clips name no speaker ({', '.join(map(repr, missing[:3]))}); score with "
            "--pairs and a column `speaker`"
        )
    return [known[i] for i in ids]


def _digests(run: Result) -> Mapping[str, str]:
    return {c.id: d for c in run.clips if (d := _real_digest(c))}


def _real_digest(clip: ClipRow) -> str | None:
    facts = clip.details.get("gt")
    digest = facts.get("sha256") if isinstance(facts, Mapping) else None
    return digest if isinstance(digest, str) else None
