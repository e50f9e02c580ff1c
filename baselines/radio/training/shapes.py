"""The shapes of RADIO's networks, without data and without memory: `radio train --dry-run`."""

from __future__ import annotations

import torch
from torch import nn

from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.training.dry_run import counted, shape
from lipsync_eval.baselines.radio.config import RadioConfig
from lipsync_eval.baselines.radio.network.generator import Radio
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator


def shapes(config: RadioConfig) -> str:
    """One line per layer: shapes for one frame, then parameters of every network."""
    m = config.model
    with torch.device("meta"):
        model = Radio(m)
        discriminator = Discriminator(m.size, config.discriminator.multiplier, config.discriminator.channel_max)
        sync = SyncDiscriminator(config.sync)
        frame = torch.empty(1, 3, m.size, m.size)
        mel = torch.empty(1, 1, m.bands, m.mel_frames)
        known = model.reference(frame)
        contents, w = model.encode(frame, known, mel)
        output = model.decoder(contents, w, known.maps)
    lines = [f"target    {shape(frame)}, lower half hidden", f"mel       {shape(mel)}"]
    lines += [f"E_c {i:<5} {shape(x)}" for i, x in enumerate(contents, start=1)]
    if known.code is not None:
        lines.append(f"f_s       {shape(known.code)}")
    lines += [f"f_W       {shape(w)}"]
    for i, plan in enumerate(m.decoder_plan, start=1):
        c_in, c_out = m.channels(plan.size_in), m.channels(plan.size_out)
        line = f"G {i:<7} {c_in}x{plan.size_in}x{plan.size_in} -> {c_out}x{plan.size_out}x{plan.size_out}"
        if plan.fidelity == "vit":
            rows, columns = plan.size_in // 2 // plan.patch, plan.size_in // plan.patch
            line += f", ViT before it: {m.vit_layers} layers, {m.heads} heads, {plan.patch}x{plan.patch} patches, {rows}x{columns} tokens"
        elif plan.fidelity == "add":
            line += ", lower half of the reference's map added before it"
        lines.append(line)
    lines += [f"output    {shape(output)}", ""]
    parts: dict[str, nn.Module | None] = {
        "content encoder": model.content,
        "style encoder": model.style,
        "audio encoder": model.audio,
        "decoder": model.decoder,
        "generator": model,
        "image discriminator": discriminator,
        "sync discriminator": sync,
    }
    return "\n".join(lines + counted(parts)) + "\n"
