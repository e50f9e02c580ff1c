"""Run generators over a manifest: each clip in a process of its own, with limits, a kept log, retries and resume."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipsync_eval.baselines.base import Adapter, BaselineError, Job
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.baselines.inputs import Inputs, expected_frames, stage
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.baselines.patches import read_prepared, why_no_cpu
from lipsync_eval.baselines.process import Ended, run
from lipsync_eval.baselines.views import make_view
from lipsync_eval.errors import ClipError, InputError, MediaError, OutputError, UsageError
from lipsync_eval.files import parse_json, sha256, write_text
from lipsync_eval.locks import Held, Lock
from lipsync_eval.media import open_clip
from lipsync_eval.progress import Progress, silent
from lipsync_eval.version import __version__

REFERENCES = ("first", "random")
_SLACK = 5
"""Frames by which a result may be longer or shorter than expected before it is named a problem."""


@dataclass(frozen=True, slots=True)
class GeneratorOutcome:
    """What became of one clip under one generator; kept as DIR/jobs/NAME/ID.json."""

    id: str
    generator: str
    key: str
    """Hash of everything that could change the result: record, command, options, inputs."""
    ok: bool
    message: str
    """Why it failed; empty when it worked."""
    notes: tuple[str, ...]
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What is the same for all clips and generators. It travels to the workers of a cluster."""

    out: Path
    reference: str
    """'first' or 'random'."""
    seed: int
    again_failed: bool


Crew = Callable[
    [Sequence[tuple[Adapter, Environment]], Sequence[ManifestEntry], Asked, Progress], list[GeneratorOutcome]
]
"""crew(generators, clips, asked, progress): runs all of them on other machines."""


def run_all(
    adapters: Sequence[tuple[Adapter, Environment]],
    entries: Sequence[ManifestEntry],
    out: Path,
    *,
    reference: str = "first",
    seed: int = 12345,
    again_failed: bool = False,
    progress: Progress = silent,
    crew: Crew | None = None,
) -> list[GeneratorOutcome]:
    """Run what is missing; what is done is not run again.

    Results are OUT/NAME/ID.<suffix> (as the generator wrote them), OUT/NAME/ID.wav beside it when it wrote no audio; the state is in
    OUT/.jobs/NAME/, logs in OUT/.logs/NAME/.

    Args:
        adapters: generators with their environments.
        entries: clips.
        out: folder, made if absent.
        reference: 'first' or 'random', for all generators alike; a manifest's own reference goes before.
        seed: handed to generators that take one.
        again_failed: run clips again that failed before.
        progress: told ('generator: clip', what happens, share).
        crew: runs them instead of this process (see on_cluster).

    Raises:
        UsageError: a generator without code, an unknown reference rule.
        OutputError: another job runs one of the generators into this folder.
    """
    if reference not in REFERENCES:
        raise UsageError(
            f"--reference {reference!r}: expected one of {', '.join(REFERENCES)}; single pictures go into the manifest's column `reference`"
        )
    for adapter, _ in adapters:
        if adapter.command is None:
            raise UsageError(
                f"{adapter.record.name} has no public code: only its published numbers are here (list published)"
            )
    asked = Asked(out, reference, seed, again_failed)
    if crew is not None:
        with ExitStack() as locks:
            for adapter, _ in adapters:
                locks.enter_context(_own(out, adapter.record.name))
            return crew(adapters, entries, asked, progress)
    outcomes = []
    for adapter, environment in adapters:
        with _own(out, adapter.record.name) as lock:
            for entry in entries:
                lock.check()
                outcomes.append(one(adapter, environment, entry, asked, progress))
    return outcomes


@contextmanager
def _own(out: Path, name: str) -> Iterator[Lock]:
    """The folders of one generator, made if absent and locked: two jobs cannot write into them at once."""
    for folder in (out / name, out / ".jobs" / name, out / ".logs" / name):
        folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(out / ".jobs" / name / ".lock")
    try:
        lock.acquire()
    except Held as error:
        raise OutputError(
            f"{out / name}: another job runs {name} there: {error}; wait for it, or name another folder"
        ) from error
    with lock:
        yield lock


