"""The files of a run: results.json, clips.csv, frames.npz, and the journal that lets a killed run go on.

Every file is written whole or not at all. The journal holds one JSON and one npz per finished clip; it is removed when
results.json stands.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import OutputError
from lipsync_eval.files import atomic, write_text
from lipsync_eval.results.frames import FRAMES, Arrays, load_frames, write_frames
from lipsync_eval.results.schema import CLIPS, RESULTS, Result

__all__ = [
    "CLIPS",
    "FRAMES",
    "JOURNAL",
    "PLAN",
    "Arrays",
    "Journal",
    "Outcome",
    "load_frames",
    "prepare_folder",
    "write_run",
]

JOURNAL = "journal"
PLAN = "plan.json"


@dataclass(slots=True)
class Outcome:
    """All that one clip gave. Plain data: it travels between processes and through the journal."""

    id: str
    gen: str | None
    gt: str | None
    digests: tuple[str, str] = ("", "")
    """Content digests of the generated and the real video; empty where they were not read."""
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


class Journal:
    """Finished clips of a run, by their place in the plan."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / JOURNAL

    def start(self, fingerprint: Mapping[str, Any]) -> None:
        """Open a journal for a new plan."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / PLAN, json.dumps(fingerprint, indent=1, sort_keys=True) + "\n")

    def fingerprint(self) -> dict[str, Any] | None:
        """What the journal's plan was, or None when there is no journal."""
        try:
            data = json.loads((self.folder / PLAN).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OutputError(
                f"{self.folder}: the journal's {PLAN} cannot be read ({error}); start afresh with --overwrite"
            ) from error
        return data if isinstance(data, dict) else None

    def done(self) -> set[int]:
        """Places of the clips that are finished."""
        return {int(p.stem) for p in self.folder.glob("[0-9]*.json")}

    def write(self, place: int, outcome: Outcome) -> None:
        """Keep one finished clip; the JSON comes last and says that the clip is whole."""
        arrays = {f"frames/{name}": a for name, a in outcome.frames.items()}
        for metric, state in outcome.states.items():
            arrays |= {f"states/{metric}/{name}": a for name, a in state.items()}
        with atomic(self.folder / f"{place:06d}.npz") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        data = asdict(outcome) | {"frames": None, "states": None}
        write_text(self.folder / f"{place:06d}.json", json.dumps(data, allow_nan=False) + "\n")

    def read(self, place: int, arrays: bool = True) -> Outcome:
        """One finished clip; `arrays=False` leaves frames and states empty."""
        try:
            data = json.loads((self.folder / f"{place:06d}.json").read_text("utf-8"))
            outcome = Outcome(**{**data, "digests": tuple(data["digests"]), "frames": {}, "states": {}})
            if arrays:
                outcome.frames = {k.split("/", 1)[1]: v for k, v in self._arrays(place, "frames/")}
                for key, value in self._arrays(place, "states/"):
                    _, metric, name = key.split("/", 2)
                    outcome.states.setdefault(metric, {})[name] = value
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

    def remove(self) -> None:
        """Forget the journal."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _arrays(self, place: int, prefix: str) -> Iterator[tuple[str, NDArray[np.generic]]]:
        path = self.folder / f"{place:06d}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                for key in file.files:
                    if key.startswith(prefix):
                        yield key, file[key]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise OutputError(f"{path}: cannot be read ({error}); start afresh with --overwrite") from error


def prepare_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Make sure that the run may write into `folder`.

    Raises:
        OutputError: not a folder, not writable, or it holds another run and neither --resume nor --overwrite was given.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--out {folder}: that is a file; name a folder")
    ours = [folder / name for name in (RESULTS, CLIPS, FRAMES, JOURNAL)]
    used = [p.name for p in ours if p.exists()]
    foreign = sorted(p.name for p in folder.iterdir()) if folder.is_dir() and not used else []
    if used and not (resume or overwrite):
        raise OutputError(
            f"--out {folder}: holds a run already ({', '.join(used)}); continue it with --resume, replace it with --overwrite, or name another folder"
        )
    if foreign and not resume:
        raise OutputError(
            f"--out {folder}: is not empty and holds no run ({', '.join(foreign[:5])}); name an empty or a new folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if overwrite and not resume:
            for path in ours:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        with atomic(folder / "writable"):
            pass
        (folder / "writable").unlink()
    except OSError as error:
        raise OutputError(
            f"--out {folder}: cannot be written ({error.strerror or error}); name another folder or free space"
        ) from error


def write_run(folder: Path, result: Result, journal: Journal) -> None:
    """Write frames.npz, clips.csv and, last, results.json; then drop the journal."""
    ids = [clip.id for clip in result.clips]
    write_frames(folder / FRAMES, ids, (journal.frames(place) for place in range(len(ids))))
    write_text(folder / CLIPS, result.to_csv(folder))
    write_text(folder / RESULTS, result.to_json(folder))
    journal.remove()
