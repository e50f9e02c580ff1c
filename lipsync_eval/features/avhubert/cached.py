"""Features of one clip with several audio tracks: the video front end runs once, and what may come again is kept in the run's cache."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.features.avhubert.extract import Extractor
from lipsync_eval.features.avhubert.video import Gray

_VERSION = "2"
"""+1 whenever a feature may move."""


class Mouth:
    """The mouth crops of one clip, with what they hang on and, once asked for, their front end features."""

    def __init__(self, extractor: Extractor, crops: Gray, digest: str) -> None:
        """Bind crops, which may still be on their way.

        Args:
            extractor: computes their features.
            crops: (T, 88, 88) uint8, whole when `seen` is asked for.
            digest: names them (MouthStream.digest).
        """
        self.extractor = extractor
        self.crops = crops
        self.digest = digest

    @cached_property
    def seen(self) -> NDArray[np.float32]:
        """(1, D, T) front end features."""
        return self.extractor.see(self.crops)


class Memory:
    """Features by content: the key is made of the video with its mouths, the audio, the weights and the dtype."""

    def __init__(self, extractor: Extractor, cache: Cache, weights: str) -> None:
        """Bind an extractor to a cache.

        Args:
            extractor: computes what is not there.
            cache: `Cache(None)` keeps nothing.
            weights: sha256 of the checkpoint.
        """
        self.extractor = extractor
        self.cache = cache
        self.weights = weights

    def features(self, mouth: Mouth | None, audio: NDArray[np.float32] | None, keep: bool) -> NDArray[np.float32]:
        """(T, D) float32 features of a video, of audio, or of both.

        Args:
            mouth: None for no video.
            audio: (T, 104) from `audio_input`; None for no audio.
            keep: whether to look in the cache and to store there (for inputs that come again: real videos, audio).
        """
        held = self.held(mouth, audio) if keep else None
        if held is not None:
            return held
        heard = None if audio is None else self.extractor.hear(audio)
        found = self.extractor.encode(None if mouth is None else mouth.seen, heard)
        if keep:
            self.cache.put(self._key(mouth, audio), {"features": found})
        return found

    def held(self, mouth: Mouth | None, audio: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        """The same where the cache has them; nothing is computed, and the mouth's crops are not looked at."""
        found = self.cache.get(self._key(mouth, audio))
        return None if found is None else found["features"].astype(np.float32, copy=False)

    def _key(self, mouth: Mouth | None, audio: NDArray[np.float32] | None) -> dict[str, str]:
        return {
            "kind": "avhubert", "version": _VERSION, "weights": self.weights, "dtype": self.extractor.dtype,
            "video": mouth.digest if mouth else "none", "audio": _digest(audio) if audio is not None else "none",
        }  # fmt: skip


def _digest(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(str(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()
