"""From the crops and the audio of one track to SyncNet's distances, in a stream.

Row i compares the lip window of frames i..i+4 with the audio of the same place and of 15 places before and after it.
Only the embeddings that a row still needs are kept: a row costs 31 numbers, whatever the length of the track.
Source: joonson/syncnet_python@6efbb1c, SyncNetInstance.evaluate (batch_size 20, vshift 15).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import MetricError
from lipsync_eval.features.mfcc import mfcc
from lipsync_eval.features.syncnet.net import COLUMNS, DIMENSION, WINDOW, Folded
from lipsync_eval.types import FPS, RATE, Float

SHIFT: Final = 15
"""Frames by which the audio is moved either way."""
SHIFTS: Final = 2 * SHIFT + 1
_EPSILON: Final = np.float32(1e-6)
_AUDIO_ROWS: Final = 128

Distances = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the distances of a track say."""

    confidence: float
    """LSE-C: median minus minimum of the 31 mean distances."""
    distance: float
    """LSE-D: the minimum."""
    offset: int
    """Frames by which the audio leads (positive) or lags (negative) where the minimum lies."""
    mean: Float
    """(31,) mean distance per shift; index k moves the audio by k - 15 frames."""
    framewise: Float
    """(rows,) median of `mean` minus the row's distance at the best shift; its mean is `confidence`."""


def n_rows(n_frames: int, n_samples: int) -> int:
    """Rows that a track gives: min(frames, whole frames of audio) - 5 (one fewer than would be possible), or 0."""
    return max(min(n_frames, n_samples * FPS // RATE) - WINDOW, 0)


def read(distances: Distances) -> Reading:
    """LSE-C, LSE-D and offset of a distance matrix.

    Args:
        distances: (rows, 31), rows >= 1; several tracks may be stacked.
    """
    mean = distances.mean(axis=0, dtype=np.float64)
    best = int(mean.argmin())
    middle = float(np.median(mean))
    return Reading(
        middle - float(mean[best]),
        float(mean[best]),
        SHIFT - best,
        mean,
        middle - distances[:, best].astype(np.float64),
    )


def distance_rows(lip: NDArray[np.float32], audio: NDArray[np.float32]) -> Distances:
    """Distances of lip windows to the audio around them.

    Args:
        lip: (n, 1024) embeddings of rows r..r+n-1.
        audio: (n + 30, 1024) embeddings of rows r-15..r+n+14, zero where there is none.

    Returns:
        (n, 31) || lip_i - audio_{i+k-15} + 1e-6 || (the epsilon is that of torch's pairwise_distance).
    """
    around = np.lib.stride_tricks.sliding_window_view(audio, SHIFTS, axis=0)  # n, 1024, 31
    apart = (lip + _EPSILON)[:, :, None] - around
    squares: NDArray[np.float64] = np.einsum("idk,idk->ik", apart, apart, dtype=np.float64)
    return np.sqrt(squares).astype(np.float32)


class TrackScorer:
    """Distances of one track; frames come in order."""

    def __init__(self, net: Folded, samples: NDArray[np.int16], n_frames: int) -> None:
        """Prepare for a track.

        Args:
            net: the network.
            samples: (N,) int16 at 16 kHz; sample 0 sounds with the track's first frame.
            n_frames: frames that will come.

        Raises:
            MetricError: fewer than 6 frames or less than 0.24 s of audio: not one row.
        """
        self.rows = n_rows(n_frames, len(samples))
        if not self.rows:
            raise MetricError(
                f"SyncNet needs 6 frames with audio (0.24 s); here are {n_frames} frames and {len(samples) / RATE:.2f} s of audio"
            )
        self._net, self._samples = net, samples
        self._frames: list[NDArray[np.uint8]] = []
        self._audio = np.zeros((0, DIMENSION), np.float32)
        self._audio_from = 0
        self._done = 0
        self._out = np.empty((self.rows, SHIFTS), np.float32)

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take the next crop, (224, 224, 3) uint8 in BGR order; those beyond the last row are not looked at."""
        if self._done + len(self._frames) < self.rows + WINDOW - 1:
            self._frames.append(frame)
        if len(self._frames) == self._net.rows + WINDOW - 1:
            self._advance()

    def finish(self) -> Distances:
        """(rows, 31) distances.

        Raises:
            MetricError: fewer frames came than announced.
        """
        if len(self._frames) >= WINDOW:
            self._advance()
        if self._done != self.rows:
            raise MetricError(f"a track of {self.rows} rows gave only {self._done}: frames are missing")
        return self._out

    def _advance(self) -> None:
        lip = self._net.lip(np.stack(self._frames))
        stop = self._done + len(lip)
        self._out[self._done : stop] = distance_rows(lip, self._around(self._done, stop))
        self._done = stop
        self._frames = self._frames[-(WINDOW - 1) :] if stop < self.rows else []

    def _around(self, start: int, stop: int) -> NDArray[np.float32]:
        """(stop - start + 30, 1024) audio embeddings of rows start-15..stop+14, zero outside 0..rows-1."""
        while self._audio_from + len(self._audio) < min(stop + SHIFT, self.rows):
            self._listen()
        spare = max(start - SHIFT, 0) - self._audio_from
        self._audio, self._audio_from = self._audio[spare:], self._audio_from + spare
        held = self._audio[: min(stop + SHIFT, self.rows) - self._audio_from]
        before = self._audio_from - (start - SHIFT)
        after = stop - start + 2 * SHIFT - before - len(held)
        return np.pad(held, ((before, after), (0, 0)))

    def _listen(self) -> None:
        start = self._audio_from + len(self._audio)
        n = min(_AUDIO_ROWS, self.rows - start)
        columns = mfcc(self._samples, 4 * start, 4 * (start + n - 1) + COLUMNS)
        self._audio = np.concatenate([self._audio, self._net.audio(columns)])
