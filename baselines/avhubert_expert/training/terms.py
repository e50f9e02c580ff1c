"""What the generator is trained for (eq. 3), and with which of table 4's four sync losses."""

from __future__ import annotations

import torch
from torch import Tensor

from lipsync_eval.baselines.avhubert_expert.config import AVHubertExpertConfig, LossConfig
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import HEARD
from lipsync_eval.baselines.avhubert_expert.training.entries import EntryScores, Generate
from lipsync_eval.baselines.avhubert_expert.training.lip_expert import load_expert, probability
from lipsync_eval.baselines.kit.data.holdout import Pool
from lipsync_eval.baselines.kit.sync.network import sync_cosine
from lipsync_eval.baselines.kit.training import losses
from lipsync_eval.baselines.kit.training.lip_reading import LipReader
from lipsync_eval.baselines.kit.training.terms import Made, Objective, Term, adversarial_term, held, perceptual_term

JOHNSON_RELU = 2
"""relu1_2, 2_2, 3_2, 4_2, 5_2."""


def objective(
    config: AVHubertExpertConfig,
    device: torch.device,
    generate: Generate | None = None,
    pool: Pool | None = None,
) -> Objective:
    """The terms l1, vgg, adversarial, sync; a note for every term that is off.

    With `generate` (the recipe's) and `pool`, held-out entries are also scored as a whole.
    """
    loss = config.loss
    terms, notes = [_pixel(loss.pixel)], []
    if loss.perceptual and loss.vgg_weights:
        terms.append(
            perceptual_term(loss.perceptual, loss.vgg_weights, loss.vgg_layers, device, relu=JOHNSON_RELU, squared=True)
        )
    else:
        notes.append("the perceptual loss is off: set loss.vgg_weights to a torchvision VGG19 state dict")
    if loss.adversarial:
        terms.append(adversarial_term(loss.adversarial, config.train.adversarial_from))
    else:
        notes.append("the adversarial loss is off: loss.adversarial is 0")
    if not loss.sync:
        notes.append("the sync loss is off: loss.sync is 0")
    elif loss.sync_kind == "lip_expert":
        return _with_lip_expert(config, terms, notes, device)
    elif loss.avhubert_weights:
        return _with_lip_reader(config, terms, notes, device, generate, pool)
    else:
        notes.append("the sync loss is off: set loss.avhubert_weights to an official AV-HuBERT Base checkpoint")
    return Objective(tuple(terms), notes=tuple(notes))


def _pixel(weight: float) -> Term:
    """'l1': mean absolute difference of values in [0, 1]; the kit's frames are in [-1, 1], twice as far apart."""
    return Term("l1", weight, lambda made: losses.pixel(made.output, made.target) / 2)


def _with_lip_expert(
    config: AVHubertExpertConfig, terms: list[Term], notes: list[str], device: torch.device
) -> Objective:
    """'sync': binary cross entropy of the lip expert's cosine with 1, the baseline of table 4."""
    loss, parts = config.loss, config.train.accumulate
    net = load_expert(config.expert).to(device)

    def sync(made: Made) -> Tensor:
        """(), of a batch."""
        p = probability(sync_cosine(net, clipped(made, loss, parts), HEARD))
        return losses.sync(p, torch.ones_like(p))

    terms.append(Term("sync", loss.sync, sync, begins=loss.sync_from))
    return Objective(tuple(terms), {"lip_expert": lambda made: sync_cosine(net, made, HEARD)}, tuple(notes))


def _with_lip_reader(
    config: AVHubertExpertConfig,
    terms: list[Term],
    notes: list[str],
    device: torch.device,
    generate: Generate | None,
    pool: Pool | None,
) -> Objective:
    """'sync': eq. 1 with AV-HuBERT; held-out windows are scored by AVS_u, whichever signal trains."""
    loss, kind, parts = config.loss, config.loss.sync_kind, config.train.accumulate
    if kind == "lip_expert" or loss.avhubert_weights is None:
        raise ValueError(f"{kind} needs no lip reader")
    expert = LipReader(loss.avhubert_weights, loss.context_max, device)

    def sync(made: Made) -> Tensor:
        """(), of a batch."""
        return expert.loss(clipped(made, loss, parts), kind)

    terms.append(Term("sync", loss.sync, sync, expert.reader, loss.sync_from))
    notes.append(
        "AV-HuBERT sees mouths of the generated crops, some tens of pixels wide, enlarged to its 96 px; "
        f"entries above loss.context_max = {loss.context_max} frames: a stretch of that length around the window"
    )
    count = loss.validation_entries
    return Objective(
        tuple(terms),
        {"avs_u": lambda made: expert.similarity(made, "unsupervised")},
        tuple(notes),
        score_readers=(expert.reader,),
        whole=EntryScores(pool, expert, generate, count) if pool and generate and count else None,
        best=("avs_u", 1),
    )


def clipped(made: Made, loss: LossConfig, parts: int) -> Made:
    """The frames that the sync loss sees: its gradient is held to `loss.sync_clip` norms of the pixel loss's."""
    return held(made, loss.sync_clip, loss.pixel / 2, parts)  # the pixel loss counts in [0, 1]
