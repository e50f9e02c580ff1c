"""What RADIO is trained for: the terms of eq. 6 that the configuration and the files at hand allow."""

from __future__ import annotations

import torch
from torch import Tensor

from lipsync_eval.baselines.kit.sync.network import sync_cosine
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.lip_reading import lip_reading_term
from lipsync_eval.baselines.kit.training.terms import (
    Made,
    Objective,
    Term,
    adversarial_term,
    held,
    perceptual_term,
    pixel_term,
)
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.baselines.radio.training.sync import load_sync


def objective(config: RadioConfig, device: torch.device) -> Objective:
    """The terms, in the order l1, vgg, adversarial, sync, avhubert; and a note for every term of eq. 6 that is off."""
    loss = config.loss
    terms, notes, scores = [pixel_term(loss.l1)], [], {}
    if loss.vgg and loss.vgg_weights:
        terms.append(perceptual_term(loss.vgg, loss.vgg_weights, loss.vgg_layers, device))
    else:
        notes.append(
            "the VGG term of the reconstruction loss is off: set loss.vgg_weights to a torchvision VGG16 or VGG19 state dict"
        )
    if loss.sync and loss.sync_checkpoint:
        net = load_sync(config, device)

        def by_sync(made: Made) -> Tensor:
            """(), eq. 5 of the generated frames."""
            seen = held(made, loss.sync_clip, loss.l1, config.train.accumulate)
            return _sync(config, sync_cosine(net, seen))

        sync = Term("sync", loss.sync, by_sync)
        scores["sync"] = lambda made: sync_cosine(net, made)
    else:
        sync = None
        notes.append("the sync loss is off: set loss.sync_checkpoint to a run of `radio train-sync`")
    if loss.adversarial:
        terms.append(adversarial_term(loss.adversarial, config.train.adversarial_from))
    else:
        notes.append("the adversarial loss is off: loss.adversarial is 0")
    if sync is not None:
        terms.append(sync)
    if loss.avhubert and loss.avhubert_weights:
        context, variant = loss.avhubert_context, loss.avhubert_variant
        terms.append(lip_reading_term(loss.avhubert, loss.avhubert_weights, context, device, variant))
    return Objective(tuple(terms), scores, tuple(notes))


def _sync(config: RadioConfig, cosine: Tensor) -> Tensor:
    p = losses.sync_probability(cosine, config.sync.probability)
    return losses.sync(p, torch.ones_like(p))
