"""The leakage experiment: every generator dubs with silence and with another clip's speech, and the dubs are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lipsync_eval.baselines.base import Adapter
from lipsync_eval.baselines.comparison import Measure, MethodJob, measured
from lipsync_eval.baselines.environments import Environment
from lipsync_eval.baselines.generation import find_result, generate
from lipsync_eval.baselines.inputs import open_audio, wav_bytes
from lipsync_eval.baselines.manifest import ManifestEntry
from lipsync_eval.baselines.runner import GeneratorOutcome
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.errors import ClipError, MissingWeights, UsageError
from lipsync_eval.files import write_text
from lipsync_eval.media import open_clip
from lipsync_eval.metrics.leakage import IDS, lip_leak, lsd
from lipsync_eval.progress import Progress
from lipsync_eval.results.aggregate import bootstrap, clip_mean
from lipsync_eval.results.csv_text import csv_text
from lipsync_eval.results.rows import ClipRow, DataInfo, FailureRow, RunInfo, Score
from lipsync_eval.results.schema import Result
from lipsync_eval.results.signature import format_signature
from lipsync_eval.types import Settings
from lipsync_eval.version import __version__

CASES = {
    "silence": ("lip_leak", "lse_c_s", "lse_d_s"),
    "matched": ("lsd",),
    "mismatched": ("lsd",),
}
"""What a generator is run with -> the metrics that look at it."""
_LSE = ("lse_c", "lse_d")


@dataclass(frozen=True, slots=True)
class Leakage:
    """What became of the experiment."""

    results: tuple[Result, ...]
    """One a generator, of the leakage metrics alone."""
    outcomes: tuple[GeneratorOutcome, ...]
    notes: tuple[str, ...]


def wanted_metrics(text: str) -> tuple[str, ...]:
    """The metrics of a --metrics value: all four where it names none.

    Raises:
        UsageError: another metric.
    """
    names = [m.strip() for m in text.split(",") if m.strip()]
    if names == ["core"]:
        return IDS
    if unknown := [m for m in names if m not in IDS]:
        raise UsageError(f"--experiment leakage measures {', '.join(IDS)}; {', '.join(unknown)} is none of them")
    return tuple(m for m in IDS if m in names)


def run_leakage(
    generators: Sequence[tuple[Adapter, Environment]],
    entries: Sequence[ManifestEntry],
    out: Path,
    measure: Measure,
    *,
    settings: Settings,
    metrics: Sequence[str],
    skip_missing: bool,
    command: Sequence[str],
    how: Mapping[str, Any],
    progress: Progress,
) -> Leakage:
    """Dub, score and put together.

    Dubs with the manifest's speech lie in OUT/gen, where a plain `compare` looks for them too; all else in OUT/leakage.

    Args:
        generators: with their environments.
        entries: clips of the manifest.
        out: folder, made if absent.
        measure: scores lse_c and lse_d of one method and case.
        settings: of the faces, and for SyncNet's weights.
        metrics: of IDS.
        skip_missing: measure the rest where weights are missing.
        command: to record.
        how: enhance, reference, seed, again_failed, crew, as in generation.generate.
        progress: told what is done.

    Raises:
        UsageError: nothing was run: weights are missing, too few speeches...
    """
    if settings.audio != "gen":
        raise UsageError(
            f"--audio {settings.audio}: the experiment chooses what every dub is scored against; leave it out"
        )
    metrics, notes = _possible(metrics, settings, skip_missing)
    cases = [case for case, ids in CASES.items() if set(ids) & set(metrics)]
    if "lsd" in metrics and len({e.audio.resolve() for e in entries}) < 2:
        raise UsageError(
            "lsd needs clips with at least two different speeches; add clips, or leave it out: --metrics ..."
        )
    folder = out / "leakage"
    spoken = {e.id: _speech(e) for e in entries}
    outcomes: list[GeneratorOutcome] = []
    names: list[str] = []
    made: dict[str, Path] = {}
    for case in cases:
        dubbed = _entries(case, entries, spoken, folder)
        made[case] = out / "gen" if case == "matched" else folder / "gen" / case
        names, found = generate(generators, dubbed, made[case], progress=progress, **how)
        outcomes += [replace(o, generator=f"{o.generator} ({case})") for o in found]
    sync, results = needs_sync(metrics), []
    tools = open_tools(settings, [*(m for m in metrics if m == "lip_leak"), *(_LSE if sync else ())])
    for name in names:
        there = [c for c in cases if any(find_result(made[c] / name, e.id) for e in entries)] if sync else []
        runs = {c: _scored(name, c, entries, made[c], spoken, folder, measure) for c in there}
        results.append(_Method(name, entries, made, runs, metrics, tools, spoken).result(command))
    return Leakage(tuple(results), tuple(outcomes), tuple(notes))


def needs_sync(metrics: Sequence[str]) -> bool:
    """Whether any of these metrics needs SyncNet."""
    return any(m != "lip_leak" for m in metrics)


def _possible(metrics: Sequence[str], settings: Settings, skip_missing: bool) -> tuple[tuple[str, ...], list[str]]:
    """The metrics that can be measured, and a note on those that cannot."""
    missing = open_tools(settings, _LSE).check_weights() if needs_sync(metrics) else {}
    if not missing:
        return tuple(metrics), []
    left = tuple(m for m in metrics if m == "lip_leak")
    gone = ", ".join(m for m in metrics if m not in left)
    why = next(iter(missing.values()))
    if not skip_missing or not left:
        raise MissingWeights(f"{gone}: {why}\nOr measure what needs none: --metrics lip_leak, or --skip-missing.")
    return left, [f"left out for lack of weights: {gone}"]


def _speech(entry: ManifestEntry) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        found = open_audio(entry.audio)
    except ClipError as error:
        raise UsageError(f"clip {entry.id!r}: {entry.audio}: {error}") from error
    if found is None or not len(found):
        raise UsageError(f"clip {entry.id!r}: {entry.audio} holds no sound to dub with")
    return found


def _entries(
    case: str,
    entries: Sequence[ManifestEntry],
    spoken: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]],
    folder: Path,
) -> list[ManifestEntry]:
    """The manifest of one case."""
    if case == "matched":
        return list(entries)
    if case == "mismatched":
        return [replace(e, audio=_other(e, entries).audio) for e in entries]
    silent = []
    for e in entries:
        path = folder / "audio" / f"{e.id}.silence.wav"
        _write(path, np.zeros(len(spoken[e.id]), np.float32))
        silent.append(replace(e, audio=path))
    return silent


def _other(entry: ManifestEntry, entries: Sequence[ManifestEntry]) -> ManifestEntry:
    """The next clip of the manifest (after the last comes the first) whose speech is another file."""
    place = next(i for i, e in enumerate(entries) if e.id == entry.id)
    turned = [*entries[place + 1 :], *entries[:place]]
    return next(e for e in turned if e.audio.resolve() != entry.audio.resolve())


def _write(path: Path, samples: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = wav_bytes(samples)
    if not path.exists() or path.read_bytes() != wanted:  # the time of an equal file says that runs can go on
        path.write_bytes(wanted)


def _scored(
    name: str, case: str, entries: Sequence[ManifestEntry], made: Path,
    spoken: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]], folder: Path, measure: Measure,
) -> Result:  # fmt: skip
    """LSE-C and LSE-D of one method and case, against the manifest's speech, or the other speech it was made with."""
    rows: list[list[object]] = [["id", "gen", "gt", "audio"]]
    for e in entries:
        whose = _other(e, entries) if case == "mismatched" else e
        audio = folder / "audio" / f"{whose.id}.speech.wav"
        _write(audio, spoken[whose.id])
        video = find_result(made / name, e.id) or made / name / f"{e.id}.mp4"
        rows.append([e.id, str(video.resolve()), str(e.real.resolve()), str(audio.resolve())])
    job = MethodJob(name, made / name, folder / "runs" / f"{name}.{case}.csv", folder / "runs" / f"{name}.{case}")
    job.run.parent.mkdir(parents=True, exist_ok=True)
    write_text(job.pairs, csv_text(rows))
    job.generated.mkdir(parents=True, exist_ok=True)
    return measured(job, measure)


