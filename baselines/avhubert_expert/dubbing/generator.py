"""The generator ready for use, and how it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.baselines.avhubert_expert.config import GENERATOR, AVHubertExpertConfig
from lipsync_eval.baselines.avhubert_expert.data.alignment import ALIGNMENT, TightBox
from lipsync_eval.baselines.avhubert_expert.data.inputs import MEL, EndingMel
from lipsync_eval.baselines.avhubert_expert.network.generator import ExpertGenerator, Identity
from lipsync_eval.baselines.kit.data.inputs import Array
from lipsync_eval.baselines.kit.data.windows import to_frames, to_tensor
from lipsync_eval.baselines.kit.dubbing.generator import Material, Session, frame_by_frame
from lipsync_eval.baselines.kit.training.checkpoints import Checkpoint, open_checkpoint
from lipsync_eval.types import Frame

BATCHES = {"cpu": 8, "cuda": 64}
"""Frames at once; they do not change the result."""


@dataclass
class ExpertDubber:
    """A generator ready for use (kit.dubbing.generator.Generator)."""

    model: ExpertGenerator
    checkpoint: Checkpoint[AVHubertExpertConfig]
    device: torch.device
    lead: int = MEL.before
    """Frames (of 1/25 s) by which a mel window begins before its frame: 1 as in training, 0 as Wav2Lip's inference."""
    alignment: TightBox = ALIGNMENT

    @property
    def name(self) -> str:
        """Method, configuration and size."""
        held = self.checkpoint.config
        return f"AV-HuBERT expert ({held.name}, {held.loss.sync_kind}, {self.size} px)"

    @property
    def made_by(self) -> dict[str, Any]:
        """Step and hashes of the checkpoint, and where mel windows begin."""
        held = self.checkpoint
        return {"step": held.step, "sha256": dict(held.hashes), "mel_begins_frames_before": self.lead}

    @property
    def size(self) -> int:
        """px of its crops."""
        return self.model.config.size

    @property
    def batch(self) -> int:
        """Frames at once that suit the device."""
        return BATCHES.get(self.device.type, BATCHES["cpu"])

    def begin(self, material: Material) -> Session:
        """The identity frame is encoded once."""
        known = self.know(material.reference)
        return frame_by_frame(EndingMel(self.lead), material, lambda crops, mels: self(crops, mels, known))

    @torch.inference_mode()
    def know(self, crop: Frame) -> Identity:
        """Encode an identity crop (size, size, 3) uint8."""
        return self.model.know(self._input(crop[None]))

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Frame], mels: Sequence[Array], known: Identity) -> NDArray[np.uint8]:
        """Dub n crops (size, size, 3) uint8 with n windows (80, 16): (n, size, size, 3) uint8."""
        mel = torch.from_numpy(np.stack(mels))[:, None].to(self.device)
        made = self.model.generate(self._input(np.stack(crops)), known.expand(len(crops)), mel)
        return to_frames(made * 2 - 1)

    def _input(self, crops: NDArray[np.uint8]) -> torch.Tensor:
        return (to_tensor(crops).to(self.device) + 1) / 2


def load_generator(path: Path, device: str = "auto", lead: int = MEL.before) -> ExpertDubber:
    """Load the generator of a checkpoint or run.

    Args:
        path: RUN or RUN/checkpoints/STEP.
        device: as --device.
        lead: see `ExpertDubber`.

    Raises:
        RefusedCheckpoint: no checkpoint of `avhubert-expert train`, or damaged.
    """
    from lipsync_eval.device import pick

    held = open_checkpoint(path, GENERATOR)
    chosen = pick(device)
    return ExpertDubber(held.restored(ExpertGenerator(held.config), chosen), held, chosen, lead)
