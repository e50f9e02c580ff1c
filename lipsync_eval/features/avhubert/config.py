"""Sizes and input constants of one AV-HuBERT checkpoint: from its tensors, completed and checked by its own cfg.

The cfg of official files is a plain dict, an omegaconf DictConfig or an argparse.Namespace (the loader gives the last two as
inert stubs). The Base configs state no encoder sizes at all; trainers that were not patched write no `w2v_args`.
Facts: facebookresearch/av_hubert@258fb50, fairseq@afc77bdf.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lipsync_eval.errors import RefusedCheckpoint
from lipsync_eval.weights import Stub

if TYPE_CHECKING:
    import torch

HEAD_WIDTH: Final = 64
"""Width of an attention head in both released sizes; used only where the cfg says nothing."""
CROP: Final = 88
"""Side in px of the frame that the network was trained on."""
STACKED: Final = 104
"""26 log filter banks of 4 consecutive 10 ms frames."""
_LAYER: Final = re.compile(r"encoder\.layers\.(\d+)\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AVHuBERTConfig:
    """What a network needs to know before its tensors are put in."""

    layers: int
    """Transformer layers: 12 in Base, 24 in Large."""
    dim: int
    """D, width of a feature: 768, 1024."""
    ffn: int
    """3072, 4096."""
    heads: int
    """12, 16."""
    normalize: bool
    """Layer norm of each audio frame over its 104 values."""
    image_mean: float
    """Of gray / 255."""
    image_std: float


BASE: Final = AVHuBERTConfig(layers=12, dim=768, ffn=3072, heads=12, normalize=True, image_mean=0.421, image_std=0.165)
LARGE: Final = AVHuBERTConfig(
    layers=24, dim=1024, ffn=4096, heads=16, normalize=True, image_mean=0.421, image_std=0.165
)


def read_config(held: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], source: str) -> AVHuBERTConfig:
    """The configuration of a checkpoint.

    Widths come from the tensors; the number of heads leaves no trace in them and comes from cfg, else dim / 64.

    Args:
        held: the whole checkpoint as `load_checkpoint` gave it.
        tensors: the encoder's tensors, prefix taken off.
        source: file name, for messages.

    Raises:
        RefusedCheckpoint: a variant of the network that is not supported, or cfg and tensors disagree.
    """
    layers = 1 + max((int(m[1]) for key in tensors if (m := _LAYER.match(key))), default=-1)
    dim, fused = tensors["post_extract_proj.weight"].shape
    ffn = tensors["encoder.layers.0.fc1.weight"].shape[0] if layers else 0
    model, tasks = _model_cfg(held), _task_cfgs(held)
    _check(
        model, tasks, source, {"encoder_layers": layers, "encoder_embed_dim": dim, "encoder_ffn_embed_dim": ffn}, fused
    )
    heads = _get(model, "encoder_attention_heads") or dim / HEAD_WIDTH
    if not isinstance(heads, int | float) or heads != int(heads) or heads < 1 or dim % int(heads):
        raise RefusedCheckpoint(
            f"{source}: the number of attention heads is not in its cfg, and width {dim} is no multiple of {HEAD_WIDTH}"
        )
    return AVHuBERTConfig(
        layers=layers,
        dim=dim,
        ffn=ffn,
        heads=int(heads),
        normalize=bool(_first(tasks, "normalize", True)),
        image_mean=float(_first(tasks, "image_mean", BASE.image_mean)),
        image_std=float(_first(tasks, "image_std", BASE.image_std)),
    )


def _check(model: object, tasks: tuple[object, ...], source: str, sizes: Mapping[str, int], fused: int) -> None:
    for key, found in sizes.items():
        said = _get(model, key)
        if isinstance(said, int) and said != found:
            raise RefusedCheckpoint(
                f"{source} contradicts itself: its cfg says {key} = {said}, its tensors {found}; use the official file"
            )
    if fused != 2 * sizes["encoder_embed_dim"]:
        raise RefusedCheckpoint(
            f"{source}: audio and video are not fused by concatenation; only modality_fuse = concat is supported"
        )
    wanted: tuple[tuple[object, str, object], ...] = (
        (model, "layer_norm_first", True),
        (model, "modality_fuse", "concat"),
        (model, "sub_encoder_layers", 0),
        *((task, "stack_order_audio", STACKED // 26) for task in tasks),
        *((task, "image_crop_size", CROP) for task in tasks),
    )
    for node, key, supported in wanted:
        said = _get(node, key)
        if said is not None and said != supported:
            raise RefusedCheckpoint(
                f"{source}: its cfg says {key} = {said!r}; only {supported!r}, as in every released file, is supported"
            )


def _model_cfg(held: Mapping[str, Any]) -> object:
    """The encoder's own model cfg: of a fine-tuned file the one of its pre-training (`w2v_args`), which may be missing."""
    root = held.get("cfg") or held.get("args")
    model = _get(root, "model") or root
    trained = _get(model, "w2v_args")
    return _get(trained, "model") or trained or model


def _task_cfgs(held: Mapping[str, Any]) -> tuple[object, ...]:
    """Task cfgs, the file's own before that of its pre-training."""
    root = held.get("cfg") or held.get("args")
    trained = _get(_get(root, "model"), "w2v_args")
    return tuple(node for node in (_get(root, "task"), _get(trained, "task")) if node is not None)


def _first(nodes: tuple[object, ...], key: str, default: Any) -> Any:
    return next((said for node in nodes if (said := _get(node, key)) is not None), default)


def _get(node: object, key: str) -> Any:
    """One entry of a dict, DictConfig stub or Namespace stub; None where there is none."""
    inner = _plain(node)
    return _plain(inner.get(key)) if isinstance(inner, dict) else None


def _plain(node: object) -> object:
    """What a stub stands for: a DictConfig keeps it under _content, a config node under _val, a Namespace is its attributes."""
    for _ in range(4):
        if not isinstance(node, Stub):
            return node
        state = node.state if isinstance(node.state, dict) else {}
        node = state.get("_content", state.get("_val", state))
    return node
