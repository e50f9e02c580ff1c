"""Validation on whole held-out entries: AVS_u, AVS_m and AVS_v of what the generator makes of every frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipsync_eval.baselines.kit.data.holdout import Pool, Span
from lipsync_eval.baselines.kit.data.windows import Sample, Windows
from lipsync_eval.baselines.kit.training.lip_reading import LipReader
from lipsync_eval.types import FPS, RATE

Generate = Callable[[nn.Module, Sample], Tensor]
BATCH = 32
"""Frames at once."""


class EntryScores:
    """Scores a generator on the same held-out stretches every time.

    The identity frame is the first one; mouths lie where they lie in the real frames, as in training.
    """

    def __init__(self, pool: Pool, reader: LipReader, generate: Generate, count: int) -> None:
        """`count`: stretches, spread evenly over those that are held out; long ones are cut to the reader's length."""
        self.windows, self.lips, self.generate = Windows(pool), reader, generate
        held = pool.held_out
        self.spans = [held[k * len(held) // min(count, len(held))] for k in range(min(count, len(held)))]
        self.device = next(reader.model.parameters()).device

    @torch.no_grad()
    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Means over the stretches: entry_avs_u, entry_avs_m, entry_avs_v."""
        found = [self._one(generator, span) for span in self.spans]
        return {name: sum(scores[name] for scores in found) / len(found) for name in found[0]}

    def _one(self, generator: nn.Module, span: Span) -> dict[str, float]:
        from lipsync_eval.features.avhubert import audio_input, locate_mouths, sample_mouths, video_tensor

        model, reader = self.lips.model, self.lips.reader
        stop = min(span.stop, span.start + reader.length)
        count, per = stop - span.start, RATE // FPS
        mouths = locate_mouths(self.windows.points(span, span.start, stop))
        real = self.windows.tensor(span, range(span.start, stop)).to(self.device)
        made = self._made(generator, span, real)
        samples = self.windows.array(span, "audio", span.start * per, stop * per)
        audio = torch.from_numpy(audio_input(samples, count, reader.normalize).T.copy())[None].to(self.device)
        ours, theirs = (
            video_tensor(sample_mouths((x + 1) / 2, mouths)[None], reader.mean, reader.std) for x in (made, real)
        )
        seen, wanted, heard = (
            model.feature_extractor_video(ours),
            model.feature_extractor_video(theirs),
            model.feature_extractor_audio(audio),
        )

        def alike(a: tuple[Tensor | None, Tensor | None], b: tuple[Tensor | None, Tensor | None]) -> float:
            """Mean cosine of two (seen, heard) inputs over the frames."""
            return float(F.cosine_similarity(model.encode(*a), model.encode(*b), dim=2).mean())

        return {
            "entry_avs_u": alike((seen, None), (None, heard)),
            "entry_avs_m": alike((seen, heard), (wanted, heard)),
            "entry_avs_v": alike((seen, None), (wanted, None)),
        }

    def _made(self, generator: nn.Module, span: Span, real: Tensor) -> Tensor:
        """(T, 3, size, size) generated."""
        parts = []
        for start in range(0, len(real), BATCH):
            target = real[start : start + BATCH]
            audio = [self.windows.audio(span, span.start + start + k) for k in range(len(target))]
            reference = real[:1].expand(len(target), -1, -1, -1)
            sample = Sample(target[None], reference[None], torch.stack(audio)[None].to(self.device))
            parts.append(self.generate(generator, sample).float())
        return torch.cat(parts)
