"""What the generator is trained for: the terms of eq. 6 that the configuration and the files at hand allow."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipsync_eval.baselines.radio import losses, vgg
from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.dataset import Sample
from lipsync_eval.baselines.radio.expert import Context, Expert
from lipsync_eval.baselines.radio.runs import open_checkpoint
from lipsync_eval.baselines.radio.spans import T
from lipsync_eval.baselines.radio.sync import SyncDiscriminator


class Term(NamedTuple):
    """One weighted term."""

    weight: float
    value: Tensor


class Objective:
    """Frozen networks of the losses, and the sum."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device = config, device
        loss = config.loss
        self.vgg = vgg.load(loss.vgg_weights).to(device) if loss.vgg and loss.vgg_weights else None
        self.sync = load_sync(config, device) if loss.sync and loss.sync_checkpoint else None
        self.expert = Expert(loss.avhubert_weights, device) if loss.avhubert and loss.avhubert_weights else None

    @property
    def notes(self) -> list[str]:
        """A sentence for every term of eq. 6 that is off."""
        loss = self.config.loss
        off = []
        if self.vgg is None:
            off.append(
                "the VGG term of the reconstruction loss is off: set loss.vgg_weights to a torchvision VGG16 or VGG19 state dict"
            )
        if self.sync is None:
            off.append("the sync loss is off: set loss.sync_checkpoint to a run of `radio train-sync`")
        if not loss.adversarial:
            off.append("the adversarial loss is off: loss.adversarial is 0")
        return off

    def terms(self, output: Tensor, sample: Sample, context: Context | None, logits: Tensor | None) -> dict[str, Term]:
        """The terms of one batch.

        Args:
            output: (B * T, 3, size, size) generated.
            sample: the batch it was made from.
            context: needed by the AV-HuBERT term.
            logits: (B * T,) of the image discriminator on the output; None while the adversarial term is off.
        """
        loss = self.config.loss
        target = sample.target.flatten(0, 1)
        found = {"l1": Term(loss.l1, losses.pixel(output, target))}
        if self.vgg is not None:
            with torch.no_grad():
                wanted = self.vgg(target)
            found["vgg"] = Term(loss.vgg, losses.perceptual(self.vgg(output), wanted, loss.vgg_layers))
        if logits is not None:
            found["adversarial"] = Term(loss.adversarial, losses.adversarial_generator(logits))
        if self.sync is not None:
            found["sync"] = Term(loss.sync, self._sync(output, sample))
        if self.expert is not None and context is not None:
            found["avhubert"] = Term(loss.avhubert, self.expert.loss(output.reshape(-1, T, *output.shape[1:]), context))
        return found

    def _sync(self, output: Tensor, sample: Sample) -> Tensor:
        cosine = sync_cosine(self.sync, output, sample)
        p = losses.sync_probability(cosine, self.config.sync.probability)
        return losses.sync(p, torch.ones_like(p))


def sync_cosine(net: nn.Module | None, output: Tensor, sample: Sample) -> Tensor:
    """(B,) cosine of eq. 4 between windows of generated pictures (B * T, 3, size, size) and their sound."""
    if net is None:
        return output.new_zeros(0)
    cosine: Tensor = net(output.float().reshape(-1, T, *output.shape[1:]), sample.mel[:, T // 2])
    return cosine


def load_sync(config: Config, device: torch.device) -> SyncDiscriminator:
    """The frozen sync discriminator that `loss.sync_checkpoint` names, in evaluation mode.

    Raises:
        RefusedCheckpoint: not a checkpoint of train-sync, damaged, or of another shape than `sync` says.
    """
    from lipsync_eval.errors import RefusedCheckpoint
    from lipsync_eval.weights import fit

    path = config.loss.sync_checkpoint
    if path is None:
        raise RefusedCheckpoint("no sync discriminator named; set loss.sync_checkpoint")
    held = open_checkpoint(path, "sync")
    if held.config.sync != config.sync:
        raise RefusedCheckpoint(
            f"{held.folder} was trained with sync = {held.config.sync}, the configuration says {config.sync}"
        )
    net = SyncDiscriminator(config.sync)
    fit(net, held.tensors(), source=str(held.folder))
    return net.eval().requires_grad_(False).to(device)
