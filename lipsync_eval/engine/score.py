"""The main job: score a folder of generated videos against the real ones."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lipsync_eval.device import require
from lipsync_eval.engine.build_result import build_result
from lipsync_eval.engine.cluster.measure import crew_of
from lipsync_eval.engine.cluster.start import ClusterAsk
from lipsync_eval.engine.local_workers import processes_and_threads
from lipsync_eval.engine.plan import Plan, make_plan
from lipsync_eval.engine.run import Crew, measures_here, run_clips
from lipsync_eval.engine.threads import usual
from lipsync_eval.engine.worker_count import Workers
from lipsync_eval.errors import OtherRun, OutputError, ParseError, UsageError
from lipsync_eval.locks import Lock
from lipsync_eval.media.names import is_video
from lipsync_eval.metrics.registry import uses_networks
from lipsync_eval.progress import Progress, silent
from lipsync_eval.results.journal import Journal
from lipsync_eval.results.rows import Resample
from lipsync_eval.results.schema import RESULTS, Result, RunInfo, load_result
from lipsync_eval.results.store import refuse_others, run_folder, sweep, write_run
from lipsync_eval.types import Settings
from lipsync_eval.urls import Place, Url, place
from lipsync_eval.version import __version__

_LIBRARIES = ("torch", "numpy", "av", "opencv-python-headless", "dlib-bin", "scikit-image", "onnxruntime")


def score(
    gen: str | Place,
    gt: str | Place | None = None,
    *,
    metrics: str | Sequence[str] = "core",
    settings: Settings | None = None,
    out: str | Path | None = None,
    pairs: str | Path | None = None,
    workers: Workers = 1,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    skip_missing: bool = False,
    name: str | None = None,
    resample: Resample = "clip",
    isolate: bool = False,
    scheduler: str | None = None,
    cluster: str | None = None,
    cluster_options: str | Path | Mapping[str, Any] | None = None,
    command: Sequence[str] | None = None,
    event: Progress = silent,
    warn: Callable[[str], None] = lambda text: None,
) -> Result:
    """Score generated videos against real ones: what `lipsync-eval score` runs.

    Args:
        gen: a folder or a single file of generated video, or its URL (docs/scale.md).
        gt: the same of real video, matched by stem; None: only metrics that need no real video are scored.
        metrics: 'core', 'all' or names, comma separated or as a sequence; '-name' leaves one out.
        settings: everything else that can move a number, and where weights and the cache are; None: Settings().
        out: folder for results.json, clips.csv, frames.npz; None: nothing is kept but the returned Result.
        pairs: CSV with columns gen,gt[,audio,id,speaker] instead of matching by stem.
        workers: processes, or "auto": as many as this machine can feed. The numbers do not depend on it.
        threads: of BLAS, OpenMP, OpenCV and torch in each process; moves no number beyond its metric's tolerance. None: as
            `--threads` by default (docs/scale.md); with workers=1 and without `isolate` this process keeps what it has.
        resume: go on with a run that `out` holds already.
        overwrite: replace a run that `out` holds already.
        skip_missing: score the rest when weights are missing.
        name: the method's name in tables; default the name of `gen`.
        resample: what intervals draw: 'clip', or 'speaker' (the column of `pairs`) with all clips of a person.
        isolate: measure in worker processes also with workers=1, so that a clip that crashes its process is a failure row at
            once (the command line does). Otherwise such a crash ends this process; the next call with resume=True goes on.
        scheduler: address of a Dask scheduler whose workers measure instead of `workers` ('tcp://host:8786').
        cluster: start one: 'local:N', 'slurm:N', 'pbs:N', 'lsf:N', 'sge:N', 'ssh:HOST,HOST' or 'k8s:N' (docs/scale.md).
        cluster_options: a TOML file, or a mapping, of options of that cluster.
        command: what to record as the command line.
        event: told (clip id, stage, share); see lipsync_eval.progress.
        warn: told about things that the user should know.

    Returns:
        the Result, as in results.json; paths in it are absolute.

    Raises:
        UsageError: nothing was done (see errors.py for its kinds). A clip that fails is a failure row, not an exception.
    """
    ask = ClusterAsk.parse(scheduler, cluster, cluster_options)
    if ask is None and settings is not None:
        require(settings.device)
    resumed = Path(out) if out is not None and resume else None
    plan = planned(gen, gt, metrics, settings, pairs, skip_missing, resample, resumed)
    for text in plan.warnings:
        warn(text)
    label = name or usual_name(plan.gen)
    line = list(command) if command is not None else ["lipsync_eval.score", *(str(place(p)) for p in (gen, gt) if p)]
    if out is None:
        with tempfile.TemporaryDirectory(prefix="lipsync-eval-") as temporary, crew_of(ask, threads) as crew:
            there = Journal(Path(temporary))
            how: dict[str, Any] = {"isolate": isolate, "crew": crew, "threads": threads}
            return _run(plan, there, label, line, workers, event, resample, **how)
    folder = Path(out)
    with run_folder(folder, resume=resume, overwrite=overwrite) as lock:
        refuse_others(folder)
        journal = Journal(folder)
        if resume and (finished := finished_run(folder, journal, fingerprint(plan, resample))):
            warn(f"{folder}: is complete already; nothing to do")
            return finished
        with crew_of(ask, threads) as crew:
            how = {"isolate": isolate, "lock": lock, "afresh": not resume, "crew": crew, "threads": threads}
            return _run(plan, journal, label, line, workers, event, resample, **how)


def planned(
    gen: str | Place,
    gt: str | Place | None,
    metrics: str | Sequence[str],
    settings: Settings | None,
    pairs: str | Path | None,
    skip_missing: bool,
    resample: Resample,
    resumed: Path | None = None,
) -> Plan:
    """The plan of a call of `score`, whose arguments these are; `resumed`: the folder of a run that it goes on with.

    Raises:
        UsageError: anything that stops the run before work.
    """
    wanted = metrics if isinstance(metrics, str) else ",".join(metrics)
    plan = make_plan(
        place(gen),
        None if gt is None else place(gt),
        wanted,
        settings or Settings(),
        pairs_csv=Path(pairs) if pairs else None,
        skip_missing=skip_missing,
        earlier=None if resumed is None else _earlier(resumed),
    )
    if resample == "speaker" and (silent := [p.id for p in plan.pairs if p.speaker is None]):
        raise UsageError(
            f"--resample speaker: {len(silent)} clips name no speaker; give --pairs with a column `speaker`"
        )
    return plan


def _earlier(folder: Path) -> dict[str, Any]:
    """Fingerprint of the run in `folder`, unfinished or finished; empty where there is none that can be read."""
    try:
        return Journal(folder).fingerprint() or load_result(folder).run.plan or {}
    except (OutputError, ParseError):
        return {}  # told later, when the folder is opened


def usual_name(gen: Place) -> str:
    """The method's name in tables where none is given."""
    if isinstance(gen, Url):
        return gen.stem if is_video(gen) else gen.name
    return gen.stem if gen.is_file() else gen.resolve().name


