"""`radio train --dry-run`: the resolved configuration and the shapes, without data and without memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lipsync_eval.baselines.radio.config import Config
from lipsync_eval.baselines.radio.discriminators import Discriminator
from lipsync_eval.baselines.radio.model import Radio
from lipsync_eval.baselines.radio.sync import SyncDiscriminator


def toml(config: Config) -> str:
    """The configuration as TOML; unset values are comments."""
    values = config.model_dump(mode="json")
    lines = [f"name = {_value(values.pop('name'))}"]
    for section, content in values.items():
        lines += ["", f"[{section}]"]
        for key, value in content.items():
            lines.append(f"# {key} is not set" if value is None else f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)


def shapes(config: Config) -> str:
    """One line per layer: shapes for one picture, then parameters of every network."""
    m = config.model
    with torch.device("meta"):
        model = Radio(m)
        discriminator = Discriminator(m.size, config.discriminator.multiplier, config.discriminator.channel_max)
        sync = SyncDiscriminator(config.sync)
        picture = torch.empty(1, 3, m.size, m.size)
        mel = torch.empty(1, 1, m.bands, m.mel_frames)
        known = model.reference(picture)
        contents, w = model.encode(picture, known, mel)
        output = model.decoder(contents, w, known.maps)
    lines = [f"target    {_shape(picture)}, lower half hidden", f"mel       {_shape(mel)}"]
    lines += [f"E_c {i:<5} {_shape(x)}" for i, x in enumerate(contents, start=1)]
    if known.code is not None:
        lines.append(f"f_s       {_shape(known.code)}")
    lines += [f"f_W       {_shape(w)}"]
    for i, plan in enumerate(m.decoder_plan, start=1):
        c_in, c_out = m.channels(plan.size_in), m.channels(plan.size_out)
        line = f"G {i:<7} {c_in}x{plan.size_in}x{plan.size_in} -> {c_out}x{plan.size_out}x{plan.size_out}"
        if plan.fidelity == "vit":
            rows, columns = plan.size_in // 2 // plan.patch, plan.size_in // plan.patch
            line += f", ViT before it: {m.vit_layers} layers, {m.heads} heads, {plan.patch}x{plan.patch} patches, {rows}x{columns} tokens"
        elif plan.fidelity == "add":
            line += ", lower half of the reference's map added before it"
        lines.append(line)
    lines += [f"output    {_shape(output)}", ""]
    parts: dict[str, nn.Module | None] = {
        "content encoder": model.content,
        "style encoder": model.style,
        "audio encoder": model.audio,
        "decoder": model.decoder,
        "generator": model,
        "image discriminator": discriminator,
        "sync discriminator": sync,
    }
    lines += [f"{name:20} {parameters(part):>12,} parameters" for name, part in parts.items() if part is not None]
    return "\n".join(lines) + "\n"


def parameters(module: nn.Module) -> int:
    """Trainable numbers of a module."""
    return sum(p.numel() for p in module.parameters())


def _shape(x: torch.Tensor) -> str:
    return "x".join(str(n) for n in x.shape[1:])
