"""Tables, the gate and correlations from Python: what `lipsync-eval table`, `gate` and `correlate` do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lipsync_eval.results.rows import Resample
from lipsync_eval.results.schema import Result, load_result

if TYPE_CHECKING:
    from lipsync_eval.reports.gate_result import Gate

Run = Result | Path | str
"""A result, or the folder of one."""


def table(
    runs: Sequence[Run],
    *,
    form: Literal["text", "markdown", "latex", "csv", "html"] = "text",
    layout: str | None = None,
    published: Sequence[str] = (),
    dataset: str | None = None,
    by_dataset: bool = False,
    ignore: Sequence[str] = (),
    resample: Resample = "clip",
) -> str:
    """Methods as rows, metrics as columns; best bold, second underlined, over the clips that all runs scored.

    Args:
        runs: results or folders of runs; the folder of a watch stands for all its scored checkpoints.
        form: of the text.
        layout: 'radio', 'personatalk', 'avhubert-expert', 'stylesync' or a TOML file; None: all metrics.
        published: keys of papers whose numbers are added, e.g. 'radio'.
        dataset: the runs' dataset, as the papers call it: published numbers of it stand in the same columns.
        by_dataset: one group of columns per set of real videos.
        ignore: signature keys (or 'data') that may differ.
        resample: what tests and intervals draw.

    Raises:
        SignatureMismatch: runs that cannot be compared.
        UsageError: nothing to show, or an unknown name.
    """
    from lipsync_eval.reports.layout import get_layout
    from lipsync_eval.reports.published import select
    from lipsync_eval.reports.render import FORMATS
    from lipsync_eval.reports.table import build

    made = build(
        [result for run in runs for result in _methods(run)],
        [number for key in published for number in select(key)],
        layout=get_layout(layout) if layout else None,
        dataset=dataset,
        by_dataset=by_dataset,
        ignore=ignore,
        resample=resample,
    )
    return FORMATS[form](made)


def gate(
    new: Run,
    baseline: Run,
    *,
    tolerance: str = "",
    alpha: float = 0.05,
    metrics: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    resample: Resample = "clip",
) -> Gate:
    """Whether a run is worse than a baseline; `print(gate(...))` shows it, `.passed` decides.

    Args:
        new: a result, or a folder of a run; the folder of a watch stands for its newest checkpoint.
        baseline: the same, or a file that `gate --update` wrote; the folder of a watch stands for the checkpoint before the
            newest.
        tolerance: how much worse is allowed, e.g. 'psnr=0.1,lse_c=2%'.
        alpha: level of the test over all metrics.
        metrics: ids; None: all of the baseline's that are ranked.
        ignore: signature keys (or 'data') that may differ.
        resample: what tests and intervals draw.

    Raises:
        SignatureMismatch: runs that cannot be compared.
        UsageError: nothing to compare.
    """
    from lipsync_eval.reports.gate import compare, parse_tolerance
    from lipsync_eval.results.history import newest_run

    new = new if isinstance(new, Result) else newest_run(Path(new))
    besides = new if isinstance(new, Path) else Path("/")  # no run: a result is in no history
    baseline = baseline if isinstance(baseline, Result) else newest_run(Path(baseline), besides=besides)
    return compare(
        _result(new),
        _result(baseline),
        tolerance=parse_tolerance(tolerance),
        alpha=alpha,
        metrics=metrics,
        ignore=ignore,
        resample=resample,
    )


def correlate(
    study: Path | str,
    runs: Sequence[Run],
    *,
    answers: Sequence[Path | str] = (),
    metrics: Sequence[str] | None = None,
    form: Literal["text", "markdown", "csv", "json"] = "text",
    seed: int = 12345,
) -> str:
    """Spearman, Kendall and Pearson of every metric with people's scores, per clip and per method, with intervals.

    Args:
        study: a CSV with columns id, method, mos and, if there are any, rater and question; a study's key.json or its folder; or the folder that
            `study collect --out` wrote.
        runs: results or folders of runs, called as the study's methods are.
        answers: the raters' files, with a key.json; none: the answers*.json beside it.
        metrics: ids; None: all that the runs scored.
        form: of the text; 'json' for a program.
        seed: of the bootstrap.

    Raises:
        UsageError: no method or clip in common, or an unknown metric.
        ParseError: the study cannot be read.
    """
    from lipsync_eval.reports.correlate import correlate as run
    from lipsync_eval.reports.correlate_output import FORMATS
    from lipsync_eval.reports.opinions import read_opinions

    opinions = read_opinions(Path(study), [Path(a) for a in answers])
    return FORMATS[form](run(opinions, [_result(r) for r in runs], metrics=metrics, seed=seed))


def _methods(run: Run) -> list[Result]:
    from lipsync_eval.results.history import history_file, scored_runs

    file = None if isinstance(run, Result) else history_file(Path(run))
    return [_result(run)] if file is None else [load_result(path) for path in scored_runs(file)[0]]


def _result(run: Run) -> Result:
    return run if isinstance(run, Result) else load_result(run)
