"""AV-HuBERT as a lip-sync expert in training: the loss of Yaman et al. 2024, arXiv:2405.04327, eq. 1 and table 4.

The generated frames replace their interval in the real video; the expert reads all of it (or a stretch of at most
`context` frames), and only the interval counts. The front end is run anew for the frames that change; what it makes of
the real video is kept for the next windows of the same entry.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lipsync_eval.baselines.kit.configuration.sections import LipReading
from lipsync_eval.baselines.kit.data.holdout import Span
from lipsync_eval.baselines.kit.data.windows import Windows
from lipsync_eval.baselines.kit.training.terms import Made, Term
from lipsync_eval.features.avhubert.config import BASE
from lipsync_eval.types import FPS, RATE

KEPT = 4096
"""Front end features that are kept: about 0.2 MB for a video of 3 s."""


@dataclass(frozen=True)
class StretchReader:
    """Reads the real video around a window: the whole entry, or a stretch of it with at most `length` (C) frames.

    lips (C, 88, 88), AV-HuBERT's video input; lips_audio (104, C), its audio input, both padded with zeros at the end;
    lips_frames () int64, how many of the C there are; lips_first () int64, where the window begins among them;
    lips_matrix (T, 2, 3) float64 and lips_corner (T, 2) int64, where the mouths of the window are (`Mouths`);
    lips_key () int64, the same for the same stretch.
    """

    length: int
    mean: float = BASE.image_mean
    std: float = BASE.image_std
    normalize: bool = True
    """As the checkpoint's configuration has it; so are mean and std."""

    def __call__(self, windows: Windows, span: Span, start: int) -> dict[str, Tensor]:
        """The stretch around the window that begins at frame `start`."""
        from lipsync_eval.features.avhubert import audio_input, locate_mouths, sample_mouths, video_tensor

        first, count = stretch(span.entry.frames, start, span.window, self.length)
        mouths = locate_mouths(windows.points(span, first, first + count))
        real = windows.tensor(span, range(first, first + count))
        lips = video_tensor(sample_mouths((real + 1) / 2, mouths)[None], self.mean, self.std)[0, 0]
        per = RATE // FPS
        samples = windows.array(span, "audio", first * per, (first + count) * per)
        audio = torch.from_numpy(audio_input(samples, count, self.normalize).T.copy())
        at = slice(start - first, start - first + span.window)
        key = sha256(f"{span.shard.file}/{span.number}/{first}/{count}".encode()).digest()[:8]
        return {
            "lips": F.pad(lips, (0, 0, 0, 0, 0, self.length - count)),
            "lips_audio": F.pad(audio, (0, self.length - count)),
            "lips_frames": torch.tensor(count),
            "lips_first": torch.tensor(start - first),
            "lips_matrix": torch.from_numpy(mouths.matrix[at]),
            "lips_corner": torch.from_numpy(mouths.corner[at].astype(np.int64)),
            "lips_key": torch.tensor(int.from_bytes(key, "big", signed=True)),
        }


