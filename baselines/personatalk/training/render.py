"""`personatalk train-renderer`: stage 2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lipsync_eval.baselines.kit.data.holdout import Span
from lipsync_eval.baselines.kit.data.windows import AnyReader, Draw, Sample, Windows
from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.progress import Say
from lipsync_eval.baselines.kit.training import generator as kit
from lipsync_eval.baselines.kit.training.processes import Ranks
from lipsync_eval.baselines.kit.training.recipe import Adversary
from lipsync_eval.baselines.kit.training.terms import (
    Made,
    Objective,
    Term,
    adversarial_term,
    perceptual_term,
    pixel_term,
)
from lipsync_eval.baselines.personatalk.config import RENDERER, PersonaTalkConfig, RenderTrainConfig
from lipsync_eval.baselines.personatalk.data.inputs import camera_in, open_pool, template_of, vertices_of
from lipsync_eval.baselines.personatalk.data.references import training_any, training_face
from lipsync_eval.baselines.personatalk.geometry.pncc import lip_mask, pncc
from lipsync_eval.baselines.personatalk.geometry.provider import open_provider
from lipsync_eval.baselines.personatalk.geometry.topology import Topology
from lipsync_eval.baselines.personatalk.network.stage2 import Renderer
from lipsync_eval.types import Float


@dataclass
class ReferenceReader:
    """Geometry of the target, its references, and the lip mask (a `DrawingReader`).

    pncc (3, S, S), lips (S, S) and mask (S/4, S/4) in 0..1; face_frames, lip_frames (N, 3, S, S) in [-1, 1]; face_pnccs,
    lip_pnccs (N, 3, S, S).
    """

    config: PersonaTalkConfig
    topology: Topology
    predicted: Any = None
    """Predicted vertices of an entry, from `loss.geometry_checkpoint`; None: real geometry alone."""

    def drawn(self, windows: Windows, span: Span, start: int, draw: Draw) -> dict[str, Tensor]:
        """Of the frame `start`."""
        c, i = self.config.stage2, start
        if c.references == "selected":
            near = training_face(i, span.start, span.stop, c.face_references, c.window, draw.rng)
        else:
            near = training_any(i, span.start, span.stop, c.face_references, draw.rng)
        far = training_any(i, span.start, span.stop, c.lip_references, draw.rng)
        loss, pace = self.config.render_loss, self.config.render_train
        own = vertices_of(windows, span, i, i + 1)[0]
        target = own
        if (
            self.predicted is not None
            and draw.number >= loss.mixed_from * pace.batch
            and draw.rng.random() < loss.mixed
        ):
            target = self.predicted(windows, span, i)
        camera = camera_in(windows, span, i)
        posed, real = (camera.pose(v[None])[0] for v in (target, own))
        lips = [posed[self.topology.lips, :2], real[self.topology.lips, :2]]
        numbers = {
            "pncc": pncc(self.topology, posed, c.size),
            "lips": lip_mask(lips, c.size, c.size),
            "mask": lip_mask(lips, c.size, c.size // 4),
            "face_pnccs": np.stack([self._pncc(windows, span, k) for k in near]),
            "lip_pnccs": np.stack([self._pncc(windows, span, k) for k in far]),
        }
        tensors = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in numbers.items()}
        frames = {"face_frames": windows.tensor(span, near), "lip_frames": windows.tensor(span, far)}
        return tensors | frames

    def _pncc(self, windows: Windows, span: Span, index: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        vertices = vertices_of(windows, span, index, index + 1)
        return pncc(self.topology, camera_in(windows, span, index).pose(vertices)[0], self.config.stage2.size)


class PredictedVertices:
    """Stage 1's vertices for prepared entries; the last few entries' are kept."""

    def __init__(self, checkpoint: Path) -> None:
        from lipsync_eval.baselines.personatalk.training.loading import load_geometry_network

        self.network, _, self.topology, _ = load_geometry_network(checkpoint, "cpu")
        self._kept: dict[tuple[str, int], Float] = {}

    def __call__(self, windows: Windows, span: Span, index: int) -> Float:
        """(L, 3) of frame `index`: the lower face predicted, the upper one real."""
        from lipsync_eval.baselines.personatalk.training.loading import predict

        key = (span.shard.file, span.number)
        if key not in self._kept:
            while len(self._kept) >= 8:
                del self._kept[next(iter(self._kept))]
            samples = (windows.array(span, "audio") / 32768).astype(np.float32)
            whole, template = vertices_of(windows, span, 0, span.entry.frames), template_of(windows, span)
            moved = predict(self.network, samples, self.topology.mean + whole - template, template)
            whole[:, self.topology.low] = template[self.topology.low] + moved[: len(whole)]
            self._kept[key] = whole
        found: Float = self._kept[key][index]
        return found


class TwoDiscriminators(nn.Module):
    """StyleGAN2's on the whole crop and on the mouth: (N, 3, S, S) -> (2 N,) logits."""

    def __init__(self, config: PersonaTalkConfig) -> None:
        super().__init__()
        size, d = config.stage2.size, config.discriminator
        left, top, right, bottom = (round(x * size) for x in config.render_loss.mouth)
        self.box = left, top, right, bottom
        self.whole = Discriminator(size, d.multiplier, d.channel_max)
        self.mouth = Discriminator(min(right - left, bottom - top), d.multiplier, d.channel_max)

    def forward(self, image: Tensor) -> Tensor:
        """The whole crops' logits, then the mouths'."""
        left, top, _, _ = self.box
        side = self.mouth.size
        return torch.cat([self.whole(image), self.mouth(image[:, :, top : top + side, left : left + side])])