def one(
    adapter: Adapter, environment: Environment, entry: ManifestEntry, asked: Asked, progress: Progress
) -> GeneratorOutcome:
    """Run one generator on one clip, unless that is done; the folders are there. What goes wrong is in the outcome."""
    name, out, reference, seed = adapter.record.name, asked.out, asked.reference, asked.seed
    item = f"{name}: {entry.id}"
    state = out / ".jobs" / name / f"{entry.id}.json"
    key = _key(adapter, environment, entry, reference, seed)
    old = read_outcome(state)
    if (
        old is not None
        and old.key == key
        and (find_result(out / name, entry.id) is not None if old.ok else not asked.again_failed)
    ):
        progress(item, "done already" if old.ok else "failed before", 1.0)
        return old
    began = time.monotonic()
    message, attempts = "", 0
    notes: list[str] = []
    for attempts in range(1, environment.retries + 2):
        progress(item, f"attempt {attempts}" if attempts > 1 else "started", 0.0)
        try:
            notes, message = _attempt(adapter, environment, entry, out, reference, seed), ""
            break
        except BaselineError as error:
            message = str(error)
        except (ClipError, InputError) as error:  # of an adapter that opens or writes a video by itself
            message = f"its files cannot be used: {error}"
        except OSError as error:
            message = f"cannot be started or its files cannot be handled: {error}"
    outcome = GeneratorOutcome(
        entry.id, name, key, not message, message, tuple(notes), round(time.monotonic() - began, 2), attempts
    )
    write_text(state, json.dumps(asdict(outcome), ensure_ascii=False, indent=1) + "\n")
    progress(item, "done" if outcome.ok else f"failed: {message.splitlines()[0]}", 1.0)
    return outcome


