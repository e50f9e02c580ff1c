"""The shapes of the networks, without data, weights and memory: `avhubert-expert train --dry-run`."""

from __future__ import annotations

import torch

from lipsync_eval.baselines.avhubert_expert.config import AVHubertExpertConfig
from lipsync_eval.baselines.avhubert_expert.network.discriminator import SpectralDiscriminator
from lipsync_eval.baselines.avhubert_expert.network.generator import ExpertGenerator
from lipsync_eval.baselines.avhubert_expert.network.lip_expert import LipExpert
from lipsync_eval.baselines.kit.data.wav2lip_mel import BANDS, COLUMNS
from lipsync_eval.baselines.kit.training.dry_run import counted, shape


def shapes(config: AVHubertExpertConfig) -> str:
    """One line per map, then parameters of every network."""
    m = config.model
    with torch.device("meta"):
        model = ExpertGenerator(config).eval()
        expert = LipExpert(config.expert)
        frame, mel = torch.empty(1, 3, m.size, m.size), torch.empty(1, 1, BANDS, COLUMNS)
        known, heard = model.know(frame), model.audio(mel)
        output = model.generate(frame, known, mel)
    discriminator = SpectralDiscriminator(config.discriminator, m.size)
    lines = [f"target     {shape(frame)}, lower half black", f"identity   {shape(frame)}", f"mel        {shape(mel)}"]
    lines += [f"map {i}      {shape(x)}, of both image encoders" for i, x in enumerate(known.maps)]
    lines.append(f"vectors    2 x {shape(known.vector)}, audio {shape(heard)}")
    how = "added" if m.skip == "add" else "joined"
    for i, x in enumerate(reversed(known.maps), start=1):
        lines.append(f"decoder {i}  {shape(x)}, then maps {len(known.maps) - i} {how}")
    lines += [f"output     {shape(output)}", ""]
    parts = {
        "identity encoder": model.identity,
        "pose encoder": model.pose,
        "audio tower, frozen": model.audio,
        "decoder": model.decoder,
        "image discriminator": discriminator,
        "lip expert": expert,
    }
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return "\n".join([*lines, *counted(parts), f"{'generator, trained':20} {trained:>12,} parameters"]) + "\n"
