"""The shapes of StyleSync's networks, without data and without memory: `stylesync train --dry-run`."""

from __future__ import annotations

import torch
from torch import nn

from lipsync_eval.baselines.kit.data.wav2lip_mel import BANDS, COLUMNS
from lipsync_eval.baselines.kit.network.discriminator import Discriminator
from lipsync_eval.baselines.kit.training.dry_run import counted, shape
from lipsync_eval.baselines.stylesync.config import SMALLEST, StyleSyncConfig
from lipsync_eval.baselines.stylesync.network.build import build
from lipsync_eval.baselines.stylesync.network.generator import StyleSync
from lipsync_eval.baselines.stylesync.network.personal import StyleOffsets
from lipsync_eval.baselines.stylesync.network.sync import SyncNet


def shapes(config: StyleSyncConfig) -> str:
    """One line per layer: shapes for one frame, then parameters of every network."""
    m = config.model
    with torch.device("meta"):
        model = build(m).eval()
        d = Discriminator(m.size, config.discriminator.multiplier, config.discriminator.channel_max)
        sync = SyncNet(config.sync).eval()
        frame = torch.empty(1, 3, m.size, m.size)
        mel = torch.empty(1, 1, BANDS, COLUMNS)
        output = model(frame, frame, mel)
        lines = [
            f"target    {shape(frame)}, hidden where the mask is",
            f"reference {shape(frame)}",
            f"mel       {shape(mel)}",
        ]
        parts: dict[str, nn.Module | None] = {}
        if isinstance(model, StyleSync):
            lines += _layers(config, model, frame, mel)
            offsets = StyleOffsets(m, config.personal.dw_width, config.personal.dw_shared)
            parts = {
                "face encoder": model.face,
                "audio encoder": model.audio,
                "style space": model.style,
                "synthesis": model.synthesis,
                "dW of P": offsets,
            }
    lines += [f"output    {shape(output)}, [-1, 1] outside the model", ""]
    parts |= {"generator": model, "image discriminator": d, "sync network": sync}
    return "\n".join(lines + counted(parts)) + "\n"


def _layers(config: StyleSyncConfig, model: StyleSync, frame: torch.Tensor, mel: torch.Tensor) -> list[str]:
    m = config.model
    maps, code = model.look(frame, frame)
    heard = model.hear(mel)
    lines = [f"F {size:<7} {shape(x)}{', masked (eq. 1)' if size in m.masked else ''}" for size, x in maps.items()]
    lines += [f"f_f       {shape(code)}", f"f_a       {shape(heard)}", f"w         {shape(model.style(heard, code))}"]
    number = 0
    for size in m.sizes:
        for k in range(1 if size == SMALLEST else 2):
            up = ", upsampled" if k == 0 and size > SMALLEST else ""
            lines.append(
                f"G {number + 1:<7} {m.channels(size)}x{size}x{size}, style {number + 1}, {m.inject} F {size}{up}"
            )
            number += 1
        lines.append(f"ToRGB     3x{size}x{size}, style {number + 1}")
    return [*lines, f"W+        {m.n_styles} style vectors"]