def stretch(frames: int, start: int, window: int, length: int) -> tuple[int, int]:
    """First frame and number of frames of the stretch around a window: all of a short entry, else `length` of them."""
    count = min(frames, length)
    return min(max(start + window // 2 - count // 2, 0), frames - count), count


class LipReader:
    """AV-HuBERT at work on batches: what it makes of generated frames in their video, and of what they are compared with."""

    def __init__(self, weights: Path, context: int, device: torch.device) -> None:
        """Load an official checkpoint onto a device; `context`: most frames that it reads at once."""
        from lipsync_eval.features.avhubert import load

        self.model = load(weights, str(device))
        config = self.model.config
        self.reader = StretchReader(context, config.image_mean, config.image_std, config.normalize)
        self._seen: OrderedDict[int, Tensor] = OrderedDict()

    def features(self, made: Made, variant: LipReading) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) of the generated side, (B, T, D) of what it is compared with (no gradient), (B, T) bool: what counts."""
        more, model = made.sample.more, self.model
        counts = more["lips_frames"].tolist()
        longest, window = max(counts), made.windows.shape[1]
        at = torch.arange(longest, device=made.output.device)
        padding = at >= more["lips_frames"][:, None]
        first = more["lips_first"][:, None]
        counted = (at >= first) & (at < first + window)
        real = [self._real(more, b, count) for b, count in enumerate(counts)]
        mixed = [self._mixed(made, b, count, seen) for b, (count, seen) in enumerate(zip(counts, real, strict=True))]
        heard = None if variant == "visual-visual" else self._heard(more, longest)
        shared = heard if variant == "multimodal" else None
        mask = padding if bool(padding.any()) else None
        ours = model.encode(_padded(mixed, longest), shared, mask)
        with torch.no_grad():
            seen = None if variant == "unsupervised" else _padded(real, longest)
            theirs = model.encode(seen, heard if variant == "unsupervised" else shared, mask)
        return ours, theirs, counted

    @torch.no_grad()
    def _heard(self, more: Mapping[str, Tensor], longest: int) -> Tensor:
        audio = more["lips_audio"][:, :, :longest]
        heard: Tensor = self.model.feature_extractor_audio(audio)
        return heard

    def _real(self, more: Mapping[str, Tensor], b: int, count: int) -> Tensor:
        """(D, count) front end features of the real stretch, kept by its key."""
        from lipsync_eval.features.avhubert import front_end

        key = int(more["lips_key"][b])
        if key not in self._seen:
            while len(self._seen) >= KEPT:
                self._seen.popitem(last=False)
            self._seen[key] = front_end(self.model, more["lips"][b, :count])
        self._seen.move_to_end(key)
        return self._seen[key]

    def _mixed(self, made: Made, b: int, count: int, seen: Tensor) -> Tensor:
        """(D, count) with the generated frames in their place."""
        from lipsync_eval.features.avhubert import Mouths, sample_mouths, spliced, video_tensor

        more, config = made.sample.more, self.model.config
        matrix, corner = more["lips_matrix"][b].cpu().numpy(), more["lips_corner"][b].cpu().numpy()
        mouths = Mouths(matrix, corner.astype(np.intp), np.empty(0, np.intp))
        rgb = sample_mouths((made.windows[b].float() + 1) / 2, mouths)
        lips = video_tensor(rgb[None], config.image_mean, config.image_std)[0, 0]
        return spliced(self.model, more["lips"][b, :count], seen, lips, int(more["lips_first"][b]))

    def loss(self, made: Made, variant: LipReading) -> Tensor:
        """Eq. 1: -log of the mean cosine over the generated frames, mean over the batch."""
        from lipsync_eval.features.avhubert import similarity_loss

        return similarity_loss(*self.features(made, variant))

    def similarity(self, made: Made, variant: LipReading) -> Tensor:
        """(B,) mean cosines over the generated frames."""
        from lipsync_eval.features.avhubert import clip_similarity

        return clip_similarity(*self.features(made, variant))


def _padded(features: list[Tensor], longest: int) -> Tensor:
    """(D, T) of several lengths -> (B, D, longest)."""
    return torch.stack([F.pad(x, (0, longest - x.shape[1])) for x in features])


def lip_reading_term(
    weight: float, weights: Path, context: int, device: torch.device, variant: LipReading = "unsupervised"
) -> Term:
    """'avhubert': see `LipReader.loss`.

    Args:
        weight: of the term.
        weights: an official AV-HuBERT checkpoint.
        context: most frames of the real video that the expert reads with the generated ones.
        device: of the network.
        variant: which features are compared (table 4 of the paper).
    """
    expert = LipReader(weights, context, device)
    return Term("avhubert", weight, lambda made: expert.loss(made, variant), expert.reader)
