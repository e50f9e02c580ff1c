"""RADIO's generator ready for use, and how it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.baselines.kit.configuration.sections import differences
from lipsync_eval.baselines.kit.data.inputs import Array
from lipsync_eval.baselines.kit.data.mel import MEL
from lipsync_eval.baselines.kit.data.windows import to_frames, to_tensor
from lipsync_eval.baselines.kit.dubbing.generator import Material, Session, frame_by_frame
from lipsync_eval.baselines.kit.training.checkpoints import Checkpoint, open_checkpoint
from lipsync_eval.baselines.radio.config import GENERATOR, ModelConfig, RadioConfig
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT, FFHQ
from lipsync_eval.baselines.radio.network.generator import Radio, Reference
from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.types import Frame

MAP_BYTES = 16 << 20
"""On a CPU the largest map of a batch stays below this. Beyond 32 MiB the allocator of Linux gives memory back after
every operation and takes it anew for the next: 16 frames of 192 px at once are slower than one by one."""
MOST = 16
"""Frames at once, at most, unless asked otherwise."""


@dataclass
class RadioGenerator:
    """A generator ready for use (kit.dubbing.generator.Generator)."""

    model: Radio
    checkpoint: Checkpoint[RadioConfig]
    device: torch.device
    alignment: FFHQ = ALIGNMENT

    @property
    def name(self) -> str:
        """Method, configuration, variant and size."""
        held = self.checkpoint.config
        return f"RADIO ({held.name}, variant {held.model.variant}, {self.size} px)"

    @property
    def made_by(self) -> dict[str, Any]:
        """Step and hashes of the checkpoint."""
        return {"step": self.checkpoint.step, "sha256": dict(self.checkpoint.hashes)}

    @property
    def size(self) -> int:
        """px of its crops."""
        return self.model.config.size

    @property
    def batch(self) -> int:
        """Frames at once that suit the device; they do not change the result."""
        if self.device.type != "cpu":
            return MOST
        config = self.model.config
        largest = max(config.channels(size) * size**2 for size in (config.size, *config.encoder_sizes)) * 4
        return max(1, min(MOST, MAP_BYTES // largest))

    def begin(self, material: Material) -> Session:
        """The reference is encoded once."""
        known = self.reference(material.reference)
        return frame_by_frame(MEL, material, lambda crops, windows: self(crops, windows, known))

    @torch.inference_mode()
    def reference(self, crop: Frame) -> Reference:
        """Encode a reference crop (size, size, 3) uint8."""
        return self.model.reference(to_tensor(crop[None]).to(self.device))

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Frame], mels: Sequence[Array], reference: Reference) -> NDArray[np.uint8]:
        """Dub crops.

        Args:
            crops: n crops (size, size, 3) uint8.
            mels: n windows (bands, columns) float32.
            reference: from `reference`.

        Returns:
            (n, size, size, 3) uint8.
        """
        target = to_tensor(np.stack(crops)).to(self.device)
        mel = torch.from_numpy(np.stack(mels))[:, None].to(self.device)
        return to_frames(self.model.generate(target, reference.expand(len(crops)), mel))


def load_generator(path: Path, device: str = "auto", expected: ModelConfig | None = None) -> RadioGenerator:
    """Load the averaged generator of a checkpoint or run.

    Args:
        path: RUN or RUN/checkpoints/STEP.
        device: as --device.
        expected: the model that the caller's configuration describes, if there is one.

    Raises:
        RefusedCheckpoint: no checkpoint of `radio train`, damaged, or of another model than `expected`.
    """
    from lipsync_eval.device import pick

    held = open_checkpoint(path, GENERATOR)
    if expected is not None and (other := differences(expected, held.config.model)):
        raise RefusedCheckpoint(f"{held.folder} holds another model than the configuration: {'; '.join(other)}")
    chosen = pick(device)
    return RadioGenerator(held.restored(Radio(held.config.model), chosen), held, chosen)
