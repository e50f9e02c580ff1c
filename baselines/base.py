"""What an adapter is: a record of facts about somebody else's generator, and the command line that runs it.

An adapter is one file with an `ADAPTER`. It never imports the generator: that runs in an environment and a process of its
own (see runner.py). A private model needs no code at all: see template.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lipsync_eval.errors import LipsyncError

Reference = Literal["given", "own-frame", "drawn", "none", ""]
REFERENCES: Final[Mapping[Reference, str]] = {
    "given": "the run's reference picture",
    "own-frame": "the frame itself that is to be made, with its true mouth",
    "drawn": "frames that its code draws from the video itself",
    "none": "no reference frame",
    "": "not stated",
}
"""Where a generator's reference frame comes from -> in words."""


class BaselineError(LipsyncError):
    """One clip could not be generated; the message says why. The others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A file that the generator's code reads."""

    file: str
    """Path inside the repository; with `option`, its default ('' where it has none)."""
    where: str
    """Where its authors offer it, in words or as an address."""
    sha256: str = ""
    """Empty: not known, shown as unverified."""
    option: str = ""
    """The adapter's option that names another place for it."""
    unless: str = ""
    """An option that makes the file unneeded."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One change that a repository's code needs to run with current versions of its dependencies."""

    file: str
    """Path inside the repository."""
    old: str
    """Text that must be there exactly once."""
    new: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Facts about a generator, read from its repository at `commit`. `show NAME` prints them all."""

    name: str
    title: str
    repository: str
    """owner/name, or '' where no code is public."""
    commit: str
    licence: str
    paper: str
    python: str
    torch: str
    weights: tuple[Weights, ...]
    imports: tuple[str, ...]
    """Modules that `check` imports in its environment."""
    entry: str
    """The file whose argument parser the command is made for; '' where there is none."""
    gpu: bool
    """Whether its code at the commit cannot run without CUDA."""
    fps: str
    """Frame rate in and out, as its code has it."""
    resolution: str
    audio: str
    reference: Reference = ""
    """What its network sees of the person beside the hidden mouth: one of REFERENCES. Read off the code at `commit`. Empty only
    where there is no code to read, or a private template does not say."""
    needs: tuple[str, ...]
    """Of: video, image, audio, references, per-person training, landmarks."""
    options: Mapping[str, str]
    """Options of this adapter that baselines.toml may set -> what they are."""
    checked: str
    """What was checked of this adapter, and how."""
    notes: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()
    """Applied to a copy of the repository by `lipsync-eval baselines prepare`."""
    cpu_when_prepared: bool = False
    """Whether its code needs CUDA (`gpu`) but the copy that `prepare` makes does not: then that copy alone may run on a CPU."""
    revision: int = 1
    """Raised when this adapter makes another result of the same inputs: then clips are run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One clip for one generator. Paths are absolute and made of letters, digits, '-', '_' and one '.': safe in any shell that the
    generator's own code may use."""

    id: str
    video: Path
    """25 fps, lossless (FFV1 in .mkv), no audio."""
    video_mp4: Path
    """The same as H.264 (crf 4) in .mp4, for code that insists on that suffix."""
    audio: Path
    """16 kHz mono 16-bit .wav."""
    reference: Path
    """One picture of the person, .png: the video's first unless the manifest or --reference says otherwise."""
    output: Path
    """Where the result should be written (.mp4)."""
    work: Path
    """A folder of this job's own; removed when it succeeded."""
    repo: Path
    """The user's checkout. The command runs in a view of it (views.py): files that its code writes beside itself do not last."""
    python: tuple[str, ...]
    """The interpreter, as the start of a command line."""
    device: str
    """'cpu', 'cuda' or 'cuda:N'."""
    n_frames: int
    seed: int
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def view(self) -> Path:
        """Where the command of a generator with a repository runs: the repository as this job sees it (views.py)."""
        return self.work / "repo"

    def option(self, name: str) -> str:
        """An option that must be set in baselines.toml.

        Raises:
            BaselineError: it is not.
        """
        if name not in self.options:
            raise BaselineError(f"needs the option {name!r}: set it under [<name>.options] in baselines.toml")
        return self.options[name]

    def file(self, name: str, default: str) -> str:
        """A path option, taken from the repository unless it is absolute."""
        return str(self.repo / self.options.get(name, default))

    def as_json(self) -> str:
        """What a generator's script may read: all fields, paths as text."""
        data: dict[str, Any] = {k: getattr(self, k) for k in self.__dataclass_fields__}
        return json.dumps(
            {
                k: str(v)
                if isinstance(v, Path)
                else list(v)
                if isinstance(v, tuple)
                else dict(v)
                if isinstance(v, Mapping)
                else v
                for k, v in data.items()
            },
            indent=1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A generator that can be run."""

    record: Record
    command: Callable[[Job], Sequence[str]] | None
    """The command line, a list, run in the repository; None where no code is public."""
    prepare: Callable[[Job], Sequence[str]] | None = None
    """Make further inputs in job.work; returns notes on what was made."""
    collect: Callable[[Job], Path] | None = None
    """Where the result really lies, when the code does not write to job.output."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables to add."""
    writes: tuple[str, ...] = ()
    """Folders inside the repository that its code writes into: empty and this job's own in the view."""


def visible_gpu(job: Job) -> str:
    """What CUDA_VISIBLE_DEVICES should be, for code that sets it itself: the GPU's number ('0' for 'cuda'), or '' for the CPU."""
    return "" if job.device == "cpu" else job.device.partition(":")[2] or "0"


def newest(folder: Path, pattern: str, job: Job) -> Path:
    """The newest file that matches and is not older than the job: what an earlier run left is never taken for a result.

    Raises:
        BaselineError: there is none.
    """
    began = (job.work / "job.json").stat().st_mtime_ns
    found = [(p.stat().st_mtime_ns, p) for p in folder.glob(pattern) if p.stat().st_mtime_ns >= began]
    if not found:
        raise BaselineError(f"ended well but wrote no {pattern} into {folder.name}")
    return max(found)[1]
