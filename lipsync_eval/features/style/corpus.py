"""Expression sequences of many speakers from a folder of videos: what constants, style maps and training are made of."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.errors import ClipError, MetricError, UsageError
from lipsync_eval.features.blendshapes import ROW, Blendshapes, feature_name, score_key
from lipsync_eval.features.speaker import track_one
from lipsync_eval.features.style.files import VERTICES, beside, read_vertices
from lipsync_eval.media import open_clip
from lipsync_eval.media.tree import find_clips
from lipsync_eval.types import Clip, Float, Settings, Track
from lipsync_eval.weights import locate


@dataclass(frozen=True, slots=True)
class Recording:
    """One video of one speaker."""

    name: str
    """Path below the folder, without suffix."""
    speaker: str
    path: Path


@dataclass(frozen=True, slots=True)
class Sequence52or68:
    """What was read from one recording."""

    recording: Recording
    raw: Float
    """(T, 68, 2) points in px, (T, 52) blendshape scores or (T, 3 L) vertices, of the frames that have them."""
    index: NDArray[np.intp]
    """(T,) their numbers at 25 fps."""

    def part(self, start: int, stop: int) -> tuple[Float, NDArray[np.intp]]:
        """(raw, index) of the start-th to the stop-th of those frames."""
        return self.raw[start:stop], self.index[start:stop]


def find_recordings(root: Path, table: Path | None = None) -> list[Recording]:
    """The videos of a folder and who speaks in them.

    Without a table: the first folder below the root names the speaker; a video that lies in the root itself is a speaker of
    its own. With a table (CSV, columns clip,speaker; clip is the path below the root without suffix): only its clips.

    Raises:
        UsageError: no videos, doubled names, or a table that names what is not there.
    """
    tree = find_clips(root)
    if tree.doubled:
        raise UsageError(f"{root} holds several videos of one name: {', '.join(sorted(tree.doubled))}; rename them")
    if not tree.clips:
        raise UsageError(f"{root} holds no video; give a folder with one folder a speaker")
    if table is None:
        return [Recording(name, name.split("/")[0], paths[0]) for name, paths in sorted(tree.clips.items())]
    speakers = _read_table(table)
    if not speakers:
        raise UsageError(f"{table} names no clip; give a CSV file with the columns clip,speaker and a row a clip")
    lost = sorted(set(speakers) - set(tree.clips))
    if lost:
        raise UsageError(f"{table} names clips that {root} does not hold: {', '.join(lost)}")
    return [Recording(name, speaker, tree.clips[name][0]) for name, speaker in sorted(speakers.items())]


def _read_table(table: Path) -> dict[str, str]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["clip"]: row["speaker"] for row in rows}
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise UsageError(
            f"{table} is no table of speakers ({error!r}); give a CSV file with the columns clip,speaker"
        ) from error


def read_all(
    recordings: Sequence[Recording],
    features: str,
    settings: Settings,
    event: Callable[[Recording, str], None] = lambda recording, problem: None,
) -> list[Sequence52or68]:
    """Read every recording; one without a usable face is left out and told to `event` with the reason ('' when read).

    Raises:
        UsageError: no recording could be read.
        MissingWeights: blendshapes without mediapipe or its model.
    """
    if features == "vertices":
        return _read_vertices(recordings, event)
    file = locate(settings, ROW) if features == "blendshapes" else None
    landmarker = Blendshapes(file.path) if file is not None else None
    found: list[Sequence52or68] = []
    cache = Cache(settings.cache_dir)
    for recording in recordings:
        try:
            clip = open_clip(recording.path)
            track = track_one(settings, clip, cache)
            index = np.flatnonzero(track.valid)
            raw = track.points[index]
            if landmarker is not None and file is not None:
                index, raw = _scores(clip, track, landmarker, cache, feature_name(file.signature))
            found.append(Sequence52or68(recording, raw, index))
            event(recording, "")
        except ClipError as error:
            event(recording, str(error))
    if landmarker is not None:
        landmarker.close()
    if not found:
        raise UsageError("no recording could be read; the reasons are above")
    return found


def _read_vertices(recordings: Sequence[Recording], event: Callable[[Recording, str], None]) -> list[Sequence52or68]:
    """Expression-only vertices in the files beside the recordings; no video is opened."""
    found: list[Sequence52or68] = []
    for recording in recordings:
        try:
            held = read_vertices(beside(recording.path, VERTICES), None)
            if found and found[0].raw.shape[1] != held.flat.shape[1]:
                raise MetricError(
                    f"{held.flat.shape[1]} numbers a frame, {found[0].recording.name} has {found[0].raw.shape[1]}; fit all with one provider"
                )
            found.append(Sequence52or68(recording, held.flat[held.index], held.index))
            event(recording, "")
        except ClipError as error:
            event(recording, str(error))
    if not found:
        raise UsageError(
            "no recording has usable vertices; make them with `lipsync-eval personatalk fit CLIPS`; the reasons are above"
        )
    return found


def _scores(
    clip: Clip, track: Track, landmarker: Blendshapes, cache: Cache, feature: str
) -> tuple[NDArray[np.intp], Float]:
    """Frame numbers and (N, 52) blendshape scores of a clip."""
    key = score_key(clip, track, feature)
    stored = cache.get(key)
    if stored is None:
        read = [(i, landmarker(frame, track.points[i])) for i, frame in enumerate(clip.frames()) if track.valid[i]]
        rows = [(i, scores) for i, scores in read if scores is not None]
        if not rows:
            raise ClipError(f"{clip.path.name}: MediaPipe found no face in any frame")
        stored = {"index": np.array([i for i, _ in rows]), "scores": np.stack([scores for _, scores in rows])}
        cache.put(key, stored)
    return stored["index"].astype(np.intp), stored["scores"].astype(np.float64)