def _attempt(
    adapter: Adapter, environment: Environment, entry: ManifestEntry, out: Path, reference: str, seed: int
) -> list[str]:
    name = adapter.record.name
    if environment.device == "cpu" and (why := why_no_cpu(adapter.record, environment.repo)):
        raise BaselineError(why)
    work = _work_folder()
    variables = _variables(adapter, environment)
    try:
        inputs = stage(entry, work, reference=reference)
        job = _job(adapter, environment, entry, work, inputs, seed, variables)
        notes = [*inputs.notes, *(adapter.prepare(job) if adapter.prepare else ())]
        if adapter.command is None:
            raise BaselineError("has no public code")
        try:
            ended = run(
                adapter.command(job),
                cwd=_cwd(adapter, environment, work),
                env=variables,
                log=out / ".logs" / name / f"{entry.id}.log",
                timeout=environment.timeout,
                memory_gb=environment.memory_gb,
                scratch=work,
            )
        finally:
            environment.stop_container(work)
        _check_end(ended)
        if ended.left_behind:
            notes.append(f"left {ended.left_behind} processes behind, which were ended")
        made = adapter.collect(job) if adapter.collect else job.output
        notes += _keep(made, out / name, entry, inputs, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return notes


def _work_folder() -> Path:
    """A new folder whose path is safe in any shell and has no dot: generators hand it to shells and split names at dots."""
    work = Path(tempfile.mkdtemp(prefix="lipsync_"))
    if not re.fullmatch(r"[A-Za-z0-9_/-]+", str(work)):
        work.rmdir()
        raise BaselineError(
            f"the temporary folder {work.parent} has characters that generators trip over: set TMPDIR to one of letters, digits, '-' and '_' only"
        )
    return work


def _cwd(adapter: Adapter, environment: Environment, work: Path) -> Path:
    return work / "repo" if adapter.record.repository else environment.repo


def _job(
    adapter: Adapter,
    environment: Environment,
    entry: ManifestEntry,
    work: Path,
    inputs: Inputs,
    seed: int,
    variables: dict[str, str],
) -> Job:
    if adapter.record.repository:
        make_view(environment.repo, work / "repo", adapter.writes)
    job = Job(
        id=entry.id,
        video=work / "video.mkv",
        video_mp4=work / "video.mp4",
        audio=work / "audio.wav",
        reference=work / "reference.png",
        output=work / "output.mp4",
        work=work,
        repo=environment.repo,
        python=environment.interpreter(work, _cwd(adapter, environment, work), variables),
        device=environment.device,
        n_frames=inputs.n_frames,
        seed=seed,
        options=environment.options,
    )
    write_text(work / "job.json", job.as_json() + "\n")
    return job


def _variables(adapter: Adapter, environment: Environment) -> dict[str, str]:
    gpu = environment.device.partition(":")[2]
    visible = (
        {"CUDA_VISIBLE_DEVICES": ""} if environment.device == "cpu" else {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}
    )
    return {"PYTHONUNBUFFERED": "1", **visible, **adapter.environment, **environment.env}


def _check_end(ended: Ended) -> None:
    if ended.stopped:
        raise BaselineError(f"stopped: {ended.stopped}\n{ended.tail}")
    if ended.code:
        how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"ended with exit code {ended.code}"
        last = (ended.tail.splitlines() or ["it said nothing"])[-1]
        raise BaselineError(f"{how}: {last[:200]}\n{ended.tail}")


def _keep(made: Path, folder: Path, entry: ManifestEntry, inputs: Inputs, work: Path) -> list[str]:
    """Check the result and move it to its place; says what is odd about it."""
    if not made.is_file() or made.stat().st_size == 0:
        raise BaselineError(f"ended well but wrote no {made.name}")
    try:
        clip = open_clip(made)
    except MediaError as error:
        raise BaselineError(f"what it wrote cannot be used: {error}") from error
    notes = [f"result: {n}" for n in clip.notes]
    expected = expected_frames(inputs)
    if abs(clip.n_frames - expected) > _SLACK:
        notes.append(
            f"result has {clip.n_frames} frames at 25 fps, {expected} expected (the shorter of video and speech): score with --align if that is meant"
        )
    if (clip.height, clip.width) != (inputs.height, inputs.width):
        notes.append(f"result is {clip.width}x{clip.height}, the video {inputs.width}x{inputs.height}")
    target = folder / f"{entry.id}{made.suffix.lower() or '.mp4'}"
    for old in folder.glob("*"):
        if old.stem == entry.id and old != target:
            old.unlink()
    if clip.audio is None:
        shutil.copyfile(work / "audio.wav", folder / f"{entry.id}.wav")
        notes.append("result is silent: the driving speech lies beside it and is scored")
    temporary = folder / f".{entry.id}.part{target.suffix}"
    shutil.copyfile(made, temporary)
    temporary.replace(target)
    return notes


def find_result(folder: Path, name: str) -> Path | None:
    """The video that a generator made for a clip, or None."""
    found = [p for p in folder.glob("*") if p.stem == name and p.suffix != ".wav" and not p.name.startswith(".")]
    return found[0] if found else None


def read_outcome(path: Path) -> GeneratorOutcome | None:
    """A kept outcome; None when there is none that can be read."""
    try:
        data = parse_json(path.read_text("utf-8"))
        return GeneratorOutcome(**{**data, "notes": tuple(data["notes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _key(adapter: Adapter, environment: Environment, entry: ManifestEntry, reference: str, seed: int) -> str:
    """What could change the result. Files of the generator's own (weights, a template's script) go in by size and time of change:
    a new checkpoint under an old name is run anew; `check` hashes them."""
    facts: dict[str, Any] = {
        "record": adapter.record.name,
        "commit": adapter.record.commit or __version__,
        "revision": adapter.record.revision,
        "repo": str(environment.repo),
        "options": dict(environment.options),
        "prepared": read_prepared(environment.repo),
        "command": environment.template.get("command"),
        "files": _own_files(adapter, environment),
        "env": dict(environment.env),
        "seed": seed,
        "reference": reference,
        "inputs": [
            sha256(p) if p.is_file() else str(p)
            for p in (entry.video, entry.audio, *([entry.reference] if entry.reference else []))
        ],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _own_files(adapter: Adapter, environment: Environment) -> list[tuple[str, int, int]]:
    """(name, bytes, ns of last change) of files that options and weights name, and a template's command inside its repository; of a
    folder, of the files in it."""
    script = (c for c in environment.template.get("command", ()) if not Path(c).is_absolute())
    named = {
        *environment.options.values(),
        *(w.file for w in adapter.record.weights if not w.option or w.option not in environment.options),
        *script,
    } - {"", "."}
    found: set[Path] = set()
    for name in named:
        path = environment.repo / name
        try:
            found |= (
                {p for p in path.iterdir() if p.is_file()} if path.is_dir() else {path} if path.is_file() else set()
            )
        except OSError:
            continue
    return sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in found)
