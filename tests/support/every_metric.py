"""Tiny clips with all that any metric of the registry may ask for: seeded weights, the user's files, references."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import numpy as np
import torch
from golden.synthetic_inputs import motion

from lipsync_eval import Settings
from lipsync_eval.baselines.kit.training.checkpoints import save_checkpoint
from lipsync_eval.baselines.radio.config import SYNC
from lipsync_eval.baselines.radio.network.sync_discriminator import SyncDiscriminator
from lipsync_eval.demo import make_demo
from lipsync_eval.features.avhubert import AVHuBERT, AVHuBERTConfig
from lipsync_eval.features.blendshapes import installed
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.metrics.registry import specs, uses_networks
from lipsync_eval.types import FPS, RATE
from support import avhubert_expert, perception, quality, radio, syncnet_official
from support.vertices import vertices_encoder

POINTS: Final = 20
FRAMES: Final = {"networks": (17, 16), "others": (56, 54, 55)}
"""Of the clips of each half of the registry: a blink rate needs 50 frames, SLCC three clips, a window of FVD 16 frames."""
_LIGHT: Final = {"niqe", "brisque", "stylesim_diffposetalk", "stylesim_diffposetalk_ref"}
"""Metrics with weights that cost little; the style encoder needs 25 frames."""


def left_out() -> dict[str, str]:
    """Metrics that cannot run here -> why. All others of the registry are measured."""
    found = {
        name: "it is made by an experiment (`compare --leakage`), not by `score`"
        for name, spec in specs().items()
        if "experiment" in spec.needs
    }
    if not installed():
        names = ("efid_blendshapes", "stylesim_blendshapes", "stylesim_blendshapes_ref")
        found |= dict.fromkeys(names, "mediapipe is not installed")
    return found


def half(name: str) -> list[str]:
    """The ids that are measured, of metrics that run a network on frames, or of the others."""
    return [
        m for m in specs() if m not in left_out() and (uses_networks((m,)) and m not in _LIGHT) == (name == "networks")
    ]


def make(root: Path, name: str) -> Settings:
    """Clips of a half in root/gen and root/gt, what lies beside them, root/refs and root/weights.

    Returns:
        settings that find it all.
    """
    make_demo(root / "demo")
    demo = sorted(path.name for path in (root / "demo" / "gt").iterdir())
    for i, n in enumerate(FRAMES[name]):
        for side in ("gen", "gt"):
            clip = open_clip(root / "demo" / side / demo[i % len(demo)])
            assert clip.audio is not None
            (root / side).mkdir(exist_ok=True)
            start = 10 + 9 * i
            audio = clip.audio.samples[start * RATE // FPS :][: n * RATE // FPS]
            write_video(root / side / f"c{i}.mkv", clip.frames(start, start + n), audio=audio, codec="lossless")
            _beside(root / side, f"c{i}", n, 2 * i + (side == "gen"))
        (root / "refs").mkdir(exist_ok=True)
        for suffix in (".mkv", ".flame.npz", ".vertices.npz"):
            shutil.copy(root / "gt" / f"c{i}{suffix}", root / "refs" / f"c{i}{suffix}")
    return _settings(root, name)


def _beside(folder: Path, stem: str, n: int, seed: int) -> None:
    """The files that a user's own tools write: OpenFace, FLAME, Deep3D, vertices."""
    rng = np.random.default_rng(seed)
    units = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
    rows = [f"{k}, 0, 1, " + ", ".join(f"{x:.2f}" for x in rng.uniform(0, 5, len(units))) for k in range(1, n + 1)]
    head = "frame, face_id, success, " + ", ".join(f"AU{u:02d}_r" for u in units)
    (folder / f"{stem}.csv").write_text("\n".join([head, *rows]) + "\n")
    rest = np.random.default_rng(99).normal(size=(POINTS, 3))
    moved = rest + 0.1 * motion(seed, n, 3 * POINTS).reshape(n, POINTS, 3)
    np.savez(folder / f"{stem}.vertices.npz", vertices=moved, template=rest)
    np.savez(folder / f"{stem}.flame.npz", exp=motion(seed, n, 50), pose=0.1 * motion(seed + 5, n, 6))
    np.savez(folder / f"{stem}.deep3d.npz", exp=rng.normal(size=(n, 64)))


