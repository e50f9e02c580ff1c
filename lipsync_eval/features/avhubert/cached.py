"""Features of one clip with several audio tracks: the video front end runs once, and what may come again is kept in the run's cache."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.cache import Cache
from lipsync_eval.features.avhubert.extract import Extractor
from lipsync_eval.features.avhubert.video import Gray

_VERSION = "1"
"""+1 whenever a feature may move."""


class Mouth:
    """The mouth crops of one clip, with their hash and, once asked for, their front end features."""

    def __init__(self, extractor: Extractor, crops: Gray) -> None:
        self.extractor = extractor
        self.crops = crops

    @cached_property
    def seen(self) -> NDArray[np.float32]:
        """(1, D, T) front end features."""
        return self.extractor.see(self.crops)

    @cached_property
    def digest(self) -> str:
        """sha256 of pixels and shape."""
        return _digest(self.crops)


class Memory:
    """Features by content: the key is made of the pixels and audio that enter the network, the weights and the dtype."""

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
        key = {
            "kind": "avhubert", "version": _VERSION, "weights": self.weights, "dtype": self.extractor.dtype,
            "video": mouth.digest if keep and mouth else "none", "audio": _digest(audio) if keep and audio is not None else "none",
        }  # fmt: skip
        held = self.cache.get(key) if keep else None
        if held is not None:
            return held["features"].astype(np.float32, copy=False)
        heard = None if audio is None else self.extractor.hear(audio)
        found = self.extractor.encode(None if mouth is None else mouth.seen, heard)
        if keep:
            self.cache.put(key, {"features": found})
        return found


def _digest(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(str(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()
