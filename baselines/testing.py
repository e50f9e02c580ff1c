"""For those who write an adapter: one call that a test of theirs can make.

from lipsync_eval.baselines.testing import check_adapter
def test_mine():
    assert check_adapter(ADAPTER, options={"checkpoint": "model.pt"}) == []
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from lipsync_eval.baselines.base import REFERENCES, Adapter, BaselineError, Job

_MAY_BE_EMPTY = {
    "repository",
    "commit",
    "entry",
    "python",
    "torch",
    "audio",
    "notes",
    "patches",
    "weights",
    "imports",
    "options",
    "needs",
    "reference",
}


class _Options(Mapping[str, str]):
    """Options that remember which names were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_, self.asked = dict(values), set[str]()

    def __getitem__(self, key: str) -> str:
        self.asked.add(key)
        return self.values_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return key in self.values_


def sample_job(folder: Path, options: Mapping[str, str], device: str = "cpu") -> Job:
    """A job with the paths of a real one inside `folder`, which must exist; no file is made."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return Job(
        id="clip",
        video=work / "video.mkv",
        video_mp4=work / "video.mp4",
        audio=work / "audio.wav",
        reference=work / "reference.png",
        output=work / "output.mp4",
        work=work,
        repo=folder / "repo",
        python=("python",),
        device=device,
        n_frames=75,
        seed=12345,
        options=options,
    )


def check_adapter(adapter: Adapter, options: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with an adapter; an empty list when nothing is.

    Checked: the record is complete and its name safe; a repository comes with a commit of 40 hex digits; for CPU and GPU the
    command is a list of texts that needs no shell, starts with the job's interpreter, names the job's speech and a place for the
    result in its folder (where it has no `collect`), and depends on nothing but the job; options that it reads are declared.

    Args:
        adapter: to be checked; its `prepare` and `collect` are not called.
        options: values for options that it cannot do without.
    """
    record, wrong = adapter.record, []
    wrong += [
        f"record.{f.name} is empty"
        for f in fields(record)
        if f.name not in _MAY_BE_EMPTY and getattr(record, f.name) == ""
    ]
    if not re.fullmatch(r"[A-Za-z0-9_-]+", record.name):
        wrong.append(f"record.name {record.name!r}: letters, digits, '-' and '_' only: it becomes a folder")
    if record.repository and not (re.fullmatch(r"[0-9a-f]{40}", record.commit) and record.entry):
        wrong.append(
            "record.commit: a repository needs the full commit (40 hex digits) that the adapter was made for, and record.entry"
        )
    if record.cpu_when_prepared and not (record.gpu and record.patches):
        wrong.append("record.cpu_when_prepared: only for code that needs CUDA (record.gpu) and has record.patches")
    wrong += [
        f"writes {w!r}: a folder inside the repository"
        for w in adapter.writes
        if w.startswith("/") or ".." in w.split("/")
    ]
    if adapter.command is None:
        return wrong
    if record.reference not in REFERENCES or not record.reference:
        wrong.append(
            f"record.reference is {record.reference!r}: say where its reference frame comes from, one of {', '.join(filter(None, REFERENCES))}"
        )
    if unknown := set(options or {}) - set(record.options):
        wrong.append(f"options given that record.options does not declare: {', '.join(sorted(unknown))}")
    for device in ("cpu", "cuda", "cuda:1"):
        with tempfile.TemporaryDirectory(prefix="lipsync_") as folder:
            wrong += [
                f"device {device}: {w}"
                for w in _command(adapter, sample_job(Path(folder), _Options(options or {}), device))
            ]
    return wrong


def _command(adapter: Adapter, job: Job) -> list[str]:
    if adapter.command is None or not isinstance(job.options, _Options):
        return []
    try:
        line, again = list(adapter.command(job)), list(adapter.command(job))
    except BaselineError as error:
        return [f"the command cannot be made: {error}"]
    if not all(isinstance(part, str) for part in line):
        return [f"every part of the command must be a text: {line}"]
    wrong = []
    if line != again:
        wrong.append("the command differs from call to call")
    if tuple(line[: len(job.python)]) != job.python:
        wrong.append(f"the command must start with job.python, not {line[:1]}")
    if any(part in {"|", ";", "&&", ">", "<", "&"} for part in line):
        wrong.append("the command is no shell line: | ; && > < & have no meaning")
    text = "\n".join(line)
    if adapter.prepare is None and adapter.collect is None and str(job.work) not in text:
        wrong.append("nothing in the command lies in job.work")
    if (
        adapter.collect is None
        and str(job.output.with_suffix("")) not in text
        and not {str(job.output.parent), job.output.name} <= set(line)
    ):
        wrong.append("job.output is not in the command and there is no `collect` to find the result")
    if str(job.reference) in text and adapter.record.reference != "given":
        wrong.append(
            f"job.reference is in the command, but record.reference is {adapter.record.reference!r}, not 'given'"
        )
    if undeclared := job.options.asked - set(adapter.record.options):
        wrong.append(f"reads options that record.options does not declare: {', '.join(sorted(undeclared))}")
    return wrong