def _settings(root: Path, name: str) -> Settings:
    folder = root / "weights"
    folder.mkdir()
    weights, options = (_networks if name == "networks" else _others)(folder)
    return Settings(
        protocol="raw", cache_dir=None, weights_dir=folder, offline=True, device="cpu", reference=root / "refs",
        weights=weights, options=options,
    )  # fmt: skip


def _networks(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Seeded weights: files by row, and options."""
    perception.write_lpips(folder)
    perception.write_inception(folder)
    quality.write_fvd(folder)
    torch.save(syncnet_official.seeded_state(1, 0.3), folder / "syncnet.pth")
    weights = {
        "syncnet": folder / "syncnet.pth",
        "w600k_r50": perception.write_r18(folder / "r18.pt"),
        "avhubert": _avhubert(folder / "avhubert.pt"),
        "lip-expert": avhubert_expert.public_file(folder / "lipsync_expert.pth"),
    }
    return weights, {"sync_checkpoint": str(_sync(folder / "sync")), "fvd_start": "0"}


def _others(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    quality.write_quality(folder)
    stats = perception.golden("style_encoder/case2_nohead_51")
    np.savez(folder / "stats.npz", **{k.removeprefix("stats_"): stats[k] for k in stats if k.startswith("stats_")})
    (folder / "lips.txt").write_text("1, 2, 3")
    (folder / "upper.txt").write_text("5, 6")
    weights = {
        "diffposetalk": perception.GOLDEN / "style_encoder" / "case2_nohead_51_iter_0034000.pt",
        "diffposetalk.stats": folder / "stats.npz",
    }
    options = {"lip_vertices": str(folder / "lips.txt"), "upper_vertices": str(folder / "upper.txt")}
    return weights, options | {"style_encoder": str(_style_encoder(folder / "encoder.pt"))}


def _avhubert(path: Path) -> Path:
    """A small encoder in the form of a fine-tuned checkpoint."""
    torch.manual_seed(0)
    model = AVHuBERT(
        AVHuBERTConfig(layers=2, dim=64, ffn=96, heads=1, normalize=True, image_mean=0.421, image_std=0.165)
    )
    cfg = {
        "encoder_layers": 2, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 96, "encoder_attention_heads": 1,
        "layer_norm_first": True, "modality_fuse": "concat", "activation_fn": "gelu", "audio_feat_dim": 104,
        "resnet_relu_type": "prelu", "sim_type": "cosine",
    }  # fmt: skip
    task = {"normalize": True, "stack_order_audio": 4, "image_mean": 0.421, "image_std": 0.165, "image_crop_size": 88}
    torch.save({"model": model.state_dict(), "cfg": {"model": cfg, "task": task}}, path)
    return path


def _sync(folder: Path) -> Path:
    """RADIO's sync discriminator, in the smallest form that the training can make."""
    config = radio.micro()
    torch.manual_seed(0)
    net = SyncDiscriminator(config.sync)
    for _ in range(3):
        net(torch.rand(4, 5, 3, 32, 32) * 2 - 1, torch.rand(4, 1, 80, 20) * 2 - 1)
    return save_checkpoint(folder, SYNC, 1, config, net.state_dict(), {"x": torch.zeros(1)}, {})


def _vertices(path: Path, speaker: int) -> None:
    """2.4 s of one speaker."""
    rest = np.random.default_rng(99).normal(size=(POINTS, 3))
    moved = rest + 0.1 * motion(speaker, 60, 3 * POINTS).reshape(60, POINTS, 3)
    np.savez(path, vertices=moved, template=rest)


def _style_encoder(path: Path) -> Path:
    """An encoder of vertices, trained for a few steps by the command."""
    return vertices_encoder(path.parent / "corpus", path, 2, _vertices, "--steps", "3")
