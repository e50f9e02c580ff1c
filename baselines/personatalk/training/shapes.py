"""The shapes of both networks, without data and without memory: `--dry-run`."""

from __future__ import annotations

import torch
from torch import nn

from lipsync_eval.baselines.kit.data.mel import BANDS, PER_FRAME
from lipsync_eval.baselines.kit.training.dry_run import counted, shape
from lipsync_eval.baselines.personatalk.config import PersonaTalkConfig
from lipsync_eval.baselines.personatalk.data.sound import SAMPLES
from lipsync_eval.baselines.personatalk.geometry.provider import open_provider
from lipsync_eval.baselines.personatalk.network.stage1 import GeometryNetwork, HubertEncoder
from lipsync_eval.baselines.personatalk.network.stage2 import Renderer
from lipsync_eval.baselines.personatalk.training.render import TwoDiscriminators


def geometry_shapes(config: PersonaTalkConfig) -> str:
    """Stage 1 for one sample."""
    topology = open_provider(config.geometry, topology_only=True).topology
    count, frames = topology.count, config.geometry_train.window
    with torch.device("meta"):
        network = GeometryNetwork(config.stage1, topology)
        hubert = config.stage1.audio == "hubert"
        sound = torch.empty((1, SAMPLES * frames) if hubert else (1, PER_FRAME * frames, BANDS))
        audio = network.audio(sound, frames)
        style = network.style_of(torch.empty(1, config.geometry_train.reference, count, 3))
        stylised = network.stylise(audio, style)
        driven = network.drive_template(stylised, torch.empty(1, count, 3))
        output = network(sound, style, torch.empty(1, count, 3), frames)
    lines = [
        f"provider   {config.geometry.provider}: {count} vertices, {len(topology.low)} low, {len(topology.triangles)} triangles",
        f"sound      {shape(sound)} ({config.stage1.audio})",
        f"A          {shape(audio)}",
        f"S          {shape(style)}" + ("" if config.stage1.style else ", always 0"),
        f"B          {shape(stylised)}",
        f"driven     {shape(driven)}",
        f"output     {shape(output)}, displacements of the lower face",
        "",
    ]
    encoder = network.audio.hubert if isinstance(network.audio, HubertEncoder) else None
    rest = nn.ModuleList([m for name, m in network.named_children() if name != "audio"])
    parts: dict[str, nn.Module | None] = {
        "audio encoder": network.audio,
        "of it HuBERT": encoder,
        "all but audio": rest,
        "geometry network": network,
    }
    return "\n".join(lines + counted(parts)) + "\n"


def render_shapes(config: PersonaTalkConfig) -> str:
    """Stage 2 for one target frame."""
    c = config.stage2
    with torch.device("meta"):
        renderer = Renderer(c)
        image = torch.empty(1, 3, c.size, c.size)
        geometry, texture = renderer.encode(image, image)
        query = renderer.geometry(image)
        output = renderer.decode(query.flatten(2).transpose(1, 2), image)
        judges = TwoDiscriminators(config) if config.render_loss.adversarial else None
    lip = "Lip-Attention" if renderer.lip is not None else "same layer"
    tokens = renderer.grid**2
    lines = [
        f"target     PNCC {shape(image)}",
        f"Q          {shape(query)} -> {tokens} tokens of {c.width}",
        f"reference  geometry {shape(geometry)}, texture {shape(texture)}",
        f"face       Face-Attention, {c.face_references} references, {c.face_references * tokens} keys",
        f"lips       {lip}, {c.lip_references} references in training ({c.lip_references * tokens} keys), "
        f"{c.lip_references_used} used ({c.lip_references_used * tokens} keys)",
        f"output     {shape(output)}",
        "",
    ]
    parts: dict[str, nn.Module | None] = {
        "geometry encoder": renderer.geometry,
        "texture encoder": renderer.texture,
        "renderer": renderer,
        "discriminators": judges,
    }
    return "\n".join(lines + counted(parts)) + "\n"
