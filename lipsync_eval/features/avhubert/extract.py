"""Features of whole clips: arrays in, arrays out, memory bounded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.device import Precision, computing, pick, to_device
from lipsync_eval.errors import InputError
from lipsync_eval.features.avhubert.checkpoint import read
from lipsync_eval.features.avhubert.model import AVHuBERT
from lipsync_eval.features.avhubert.resnet import HALO
from lipsync_eval.features.avhubert.video import Gray, centre_crop, video_input

Dtype = Literal["float32", "bfloat16"]
DTYPES: Final[tuple[Dtype, ...]] = ("float32", "bfloat16")
DTYPE_OF: Final[Mapping[Precision, Dtype]] = {"fp32": "float32", "bf16": "bfloat16"}
"""The same formats as --precision calls them."""
_CHUNK: Final = {"cpu": 32, "cuda": 256}
"""Frames that go through the video front end at once: bounds memory, moves no number beyond rounding."""


class Extractor:
    """One network and the number format it computes in. Front ends and transformer are separate steps, so that a video is
    looked at once and encoded with several audio tracks.

    A clip always goes through the transformer as a whole: attention and the positional convolution see all of it, and windows
    would give other numbers.
    """

    def __init__(self, model: AVHuBERT, dtype: Dtype = "float32") -> None:
        """Bind a network; it stays on its device.

        Args:
            model: from `load`.
            dtype: float32, or bfloat16 for matrix products and convolutions (norms, softmax and sums stay float32).

        Raises:
            InputError: another dtype.
        """
        if dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        self.model = model
        self.dtype = dtype
        self.device = next(model.parameters()).device

    @property
    def normalize(self) -> bool:
        """Whether the network wants `audio_input` normalised."""
        return self.model.config.normalize

    def see(self, crops: Gray) -> NDArray[np.float32]:
        """(T, H, W) uint8 gray mouth crops (96x96 from `mouth_roi`) -> (1, D, T) video front end features.

        Raises:
            InputError: wrong shape or dtype.
        """
        config, parts = self.model.config, []
        crops, chunk = centre_crop(crops), _CHUNK[self.device.type]
        for start in range(0, len(crops), chunk):
            stop = min(start + chunk, len(crops))
            low, high = max(0, start - HALO), min(len(crops), stop + HALO)
            x = to_device(video_input(crops[low:high], config.image_mean, config.image_std), self.device)[None, None]
            with self._computing():
                parts.append(self.model.feature_extractor_video(x, (start - low, high - stop)).float())
        out: NDArray[np.float32] = torch.cat(parts, dim=2).cpu().numpy()
        return out

    def hear(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, 104) float32 from `audio_input` -> (1, D, T) audio front end features."""
        x = to_device(audio.T, self.device)[None]
        with self._computing():
            out: NDArray[np.float32] = self.model.feature_extractor_audio(x).float().cpu().numpy()
        return out

    def encode(
        self, seen: NDArray[np.float32] | None, heard: NDArray[np.float32] | None, layer: int | None = None
    ) -> NDArray[np.float32]:
        """Front end features, either of them None -> (T, D) float32 features.

        Args:
            seen: from `see`.
            heard: from `hear`, of the same length.
            layer: 1..layers: that layer's output, without the final layer norm. None: the whole network.
        """
        video, audio = (None if x is None else to_device(x, self.device) for x in (seen, heard))
        with self._computing():
            out: NDArray[np.float32] = self.model.encode(video, audio, layer=layer)[0].float().cpu().numpy()
        return out

    def _computing(self) -> ExitStack:
        return computing(self.device, "bf16" if self.dtype == "bfloat16" else "fp32")


def load(path: Path, digest: str, device: str, dtype: Dtype) -> Extractor:
    """The network of an official checkpoint, ready to run.

    Args:
        path: as for `checkpoint.read`.
        digest: sha256 of the file.
        device: where to run, as in Settings.
        dtype: as for `Extractor`.

    Raises:
        RefusedCheckpoint: as `checkpoint.read`.
    """
    return Extractor(kept(path, digest).to(pick(device)), dtype)


@lru_cache(maxsize=1)
def kept(path: Path, digest: str) -> AVHuBERT:
    """The network of a checkpoint: read once a process, whether to check it or to run it."""
    return read(path)


def features(
    model: AVHuBERT,
    video: Gray | None = None,
    audio: NDArray[np.float32] | None = None,
    *,
    layer: int | None = None,
    dtype: Dtype = "float32",
) -> NDArray[np.float32]:
    """Features of one clip; a modality that is None enters as zeros after its projection.

    Args:
        model: from `load`.
        video: (T, H, W) uint8 gray mouth crops, 96x96 from `mouth_roi` (the middle 88x88 is looked at).
        audio: (T, 104) float32 from `audio_input`.
        layer: 1..layers: that layer's output, without the final layer norm. None: the whole network.
        dtype: see `Extractor`.

    Returns:
        (T, D) float32 at 25 Hz; D = 768 (Base), 1024 (Large).

    Raises:
        InputError: neither is given, wrong shapes, or different lengths.
    """
    if video is not None and audio is not None and len(video) != len(audio):
        raise InputError(
            f"{len(video)} frames and {len(audio)} audio frames; make them with audio_input(samples, n_frames={len(video)})"
        )
    extractor = Extractor(model, dtype)
    seen = None if video is None else extractor.see(video)
    heard = None if audio is None else extractor.hear(audio)
    return extractor.encode(seen, heard, layer)
