"""From the distances of a video's tracks to its score, and what is to be said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lipsync_eval.features.syncnet.side_scorer import QUIET, SPEECH_LEAST, TrackDistances
from lipsync_eval.features.syncnet.track_scorer import Reading, read
from lipsync_eval.types import Json

SHORT: Final = 100
"""Rows below which the zero padding of the far shifts weighs more than 15 %."""


@dataclass(frozen=True, slots=True)
class SyncScore:
    """A clip's score out of its tracks."""

    values: dict[str, float]
    """lse_c, lse_d, av_offset."""
    used: tuple[TrackDistances, ...]
    reading: Reading
    """Of the used track; of all rows together where the score is a mean over tracks."""

    @property
    def best(self) -> int:
        """Index of the best shift."""
        return int(self.reading.mean.argmin())

    @property
    def middle(self) -> float:
        """Median of the 31 mean distances."""
        return float(np.median(self.reading.mean))


def summarise(tracks: Sequence[TrackDistances], *, mean: bool) -> SyncScore:
    """One score for a clip with several tracks.

    Args:
        tracks: at least one.
        mean: the mean over tracks, the offset cut to a whole frame (LatentSync's eval_sync_conf.py); else the longest
            track, the first of several.
    """
    if mean:
        readings = [read(t.distances) for t in tracks]
        values = {
            "lse_c": float(np.mean([r.confidence for r in readings])),
            "lse_d": float(np.mean([r.distance for r in readings])),
            "av_offset": float(int(np.mean([r.offset for r in readings]))),
        }
        return SyncScore(values, tuple(tracks), read(np.concatenate([t.distances for t in tracks])))
    longest = max(tracks, key=lambda t: t.n_frames)
    reading = read(longest.distances)
    values = {"lse_c": reading.confidence, "lse_d": reading.distance, "av_offset": float(reading.offset)}
    return SyncScore(values, (longest,), reading)


def describe(tracks: Sequence[TrackDistances], score: SyncScore, n_frames: int) -> dict[str, Json]:
    """All tracks of a video with their scores, for results.json."""
    rows = []
    for track in tracks:
        reading = read(track.distances)
        rows.append(
            {
                "first": track.first,
                "frames": track.n_frames,
                "rows": len(track.distances),
                "lse_c": round(reading.confidence, 6),
                "lse_d": round(reading.distance, 6),
                "av_offset": reading.offset,
                "scored": any(track is t for t in score.used),
            }
        )
    most = max(rows, key=lambda row: row["lse_c"])
    return {
        "n_tracks": len(tracks),
        "frames_scored": sum(len(t.distances) for t in score.used),
        "frames": n_frames,
        "tracks": rows,
        "most_confident_track": rows.index(most),
    }


def remarks(tracks: Sequence[TrackDistances], speech: float, n_frames: int, *, mean: bool) -> list[str]:
    """What a reader must know: several tracks, a short clip, hardly any speech.

    Args:
        tracks: of the video.
        speech: share of its frames with speech energy.
        n_frames: frames of the video.
        mean: the score is the mean over tracks.
    """
    texts = []
    if len(tracks) > 1:
        texts.append(
            f"{len(tracks)} face tracks; {'the mean over them' if mean else 'the longest'} is the score, all are in details"
        )
    longest = max(t.n_frames for t in tracks)
    if longest < n_frames and not mean:
        texts.append(
            f"{longest} of {n_frames} frames are scored; in the others there is no face, or another face track"
        )
    rows = max(len(t.distances) for t in tracks)
    if rows < SHORT:
        texts.append(
            f"short clip ({rows} rows): at a shift of s frames s rows compare with nothing (zero padding), so LSE-C and LSE-D "
            "are biased; compare only with clips of the same length"
        )
    if speech < SPEECH_LEAST:
        texts.append(
            f"only {100 * speech:.0f} % of the frames have audio above {QUIET:g} dBFS: hardly any speech to be in sync with"
        )
    return texts
