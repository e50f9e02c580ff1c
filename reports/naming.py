"""Methods and datasets by names that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lipsync_eval.errors import UsageError
from lipsync_eval.reports.published import GT
from lipsync_eval.results.names import short_paths
from lipsync_eval.results.schema import Result

Groups = Mapping[str, Mapping[str, Result]]
"""method -> dataset -> run"""

NO_REAL = "no real videos"
"""Name of the group of runs that were scored without GT."""


def dataset_labels(runs: Sequence[Result]) -> list[str]:
    """For every run the name of its real videos: the shortest end of their path that tells datasets apart.

    Runs with one path, or with equal real videos, are on one dataset: /data/hdtf/gt and /data/lrs2/gt are two. Runs that
    were scored without real videos are together, under NO_REAL.
    """
    root = list(range(len(runs)))
    for i, run in enumerate(runs):
        for j, other in enumerate(runs[:i]):
            data, known = run.data, other.data
            if (data.gt and data.gt == known.gt) or (data.gt_digest and data.gt_digest == known.gt_digest):
                low, high = sorted((root[i], root[j]))
                root = [low if r == high else r for r in root]
    return [
        label if run.data.gt or run.data.gt_digest else NO_REAL
        for run, label in zip(runs, short_paths([runs[k].data.gt for k in root]), strict=True)
    ]


def grouped(runs: Sequence[Result], labels: Sequence[str]) -> dict[str, dict[str, Result]]:
    """Runs by method and dataset. Two runs of one name on one dataset are told apart by their videos' folders.

    Raises:
        UsageError: two runs for one place that nothing tells apart.
    """
    names = method_names(runs, labels)
    groups: dict[str, dict[str, Result]] = {}
    for run, name, label in zip(runs, names, labels, strict=True):
        mine = groups.setdefault(name, {})
        if label in mine:
            where = f" on {label}" if label else ""
            raise UsageError(
                f"two runs are called {name!r}{where}, and their videos lie in one folder; give one of them another name "
                "on the command line: RUN=NAME"
            )
        mine[label] = run
    return groups


def refuse_doubled(names: Sequence[str]) -> None:
    """Raise UsageError where two runs have one name."""
    if doubled := sorted({n for n in names if names.count(n) > 1}):
        raise UsageError(f"two runs are called {doubled[0]!r}; give one of them another name: RUN=NAME")


def with_reference(name: str, runs: Sequence[Result]) -> str:
    """The name of a method as a reader must see it: with where its reference frame came from, where its runs say so."""
    kinds = list(dict.fromkeys(r.run.reference for r in runs if r.run.reference))
    return f"{name} [{', '.join(kinds)}]" if kinds else name


def method_names(runs: Sequence[Result], labels: Sequence[str] | None = None) -> list[str]:
    """A name for every run: its own, and where two on one dataset share it, the ends of their videos' paths.

    ckpt1/gen and ckpt2/gen are both called 'gen' by default: they become 'ckpt1/gen' and 'ckpt2/gen'.
    """
    names = [r.run.name for r in runs]
    labels = labels or [""] * len(runs)
    for name in dict.fromkeys(names):
        mine = [i for i, n in enumerate(names) if n == name]
        if name != GT and len({labels[i] for i in mine}) < len(mine):
            for i, told in zip(mine, short_paths([runs[i].data.gen for i in mine]), strict=True):
                names[i] = told if len({runs[k].data.gen for k in mine}) > 1 else name
    return names