def fingerprint(plan: Plan, resample: Resample) -> dict[str, Any]:
    """The plan's own, and what intervals draw where that is not clips."""
    return plan.fingerprint() | ({} if resample == "clip" else {"resample": resample})


def _run(
    plan: Plan,
    journal: Journal,
    label: str,
    command: list[str],
    workers: Workers,
    event: Progress,
    resample: Resample,
    *,
    isolate: bool,
    threads: int | None,
    crew: Crew | None = None,
    lock: Lock | None = None,
    afresh: bool = True,
) -> Result:
    """Measure, collect, and write into the journal's folder where there is a `lock` on it."""
    began, started = time.monotonic(), datetime.now(UTC)
    folder = journal.folder.parent
    stamp = fingerprint(plan, resample)
    try:
        journal.begin(stamp, afresh=afresh)
        sweep(folder, results=True)
    except OSError as error:
        raise OutputError(f"--out {folder}: cannot be written ({error.strerror or error}); free space") from error
    check = (lambda: None) if lock is None else lock.check
    processes, each = processes_and_threads(workers, threads, plan.tools, len(plan.pairs))
    threads = each if crew is None else threads
    how: dict[str, Any] = {"workers": processes, "threads": threads, "isolate": isolate}
    run_clips(plan, journal, **how, progress=event, check=check, crew=crew)
    commit, dirty = checkout_commit()
    run = RunInfo(
        name=label,
        command=command,
        version=__version__,
        commit=commit,
        dirty=dirty,
        seed=plan.settings.seed,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 2),
        plan=stamp,
        id=journal.run,
    )
    here = environment(plan, processes, threads, isolate=isolate, crew=crew)
    result = build_result(plan, journal, run, here, resample)
    if lock is not None:
        result = result.with_frames(folder.absolute())
        try:
            lock.check()
            write_run(folder, result, journal)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be written ({error.strerror or error}); free space and finish with --resume"
            ) from error
        return result
    ids = [clip.id for clip in result.clips]
    return result.with_frames({i: dict(journal.frames(place)) for place, i in enumerate(ids)})


def finished_run(folder: Path, journal: Journal, stamp: Mapping[str, Any]) -> Result | None:
    """The complete run in `folder`, if --resume finds nothing left to do but what a kill left to clear away."""
    under_way = journal.under_way()
    if not (folder / RESULTS).exists():
        return None
    try:
        result = load_result(folder)
    except ParseError:
        if under_way:
            return None
        raise
    if under_way and result.run.id != under_way:
        return None  # of the run before this one, which --overwrite was about to replace
    if result.run.plan != stamp:
        raise OtherRun(
            f"{folder}: holds a finished run of another plan; replace it with --overwrite or name another folder"
        )
    journal.remove()
    sweep(folder, results=False)
    return result


def environment(
    plan: Plan, workers: int, threads: int | None, *, isolate: bool, crew: Crew | None = None
) -> dict[str, Any]:
    """What cannot move a score: device, versions of libraries, workers, threads of each (those of torch in this process where
    it measures itself; none where a cluster's workers choose)."""
    settings = plan.settings
    here = measures_here(workers, len(plan.pairs), isolate=isolate, crew=crew)
    if threads is None and not here and crew is None:
        threads = usual(None, plan.tools)
    found: dict[str, Any] = {
        "device": settings.device,
        "workers": workers,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = None
    if uses_networks(plan.tools.metrics):  # measured in workers, perhaps
        import torch as _  # noqa: F401
    if (torch := sys.modules.get("torch")) is not None:
        found["device"] = (
            "cuda"
            if settings.device == "auto" and torch.cuda.is_available()
            else settings.device.replace("auto", "cpu")
        )
        if here and threads is None:
            threads = torch.get_num_threads()
    found["threads"] = threads
    found["cache"] = str(settings.cache_dir) if settings.cache_dir else None
    return found


def checkout_commit() -> tuple[str | None, bool | None]:
    """Commit and dirtiness of the checkout that this package runs from; (None, None) for an installed package."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        )
        state = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    return head.stdout.strip(), bool(state.stdout.strip())
