"""The journal that lets a killed run go on: one JSON and one npz for each finished clip, written whole or not at all."""

from __future__ import annotations

import json
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lipsync_eval.errors import OtherRun, OutputError
from lipsync_eval.files import atomic, create, parse_json, write_text
from lipsync_eval.results.rows import FailureRow, Number

JOURNAL = "journal"
PLAN = "plan.json"
Arrays = dict[str, NDArray[np.generic]]


@dataclass(slots=True)
class Outcome:
    """All that one clip gave. Plain data: it travels between processes and through the journal."""

    id: str
    gen: str | None
    gt: str | None
    digests: tuple[str, str] = ("", "")
    """Content digests of the generated and the real video; empty where they were not read, or there is none."""
    n_frames: int | None = None
    values: dict[str, float | None] = field(default_factory=dict)
    gt_values: dict[str, float | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    """FailureRow fields."""
    frames: Arrays = field(default_factory=dict, repr=False)
    """metric or array name -> per-frame values."""
    states: dict[str, Arrays] = field(default_factory=dict, repr=False)
    """pooled metric -> its state of this clip."""


class _Entry(BaseModel):
    """What a file of the journal holds of one clip: shards travel between machines, so it is checked."""

    model_config = ConfigDict(strict=True, extra="allow")

    id: str
    gen: str | None
    gt: str | None
    digests: list[str] = Field(min_length=2, max_length=2)
    n_frames: int | None
    values: dict[str, Number | None]
    gt_values: dict[str, Number | None]
    notes: list[str]
    details: dict[str, Any]
    failures: list[FailureRow]


class Journal:
    """Finished clips of a run, by their place in the plan.

    `plan.json` is the truth about a folder: it says which run is under way there (a run id and the plan's fingerprint). An
    entry carries the run id and the clip's name, and one of another run or clip counts for nothing: two jobs can never
    mix. Replacing `plan.json` is the one step that makes a folder another run's (`begin`), removing it the one step that
    makes it a finished one (`remove`); a kill before, between or after leaves a folder that --resume finishes.

    Several jobs of one plan may share a journal: `begin` joins the run that is there when the fingerprints agree, and the
    places of two shards do not meet. Each job holds a lock of its own (see `lipsync_eval.locks`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / JOURNAL
        self.run = ""
        """Id of the run that this journal belongs to."""

    def begin(self, fingerprint: Mapping[str, Any], *, afresh: bool = False) -> None:
        """Open the journal of a plan, or join the one that is there.

        Args:
            fingerprint: what must agree for a run to be continued.
            afresh: begin a new run, whatever is there.

        Raises:
            OutputError: the journal there is of another plan, or cannot be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        there = None if afresh else self._plan()
        if there is None:
            self.run = secrets.token_hex(8)
            text = json.dumps({"run": self.run, "plan": fingerprint}, indent=1, sort_keys=True) + "\n"
            if afresh:
                write_text(self.folder / PLAN, text)  # from here on, what else is there counts for nothing
                for path in self.folder.iterdir():
                    if path.name != PLAN:
                        path.unlink(missing_ok=True)
            elif not create(self.folder / PLAN, text.encode("utf-8", "backslashreplace")):
                self.begin(fingerprint)  # another shard was first: join it
            return
        run, plan = there
        if plan != fingerprint:
            keys = ", ".join(k for k in fingerprint if plan.get(k) != fingerprint[k])
            raise OtherRun(
                f"{self.folder.parent}: the unfinished run there was started otherwise (differs in: {keys}); repeat its command, or start afresh with --overwrite"
            )
        self.run = run

    def under_way(self) -> str:
        """Id of the run that is under way here (it may be finished and not yet cleared away); '' when there is none."""
        there = self._plan()
        return there[0] if there is not None else ""

    def fingerprint(self) -> dict[str, Any]:
        """Of the run that is under way here; empty when there is none."""
        there = self._plan()
        return there[1] if there is not None else {}

    def done(self, names: Sequence[str]) -> set[int]:
        """Places of the clips that are finished; `names` are the plan's clips in order."""
        found = set()
        for path in self.folder.glob("[0-9]*.json"):
            place = int(path.stem) if path.stem.isdecimal() else len(names)
            if place < len(names) and self._entry(place, names[place]) is not None:
                found.add(place)
        return found

    def mark(self, place: int) -> None:
        """Say that a clip is under way in this very process, so that a death of the process can be told from it."""
        (self.folder / f"{place:06d}.begun").write_text(self.run, "ascii")

    def unmark(self, place: int) -> None:
        """The clip did not end the process."""
        (self.folder / f"{place:06d}.begun").unlink(missing_ok=True)

    def suspects(self) -> set[int]:
        """Places of clips that were under way in a process that ended without a word."""
        found = set()
        for path in self.folder.glob("[0-9]*.begun"):
            if path.stem.isdecimal() and path.read_text("utf-8", "replace") == self.run:
                found.add(int(path.stem))
        return found

    def write(self, place: int, outcome: Outcome) -> None:
        """Keep one finished clip; the JSON comes last and says that the clip is whole.

        Raises:
            OSError: the disk is full.
            ValueError, TypeError: the outcome holds something that JSON cannot, or that is of a wrong kind (nothing is kept).
        """
        data = asdict(outcome) | {"frames": None, "states": None, "run": self.run}
        text = json.dumps(data, allow_nan=False) + "\n"
        _Entry.model_validate(parse_json(text))
        arrays = {f"frames/{name}": a for name, a in outcome.frames.items()}
        for metric, state in outcome.states.items():
            arrays |= {f"states/{metric}/{name}": a for name, a in state.items()}
        if odd := [name for name, array in arrays.items() if np.asanyarray(array).dtype.hasobject]:
            raise TypeError(f"{odd[0]} is an array of Python objects, which is never written")
        with atomic(self.folder / f"{place:06d}.npz") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        write_text(self.folder / f"{place:06d}.json", text)

    def read(self, place: int, name: str, arrays: bool = True) -> Outcome:
        """One finished clip; `arrays=False` leaves frames and states empty.

        Raises:
            OutputError: there is no entry of this run and this clip, or it cannot be read.
        """
        data = self._entry(place, name)
        try:
            if data is None:
                raise ValueError("it is not of this run")
            outcome = Outcome(**{**data, "digests": tuple(data["digests"]), "frames": {}, "states": {}})
            if arrays:
                outcome.frames = {k.split("/", 1)[1]: v for k, v in self._arrays(place, "frames/")}
                for key, value in self._arrays(place, "states/"):
                    _, metric, part = key.split("/", 2)
                    outcome.states.setdefault(metric, {})[part] = value
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise OutputError(
                f"{self.folder}: entry {place:06d} cannot be read ({error}); start afresh with --overwrite"
            ) from error
        return outcome

    def states(self, place: int, metric: str) -> Arrays:
        """The pooled state of one clip for one metric; empty where it has none."""
        prefix = f"states/{metric}/"
        return {key.removeprefix(prefix): value for key, value in self._arrays(place, prefix)}

    def frames(self, place: int) -> Iterator[tuple[str, NDArray[np.generic]]]:
        """(name, per-frame array) of one clip."""
        for key, value in self._arrays(place, "frames/"):
            yield key.removeprefix("frames/"), value

    def keep_note(self, name: str, data: Mapping[str, Any]) -> None:
        """Keep plain data of this run beside the clips: `name`.json, which must not begin with a digit."""
        write_text(self.folder / f"{name}.json", json.dumps({**data, "run": self.run}) + "\n")

    def note(self, name: str) -> dict[str, Any] | None:
        """What `keep_note` kept for this run; None where there is nothing of this run."""
        try:
            data = parse_json((self.folder / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) and data.pop("run", None) == self.run else None

    def notes(self, prefix: str) -> dict[str, dict[str, Any]]:
        """All notes of this run whose names begin with `prefix`, by name."""
        names = sorted(path.stem for path in self.folder.glob(f"{prefix}*.json"))
        return {name: data for name in names if (data := self.note(name)) is not None}

    def open(self) -> bool:
        """Open the journal that is there, to read it; False where there is none.

        Raises:
            OutputError: its plan cannot be read.
        """
        self.run = self.under_way()
        return bool(self.run)

    def remove(self) -> None:
        """Forget the journal: first its plan, which makes the folder a finished run's, then the rest."""
        (self.folder / PLAN).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _plan(self) -> tuple[str, dict[str, Any]] | None:
        try:
            data = parse_json((self.folder / PLAN).read_text("utf-8"))
            return str(data["run"]), dict(data["plan"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{self.folder}: the journal's {PLAN} cannot be read ({error}); start afresh with --overwrite"
            ) from error

    def _entry(self, place: int, name: str) -> dict[str, Any] | None:
        """What was kept of a clip, if it is of this run and this clip, and whole."""
        try:
            data = parse_json((self.folder / f"{place:06d}.json").read_text("utf-8"), nan=False)
        except (OSError, ValueError):
            return None
        if not isinstance(data, dict) or data.pop("run", None) != self.run or data.get("id") != name:
            return None
        try:
            _Entry.model_validate(data)
        except ValidationError:
            return None
        return data

    def _arrays(self, place: int, prefix: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
        path = self.folder / f"{place:06d}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                for key in file.files:
                    if key.startswith(prefix):
                        yield key, file[key]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise OutputError(f"{path}: cannot be read ({error}); start afresh with --overwrite") from error
