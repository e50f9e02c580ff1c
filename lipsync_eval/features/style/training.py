"""Training a style encoder of one's own: DiffPoseTalk's architecture and its NT-Xent loss, on any folder of speakers.

Source: Sun et al., DiffPoseTalk, SIGGRAPH 2024 (arXiv:2310.00434), section 3.2, and DiffPoseTalk/DiffPoseTalk@2c761f1: two
stretches of one clip are alike, stretches of other speakers in the batch are not; temperature 0.1, Adam 1e-4.

What it cannot do: with few speakers it learns who speaks (face, camera) as much as how. Trust it on speakers it has not
seen, and print those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lipsync_eval.errors import InputError, RefusedCheckpoint
from lipsync_eval.features.style.constants import Sequence68, StyleConstants
from lipsync_eval.features.style.encoder import StyleEncoder, embed
from lipsync_eval.features.style.points import PoseModel
from lipsync_eval.files import atomic
from lipsync_eval.types import Float
from lipsync_eval.weights import fit, load_checkpoint

FORMAT: Final = "lipsync-eval style encoder 1"
GAP: Final = 10
"""Frames between the two stretches of a positive pair."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an encoder is trained."""

    window: int = 100
    """Frames of a stretch; a clip must hold two and the gap."""
    steps: int = 2000
    batch: int = 32
    """Speakers a step, or all where there are fewer."""
    rate: float = 1e-4
    temperature: float = 0.1
    seed: int = 12345


@dataclass(frozen=True)
class TrainedEncoder:
    """An encoder with what its input must go through."""

    encoder: StyleEncoder
    constants: StyleConstants
    """Feature set and pose model; mean and std here are of the frames, not of codes."""
    window: int

    def motion(self, clip: Sequence68) -> Float:
        """(T, D) standardised expression of a clip."""
        return self.constants.standardise(self.constants.sequence(*clip))

    def style(self, clip: Sequence68) -> Float:
        """(128,) unit style vector of a clip."""
        return embed(self.encoder, self.motion(clip).astype(np.float32), self.window, max(self.window // 2, 1))


def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., SimCLR 2020): every vector should pick its partner out of the other 2N - 1.

    Args:
        a, b: (N, D); row i of a and row i of b are a positive pair. N >= 2.
        temperature: > 0.

    Returns:
        () mean cross entropy in nats.
    """
    both = functional.normalize(torch.cat([a, b]), dim=1)
    likeness = both @ both.T / temperature
    likeness = likeness.masked_fill(torch.eye(len(both), dtype=torch.bool, device=both.device), float("-inf"))
    partner = torch.arange(len(both), device=both.device).roll(len(a))
    return functional.cross_entropy(likeness, partner)


def frame_constants(constants: StyleConstants, speakers: Mapping[str, Sequence[Sequence68]]) -> StyleConstants:
    """The same feature set and pose model, with mean and std over the speakers' frames (each clip counting the same)."""
    parts = [constants.sequence(*clip) for clips in speakers.values() for clip in clips]
    mean = np.mean([p.mean(0) for p in parts], 0)
    std = np.sqrt(np.mean([((p - mean) ** 2).mean(0) for p in parts], 0))
    return StyleConstants(constants.features, mean, std, constants.pose, constants.provenance, "")


def train(
    speakers: Mapping[str, Sequence[Sequence68]],
    constants: StyleConstants,
    recipe: Recipe,
    event: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainedEncoder:
    """Train from scratch, on the CPU, repeatably.

    Args:
        speakers: name -> clips (raw, frame numbers).
        constants: feature set and pose model.
        recipe: sizes and steps.
        event: told (step, loss) after every step.

    Raises:
        InputError: fewer than two speakers with a clip long enough.
    """
    held = frame_constants(constants, speakers)
    need = 2 * recipe.window + GAP
    motions = [
        [held.standardise(held.sequence(*c)).astype(np.float32) for c in clips if len(c[1]) >= need]
        for clips in speakers.values()
    ]
    motions = [m for m in motions if m]
    if len(motions) < 2:
        raise InputError(
            f"training needs two speakers or more with a clip of at least {need} frames (two windows and a gap); there are {len(motions)}"
        )
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    encoder = StyleEncoder(len(held.mean)).train()
    optimiser = torch.optim.Adam(encoder.parameters(), lr=recipe.rate)
    for step in range(recipe.steps):
        a, b = _draw(motions, recipe, rng)
        loss = nt_xent(encoder(a), encoder(b), recipe.temperature)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        event(step, float(loss.detach()))
    return TrainedEncoder(encoder.eval().requires_grad_(False), held, recipe.window)


def _draw(
    motions: Sequence[Sequence[np.ndarray[Any, np.dtype[np.float32]]]], recipe: Recipe, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Two stretches (N, window, D) each of N speakers, GAP frames apart."""
    chosen = rng.permutation(len(motions))[: recipe.batch]
    first, second = [], []
    for k in chosen:
        clip = motions[int(k)][int(rng.integers(len(motions[int(k)])))]
        start = int(rng.integers(len(clip) - 2 * recipe.window - GAP + 1))
        later = start + recipe.window + GAP
        first.append(clip[start : start + recipe.window])
        second.append(clip[later : later + recipe.window])
    return torch.from_numpy(np.stack(first)), torch.from_numpy(np.stack(second))


def save(trained: TrainedEncoder, path: Path) -> None:
    """Write tensors and plain numbers only; readable by `load`.

    Raises:
        OSError: it cannot be written.
    """
    c = trained.constants
    held: dict[str, Any] = {
        "format": FORMAT,
        "features": c.features,
        "provenance": c.provenance,
        "window": trained.window,
    }
    held |= {
        "mean": torch.from_numpy(c.mean),
        "std": torch.from_numpy(c.std),
        "encoder": dict(trained.encoder.state_dict()),
    }
    if c.pose is not None:
        held["pose"] = {
            name: torch.from_numpy(np.ascontiguousarray(getattr(c.pose, name)))
            for name in ("mean_face", "basis", "response")
        }
    with atomic(path) as file:
        torch.save(held, file)


def load(path: Path) -> TrainedEncoder:
    """Read what `save` wrote.

    Raises:
        RefusedCheckpoint: it is no such file.
    """
    held = load_checkpoint(path)
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise RefusedCheckpoint(f"{path} is no style encoder of this package; make one with `lipsync-eval style-train`")
    try:
        pose = (
            None
            if held.get("pose") is None
            else PoseModel(*(held["pose"][name].double().numpy() for name in ("mean_face", "basis", "response")))
        )
        mean, std, window = held["mean"].double().numpy(), held["std"].double().numpy(), int(held["window"])
        constants = StyleConstants(str(held["features"]), mean, std, pose, str(held["provenance"]), "")
        encoder = StyleEncoder(len(mean))
        tensors = held["encoder"]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise RefusedCheckpoint(f"{path} is a damaged style encoder ({error!r}); train it again") from error
    fit(encoder, tensors, source=path.name)
    return TrainedEncoder(encoder.eval().requires_grad_(False), constants, window)