def lips_term(weight: float) -> Term:
    """'lips': mean absolute difference inside the lips' hull."""

    def loss(made: Made) -> Tensor:
        """(), of a batch."""
        mask = made.sample.more["lips"][:, None]
        difference = (made.output.float() - made.target).abs() * mask
        return difference.sum() / (3 * mask.sum()).clamp(min=1)

    return Term("lips", weight, loss)


def lips_psnr(made: Made) -> Tensor:
    """(B,) dB inside the lips' hull."""
    mask = made.sample.more["lips"][:, None]
    square = ((made.output.float().clamp(-1, 1) - made.target).square() * mask).sum((1, 2, 3))
    return 10 * torch.log10(4 * 3 * mask.sum((1, 2, 3)) / square.clamp(min=1e-12))


class RenderRecipe:
    """How stage 2 is trained (kit.training.recipe.Recipe)."""

    kind = RENDERER

    def __init__(self, config: PersonaTalkConfig) -> None:
        self.config = config
        self.train: RenderTrainConfig = config.render_train
        self.workers = config.data.workers
        checkpoint = config.render_loss.geometry_checkpoint
        predicted = None if checkpoint is None else PredictedVertices(checkpoint)
        topology = open_provider(config.geometry, topology_only=True).topology
        self.readers: tuple[AnyReader, ...] = (ReferenceReader(config, topology, predicted),)

    def generator(self) -> nn.Module:
        """The renderer of this configuration."""
        return Renderer(self.config.stage2)

    def adversary(self) -> Adversary | None:
        """Both discriminators, unless their weight is 0."""
        loss = self.config.render_loss
        return Adversary(TwoDiscriminators(self.config), loss.r1, loss.r1_every) if loss.adversarial else None

    def objective(self, device: torch.device) -> Objective:
        """L1, lips, VGG, adversarial."""
        loss = self.config.render_loss
        terms, notes = [pixel_term(loss.l1), lips_term(loss.lips)], []
        if loss.vgg_weights is not None:
            terms.append(perceptual_term(loss.vgg, loss.vgg_weights, loss.vgg_layers, device))
        elif loss.vgg:
            notes.append("no perceptual term; give render_loss.vgg_weights=FILE (a torchvision VGG19 state dict)")
        if loss.adversarial:
            terms.append(adversarial_term(loss.adversarial, self.train.adversarial_from))
        if loss.geometry_checkpoint is None and loss.mixed:
            notes.append("real geometry alone; give render_loss.geometry_checkpoint=RUN to mix in that of stage 1")
        return Objective(tuple(terms), {"psnr_lips": lips_psnr}, tuple(notes))

    def groups(self, generator: nn.Module) -> list[dict[str, Any]]:
        """One."""
        return [{"params": list(generator.parameters()), "lr": self.train.lr}]

    def generate(self, generator: nn.Module, sample: Sample) -> Tensor:
        """One target a sample."""
        m = sample.more
        names = ("pncc", "mask", "face_frames", "face_pnccs", "lip_frames", "lip_pnccs")
        return cast(Tensor, generator(*(m[name] for name in names)))

    def shown(self, target: Tensor) -> Tensor:
        """The target itself: the network sees its geometry alone."""
        return target


def run_training(config: PersonaTalkConfig, out: Path, ranks: Ranks, *, resume: bool, say: Say) -> None:
    """Train stage 2 into the folder `out`; see `kit.training.loop.run_task`."""
    kit.train_generator(RenderRecipe(config), config, open_pool(config, 1), out, ranks, resume=resume, say=say)


def overfit_check(config: PersonaTalkConfig, ranks: Ranks, steps: int, say: Say) -> tuple[float, float]:
    """See `kit.training.generator.overfit_check`."""
    return kit.overfit_check(RenderRecipe(config), open_pool(config, 1), ranks, steps, say)
