"""G, P or Wav2Lip-H ready for use, and how they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipsync_eval.baselines.kit.configuration.sections import differences
from lipsync_eval.baselines.kit.data.alignment import Alignment
from lipsync_eval.baselines.kit.data.inputs import Array
from lipsync_eval.baselines.kit.data.wav2lip_mel import WAV2LIP_MEL
from lipsync_eval.baselines.kit.data.windows import to_frames, to_tensor
from lipsync_eval.baselines.kit.dubbing.generator import Material, Session
from lipsync_eval.baselines.kit.training.checkpoints import Checkpoint, open_checkpoint
from lipsync_eval.baselines.stylesync.config import GENERATOR, ModelConfig, StyleSyncConfig
from lipsync_eval.baselines.stylesync.data.alignment import alignment
from lipsync_eval.baselines.stylesync.network.build import Model, build
from lipsync_eval.baselines.stylesync.network.generator import StyleSync
from lipsync_eval.baselines.stylesync.network.personal import Personal
from lipsync_eval.baselines.stylesync.training.delta import personal_model, read_delta
from lipsync_eval.errors import InputError, RefusedCheckpoint
from lipsync_eval.types import Frame

MAP_BYTES = 16 << 20
"""On a CPU the largest map of a batch stays below this (see baselines/radio/dubbing/generator.py)."""
MOST = 16
"""Frames at once, at most, unless asked otherwise."""
HEARD_AT_ONCE = 64
"""Mels at once, where f_a of the whole video is smoothed."""


def smoothed(codes: Tensor, share: float, gain: float) -> Tensor:
    """f_a(t) = share * f_a(t - 1) + (1 - share) * f_a(t) over the frames of a video, then times `gain`.

    Args:
        codes: (N, dim), in order.
        share: of the frame before, smoothed already; 0: none.
        gain: factor.

    Returns:
        (N, dim).
    """
    out = codes.clone()
    for k in range(1, len(out) if share else 0):
        out[k] = share * out[k - 1] + (1 - share) * codes[k]
    return out * gain


@dataclass
class StyleSyncGenerator:
    """A generator ready for use (kit.dubbing.generator.Generator)."""

    model: Model | Personal
    checkpoint: Checkpoint[StyleSyncConfig]
    device: torch.device
    personal: dict[str, Any] = field(default_factory=dict)
    """Facts of the personalisation; empty for G."""
    audio_smooth: float = 0.0
    audio_gain: float = 1.0

    @property
    def name(self) -> str:
        """Method, configuration and size."""
        held = self.checkpoint.config
        what = "Wav2Lip-H" if held.model.network == "wav2lip-h" else "StyleSync P" if self.personal else "StyleSync G"
        return f"{what} ({held.name}, {self.size} px)"

    @property
    def made_by(self) -> dict[str, Any]:
        """Step and hashes of the checkpoint; the personalisation; the smoothing of the audio where it is on."""
        found: dict[str, Any] = {"step": self.checkpoint.step, "sha256": dict(self.checkpoint.hashes)}
        if self.personal:
            keys = ("video", "video_sha256", "seconds", "steps", "sha256")
            found["personal"] = {key: self.personal[key] for key in keys}
        if self.changed:
            found["audio"] = {"smooth": self.audio_smooth, "gain": self.audio_gain}
        return found

    @property
    def changed(self) -> bool:
        """Whether f_a is smoothed or scaled."""
        return self.audio_smooth != 0 or self.audio_gain != 1

    @property
    def config(self) -> ModelConfig:
        """Of the network."""
        return self.checkpoint.config.model

    @property
    def size(self) -> int:
        """px of its crops."""
        return self.config.size

    @property
    def alignment(self) -> Alignment:
        """How its crops lie in their frames."""
        return alignment(self.config.align)

    @property
    def mask(self) -> NDArray[np.uint8]:
        """(256, 256) the mask M, 1 inside."""
        model = self.model.base if isinstance(self.model, Personal) else self.model
        return np.asarray(model.mask.cpu().numpy(), np.uint8)

    @property
    def batch(self) -> int:
        """Frames at once that suit the device; they do not change the result."""
        if self.device.type != "cpu":
            return MOST
        largest = max(2 * self.config.channels(size) * size**2 for size in self.config.sizes) * 4
        return max(1, min(MOST, MAP_BYTES // largest))

    def begin(self, material: Material) -> Session:
        """Mels of the whole audio; with smoothing also f_a of all frames, which then does not depend on the batches."""
        whole = WAV2LIP_MEL.whole(material.speech)
        seconds = material.video.seconds

        def mels(numbers: Sequence[int]) -> list[Array]:
            """Windows of the frames with these numbers."""
            return [WAV2LIP_MEL.window(whole, float(seconds[i])) for i in numbers]

        parts = range(0, material.count, HEARD_AT_ONCE) if self.changed else range(0)
        heard = [self._hear(mels(range(k, min(k + HEARD_AT_ONCE, material.count)))) for k in parts]
        known = smoothed(torch.cat(heard), self.audio_smooth, self.audio_gain) if heard else None

        def session(numbers: Sequence[int], crops: Sequence[Frame]) -> NDArray[np.uint8]:
            """See `Session`."""
            codes = self._hear(mels(numbers)) if known is None else known[list(numbers)]
            references = crops if material.own_frames else [material.reference] * len(crops)
            return self._make(crops, references, codes)

        return session

    @torch.inference_mode()
    def _hear(self, mels: Sequence[Array]) -> Tensor:
        return self.model.hear(torch.from_numpy(np.stack(mels))[:, None].to(self.device))

    @torch.inference_mode()
    def _make(self, crops: Sequence[Frame], references: Sequence[Frame], codes: Tensor) -> NDArray[np.uint8]:
        target, reference = (to_tensor(np.stack(x)).to(self.device) for x in (crops, references))
        return to_frames(self.model.generate(target, reference, codes))


def load_generator(
    path: Path,
    device: str = "auto",
    personal: Path | None = None,
    audio_smooth: float = 0.0,
    audio_gain: float = 1.0,
    expected: ModelConfig | None = None,
) -> StyleSyncGenerator:
    """Load the averaged generator of a checkpoint or run, personalised where asked.

    Args:
        path: RUN or RUN/checkpoints/STEP of `stylesync train`.
        device: as --device.
        personal: a run of `stylesync personalise` from this very checkpoint.
        audio_smooth: share of the frame before in f_a, 0 to below 1.
        audio_gain: factor on f_a.
        expected: the model that the caller's configuration describes, if there is one.

    Raises:
        RefusedCheckpoint: no such checkpoint, damaged, of another model than `expected`, or a personalisation of another.
        InputError: smoothing or gain out of range.
    """
    from lipsync_eval.device import pick

    if not 0 <= audio_smooth < 1 or audio_gain <= 0:
        raise InputError(f"audio smoothing {audio_smooth} must be in [0, 1), the gain {audio_gain} above 0")
    held = open_checkpoint(path, GENERATOR)
    if expected is not None and (other := differences(expected, held.config.model)):
        raise RefusedCheckpoint(f"{held.folder} holds another model than the configuration: {'; '.join(other)}")
    chosen = pick(device)
    model: Model | Personal = held.restored(build(held.config.model), chosen)
    facts: dict[str, Any] = {}
    if personal is not None:
        if not isinstance(model, StyleSync):
            raise RefusedCheckpoint(f"{held.folder} holds {held.config.model.network}, which cannot be personalised")
        delta = read_delta(personal, held)
        model, facts = personal_model(model, delta), delta.facts
        model.eval().requires_grad_(False).to(chosen)
    return StyleSyncGenerator(model, held, chosen, facts, audio_smooth, audio_gain)
