"""Official AV-HuBERT checkpoints -> networks. No fairseq, no omegaconf: the file is read by the package's safe loader."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.device import pick
from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.features.avhubert.config import read_config
from lipsync_eval.features.avhubert.model import AVHuBERT
from lipsync_eval.weights import fit, load_checkpoint

if TYPE_CHECKING:
    import torch

_PREFIXES: Final = ("encoder.w2v_model.", "w2v_encoder.w2v_model.", "")
"""Fine-tuned for lip reading (seq2seq, then CTC), pre-trained."""
_UNUSED: Final = ("mask_emb", "label_embs_concat", "final_proj.")
"""Tensors of the training objective."""
_MARKS: Final = ("post_extract_proj.weight", "feature_extractor_video.proj.weight", "encoder.layers.0.fc1.weight")
"""Tensors that make a network AV-HuBERT."""
LICENCE: Final = (
    "AV-HuBERT weights are Meta's, for non-commercial research only and not for biometric processing: "
    "https://github.com/facebookresearch/av_hubert/blob/main/LICENSE"
)
_told: list[str] = []


def load(path: Path, device: str = "cpu") -> AVHuBERT:
    """Read an official checkpoint: pre-trained or fine-tuned, Base or Large, cfg as dict, omegaconf or Namespace.

    Only the encoder is kept (of a fine-tuned file not its decoder). `task_state` and everything else that fairseq needs may
    be missing. Says once per process, on stderr, what the weights' licence allows.

    Args:
        path: a .pt file as published, or one of the same format.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'; TF32 is switched off there, since it moves features by more than rounding.

    Returns:
        the network in evaluation mode, float32, its weights frozen (requires_grad False).

    Raises:
        RefusedCheckpoint: damaged, unsafe, another network, or a decoder without its encoder.
        WeightsError: the file cannot be opened.
        UsageError: no such device.
    """
    tell_licence()
    return read(path).to(pick(device))


def read(path: Path) -> AVHuBERT:
    """`load` on the CPU, without the word on the licence."""
    held = load_checkpoint(path)
    tensors = _encoder_tensors(held, path.name)
    config = read_config(held if isinstance(held, Mapping) else {}, tensors, path.name)
    model = AVHuBERT(config)
    fit(model, tensors, source=path.name)
    return model.requires_grad_(False)


def tell_licence() -> None:
    """Log, once per process, what the weights may be used for."""
    if not _told:
        _told.append(LICENCE)
        logging.getLogger("lipsync_eval").warning(LICENCE)


def _encoder_tensors(held: object, source: str) -> dict[str, torch.Tensor]:
    """The encoder's tensors, prefix taken off."""
    found = _tensors(held, source)
    for prefix in _PREFIXES:
        if f"{prefix}{_MARKS[0]}" in found:
            inner = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
            missing = [mark for mark in _MARKS if mark not in inner]
            if missing:
                raise RefusedCheckpoint(
                    f"{source} is no complete AV-HuBERT encoder: {prefix}{missing[0]} is missing; use the official file"
                )
            return {k: v for k, v in inner.items() if not k.startswith(_UNUSED)}
    if any(k.startswith("decoder.") for k in found):
        raise RefusedCheckpoint(
            f"{source} holds a decoder without an AV-HuBERT encoder (tensors start with {_sample(found)}); scores need the "
            "encoder: give the whole fine-tuned file"
        )
    raise RefusedCheckpoint(
        f"{source} is another network: expected AV-HuBERT tensors such as encoder.w2v_model.{_MARKS[0]}, found {_sample(found)}"
    )


def _tensors(held: object, source: str) -> dict[str, torch.Tensor]:
    import torch

    inner: Any = held.get("model", held) if isinstance(held, Mapping) else None
    if isinstance(inner, Mapping):
        found = {str(k): v for k, v in inner.items() if isinstance(v, torch.Tensor)}
        if found:
            return found
    keys = ", ".join(map(str, list(held)[:8])) if isinstance(held, Mapping) else type(held).__name__
    raise RefusedCheckpoint(
        f"{source} holds no tensors under 'model', where a fairseq checkpoint has them; it holds: {keys}"
    )


def _sample(found: Mapping[str, Any]) -> str:
    return ", ".join(list(found)[:3])