class _Method:
    """One generator's clips, put together."""

    def __init__(
        self, name: str, entries: Sequence[ManifestEntry], made: Mapping[str, Path], runs: Mapping[str, Result],
        metrics: Sequence[str], tools: MeasuringTools, spoken: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]],
    ) -> None:  # fmt: skip
        self.name, self.entries, self.made, self.runs = name, entries, made, runs
        self.metrics, self.tools = metrics, tools
        self.failures: list[FailureRow] = []
        self.rows = {case: {c.id: c for c in run.clips} for case, run in runs.items()}

    def result(self, command: Sequence[str]) -> Result:
        """The generator's Result."""
        clips = [self._clip(e) for e in self.entries]
        scores = [self._score(m, clips) for m in self.metrics]
        data = next(iter(self.runs.values())).data if self.runs else None
        return Result(
            run=RunInfo(name=self.name, command=list(command), version=__version__, commit=None, dirty=None,
                        seed=self.tools.settings.seed, started="", seconds=0.0),
            data=DataInfo(n_pairs=len(clips), digest=data.digest if data else "", gt_digest=data.gt_digest if data else "",
                          gen=str(next(iter(self.made.values())) / self.name), gt=data.gt if data else ""),
            environment={}, scores=scores, clips=clips, failures=self.failures,
        )  # fmt: skip

    def _clip(self, entry: ManifestEntry) -> ClipRow:
        values: dict[str, float | None] = {}
        real: dict[str, float | None] = {}
        details: dict[str, Any] = {}
        n_frames = None
        video = find_result(self.made["silence"] / self.name, entry.id) if "silence" in self.made else None
        for metric in self.metrics:
            try:
                if metric == "lip_leak":
                    values[metric], n_frames = self._lip_leak(video)
                    real[metric], _ = self._lip_leak(entry.real)
                elif metric == "lsd":
                    values[metric] = self._lsd(entry.id)
                else:
                    row = self._lse("silence", entry.id, metric[:5])
                    values[metric], own = row.values[metric[:5]], row.gt_values.get(metric[:5])
                    real |= {} if own is None else {metric: own}
            except ClipError as error:
                values[metric] = None
                self.failures.append(
                    FailureRow(
                        id=entry.id, stage="metric", metric=metric, error=type(error).__name__, message=str(error)
                    )
                )
        for rows in self.rows.values():
            details |= {"gt": rows[entry.id].details["gt"]} if "gt" in rows[entry.id].details else {}
        return ClipRow(
            id=entry.id, gen=None if video is None else str(video.resolve()), gt=str(entry.real.resolve()),
            n_frames=n_frames, values=values, gt_values=real, notes=[], details=details,
        )  # fmt: skip

    def _lip_leak(self, video: Path | None) -> tuple[float, int]:
        if video is None:
            raise ClipError("the generator made no video with silence")
        clip = open_clip(video)
        value = lip_leak(self.tools.track(clip).points)
        if not np.isfinite(value):
            raise ClipError(f"{video.name} shows no face")
        return value, clip.n_frames

    def _lse(self, case: str, clip: str, metric: str) -> ClipRow:
        if case not in self.rows:
            raise ClipError(f"{case}: the generator made no video at all")
        row = self.rows[case][clip]
        if row.values.get(metric) is None:
            why = [f.message for f in self.runs[case].failures if f.id == clip and f.metric in (None, metric)]
            raise ClipError(f"{case}: {why[0] if why else 'no value came out'}")
        return row

    def _lsd(self, clip: str) -> float:
        numbers = [float(self._lse(c, clip, m).values[m] or 0.0) for c in ("matched", "mismatched") for m in _LSE]
        return lsd(*numbers)

    def _score(self, metric: str, clips: Sequence[ClipRow]) -> Score:
        good = [v for c in clips if (v := c.values.get(metric)) is not None]
        real = [v for c in clips if (v := c.gt_values.get(metric)) is not None]
        if metric == "lip_leak":
            parts = self.tools.signature_parts("lip_leak")
        else:
            parts = self.tools.signature_parts("lse_d" if metric == "lsd" else metric[:5])
            parts["metric"] = f"{metric}.1+{parts['metric']}"
        parts |= {"experiment": "leakage", "n": f"{len(good)}of{len(clips)}"}
        return Score(
            metric=metric, value=clip_mean(good), gt_value=clip_mean(real), ci=bootstrap(good, self.tools.settings.seed),
            n_scored=len(good), n_asked=len(clips), signature=format_signature(parts),
        )  # type: ignore[call-arg]  # fmt: skip
