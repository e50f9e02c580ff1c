"""What G is trained for: eq. 5, as far as the configuration and the files at hand allow."""

from __future__ import annotations

import torch

from lipsync_eval.baselines.kit.sync.network import sync_cosine
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.terms import Made, Objective, Term, adversarial_term, held, perceptual_term
from lipsync_eval.baselines.stylesync.config import StyleSyncConfig
from lipsync_eval.baselines.stylesync.data.inputs import HEARD
from lipsync_eval.baselines.stylesync.training.sync import load_sync


def objective(config: StyleSyncConfig, device: torch.device, goes_on: bool = False, parts: int = 1) -> Objective:
    """The terms, in the order l1, vgg, adversarial, sync; and a note for every term of eq. 5 that is off.

    Args:
        config: of the run.
        device: of frozen networks.
        goes_on: whether the image discriminator is one that was trained already; the adversarial term then begins with
            the first step, not with `train.adversarial_from`.
        parts: of a batch, of whichever is trained (accumulate).
    """
    loss = config.loss
    scale = 0.5 if config.model.range == "unit" else 1.0  # frames outside the model are in [-1, 1]

    def l1(made: Made) -> torch.Tensor:
        """(), in units of the model's own range."""
        return losses.pixel(made.output, made.target) * scale

    terms, notes, scores = [Term("l1", loss.rec, l1)], [], {}
    if loss.vgg and loss.vgg_weights:
        terms.append(perceptual_term(loss.rec * loss.vgg, loss.vgg_weights, loss.vgg_layers, device))
    else:
        notes.append(
            "the VGG term of the reconstruction loss is off: set loss.vgg_weights to a torchvision VGG19 state dict"
        )
    if loss.adversarial:
        terms.append(adversarial_term(loss.adversarial, 0 if goes_on else config.train.adversarial_from))
        if loss.d_weights is None and not goes_on:
            notes.append(
                "the image discriminator begins untrained: the paper begins with StyleGAN2's for FFHQ, which gives sharper "
                "results; set loss.d_weights to a file in rosinality's format"
            )
    else:
        notes.append("the adversarial loss is off: loss.adversarial is 0")
    if loss.sync and loss.sync_checkpoint:
        net = load_sync(loss.sync_checkpoint, config.sync, config.model.align, device)

        def sync(made: Made) -> torch.Tensor:
            """(), eq. 4."""
            return -sync_cosine(net, held(made, loss.sync_clip, loss.rec * scale, parts), HEARD).mean()

        terms.append(Term("sync", loss.sync, sync))
        scores["sync"] = lambda made: sync_cosine(net, made, HEARD)
    elif loss.sync:
        notes.append("the sync loss is off: set loss.sync_checkpoint to a run of `stylesync train-sync`")
    else:
        notes.append("the sync loss is off: loss.sync is 0")
    return Objective(tuple(terms), scores, tuple(notes))
