"""Checkpoints of seeded random weights in a generator's own format, to run its real code where its weights cannot be had.

    ENV/bin/python benchmarks/seeded_checkpoints.py wav2lip|gpen|ip_lap|pc_avs|stylesync|sadtalker REPO [--seed 7]

Runs in the generator's own environment, from its own repository; writes where its code looks. The videos that come
out are noise where the network paints: they prove the path from manifest to table, not quality.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "golden"))


def wav2lip(seed: int) -> dict[str, object]:
    from models import Wav2Lip  # type: ignore[import-not-found]
    from seeded_weights import fill  # type: ignore[import-not-found]

    state = {f"module.{k}": v for k, v in fill(Wav2Lip().state_dict(), seed).items()}
    return {"checkpoints/wav2lip.pth": {"state_dict": state, "optimizer": None, "global_step": 0, "global_epoch": 0}}


def gpen(seed: int) -> dict[str, object]:
    import __init_paths  # type: ignore[import-not-found]  # noqa: F401
    from data import cfg_re50  # type: ignore[import-not-found]
    from facemodels.retinaface import RetinaFace  # type: ignore[import-not-found]
    from gpen_model import FullGenerator  # type: ignore[import-not-found]
    from parse_model import ParseNet  # type: ignore[import-not-found]
    from rrdbnet_arch import RRDBNet  # type: ignore[import-not-found]
    from seeded_weights import fill

    parser = ParseNet(512, 512, 32, 64, 19, norm_type="bn", relu_type="LeakyReLU", ch_range=[32, 256])
    enlarger = RRDBNet(num_in_ch=3, num_out_ch=3, num_feat=32, num_block=23, num_grow_ch=32, scale=2)
    return {
        "weights/GPEN-BFR-256.pth": fill(FullGenerator(256, 512, 8, 1, narrow=0.5, device="cpu").state_dict(), seed),
        "weights/RetinaFace-R50.pth": fill(RetinaFace(cfg=cfg_re50, phase="test").state_dict(), seed),
        "weights/ParseNet-latest.pth": fill(parser.state_dict(), seed),
        "weights/realesrnet_x2.pth": {"params_ema": fill(enlarger.state_dict(), seed)},
    }


def ip_lap(seed: int) -> dict[str, object]:
    """Its two checkpoints, and the two that face_alignment looks for in TORCH_HOME/hub/checkpoints. The seeded face detector would see
    faces everywhere: it is set to see them on its coarsest grid only (boxes of 512 px, of which few remain)."""
    import torch
    from face_alignment.detection.sfd.net_s3fd import s3fd  # type: ignore[import-not-found]
    from face_alignment.models import FAN  # type: ignore[import-not-found]
    from models import Landmark_generator, Renderer
    from seeded_weights import fill

    landmarks = Landmark_generator(T=5, d_model=512, nlayers=4, nhead=4, dim_feedforward=1024, dropout=0.1)
    detector = fill(s3fd().state_dict(), seed, scale=[("_mbox_", 0.0)])
    for key in detector:
        if key.endswith("_mbox_conf.bias"):
            sees = key.startswith("conv7_2")
            detector[key] = torch.tensor([0.0] * (len(detector[key]) - 1) + [9.0 if sees else -9.0])
    return {
        "test/checkpoints/landmarkgenerator_checkpoint.pth": {"state_dict": fill(landmarks.state_dict(), seed)},
        "test/checkpoints/renderer_checkpoint.pth": {"state_dict": fill(Renderer().state_dict(), seed)},
        "test/checkpoints/hub/checkpoints/s3fd-619a316812.pth": detector,
        "test/checkpoints/hub/checkpoints/2DFAN4-11f355bf06.pth.tar": fill(FAN(4).state_dict(), seed),
    }


def pc_avs(seed: int) -> dict[str, object]:
    """Its four networks, as its demo has them."""
    sys.argv = [
        "inference.py",
        "--gpu_ids",
        "-1",
        "--netG",
        "modulate",
        "--netA_sync",
        "ressesync",
        "--netV",
        "resnext",
        "--netE",
        "fan",
        "--style_dim",
        "2560",
        "--input_id_feature",
        "--generate_from_audio_only",
    ]
    from models import networks
    from options.test_options import TestOptions  # type: ignore[import-not-found]
    from seeded_weights import fill

    options = TestOptions().parse()
    made = {"G": networks.define_G, "V": networks.define_V, "E": networks.define_E, "A_sync": networks.define_A_sync}
    return {
        f"checkpoints/demo/latest_net_{name}.pth": fill(define(options).state_dict(), seed)
        for name, define in made.items()
    }


def stylesync(seed: int) -> dict[str, object]:
    """Its checkpoint (half its width, which is quicker), the args.json that must lie beside it, and a mask of the lower half."""
    import json

    import cv2
    import numpy as np
    from munch import munchify  # type: ignore[import-not-found]
    from seeded_weights import fill
    from utils import create_generator  # type: ignore[import-not-found]

    args = {
        "size": 256,
        "latent": 512,
        "n_mlp": 8,
        "channel_multiplier": 1,
        "narrow": 0.5,
        "device": "cpu",
        "mask_p": "mask3.jpg",
        "mask_n_noise": 2,
        "face_z": True,
        "gpen_norm": False,
    }
    mask = np.zeros((256, 256, 3), np.uint8)
    mask[128:240, 40:216] = 255
    cv2.imwrite("mask3.jpg", mask)
    state = create_generator(munchify(args)).state_dict()
    weights = fill(
        state,
        seed,
        gain=1.0,
        equal_lr=True,
        scale=[(r"generator\.style\..*weight", 100.0)],
        offset=[(r"modulation\.bias", 1.0)],
    )
    return {
        "checkpoints/stylesync.pth": {"state_dict": {f"module.{k}": v for k, v in weights.items()}},
        "checkpoints/args.json": json.dumps(args).encode(),
        "mask3.jpg": Path("mask3.jpg").read_bytes(),
    }


def sadtalker(seed: int) -> dict[str, object]:
    """Its .safetensors (five networks under their prefixes) and two mapping networks. Left and right vectors of spectral norms are set to
    those of the largest singular value, as in training; with random ones the divisor is near 0."""
    import yaml
    from seeded_weights import FIXED, fill
    from src.audio2exp_models.networks import SimpleWrapperV2  # type: ignore[import-not-found]
    from src.audio2pose_models.audio2pose import Audio2Pose  # type: ignore[import-not-found]
    from src.face3d.models.networks import define_net_recon  # type: ignore[import-not-found]
    from src.facerender.modules.generator import OcclusionAwareSPADEGenerator  # type: ignore[import-not-found]
    from src.facerender.modules.keypoint_detector import KPDetector  # type: ignore[import-not-found]
    from src.facerender.modules.mapping import MappingNet  # type: ignore[import-not-found]
    from yacs.config import CfgNode  # type: ignore[import-not-found]

    configs = {
        name: yaml.safe_load(Path(f"src/config/{name}.yaml").read_text())["model_params"]
        for name in ("facerender", "facerender_still")
    }
    model = configs["facerender"]
    pose = CfgNode.load_cfg(Path("src/config/auido2pose.yaml").read_text())
    networks = {
        "kp_extractor": KPDetector(**model["kp_detector_params"], **model["common_params"]),
        "generator": OcclusionAwareSPADEGenerator(**model["generator_params"], **model["common_params"]),
        "audio2exp": SimpleWrapperV2(),
        "audio2pose": Audio2Pose(pose, None, device="cpu"),
        "face_3drecon": define_net_recon(net_recon="resnet50", use_last_fc=False, init_path=""),
    }
    state = {f"{name}.{k}": v for name, network in networks.items() for k, v in network.state_dict().items()}
    made: dict[str, object] = {
        "checkpoints/SadTalker_V0.0.2_256.safetensors": _spectral(fill(state, seed, fixed=FIXED + r"|down\.weight$"))
    }
    for name, number in (("facerender_still", "00109"), ("facerender", "00229")):
        mapping = MappingNet(**configs[name]["mapping_params"]).state_dict()
        made[f"checkpoints/mapping_{number}-model.pth.tar"] = {"mapping": fill(mapping, seed), "epoch": 0}
    return made


def _spectral(state: dict[str, Any]) -> dict[str, Any]:
    import torch

    for key in [k for k in state if k.endswith("weight_orig")]:
        left, _, right = torch.svd_lowrank(state[key].flatten(1), q=1, niter=20)
        state[key.replace("_orig", "_u")], state[key.replace("_orig", "_v")] = left[:, 0].clone(), right[:, 0].clone()
    return state


MAKERS = {
    "wav2lip": wav2lip,
    "gpen": gpen,
    "ip_lap": ip_lap,
    "pc_avs": pc_avs,
    "stylesync": stylesync,
    "sadtalker": sadtalker,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", choices=sorted(MAKERS))
    parser.add_argument("repo", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    os.chdir(args.repo)
    sys.path.insert(0, ".")
    import torch

    made = MAKERS[args.generator](args.seed)
    for name, content in made.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            Path(name).write_bytes(content)
        elif name.endswith(".safetensors"):
            from safetensors.torch import save_file  # type: ignore[import-not-found]

            save_file({k: v.contiguous() for k, v in content.items()}, name)
        else:
            torch.save(content, name)
        print(args.repo / name)


if __name__ == "__main__":
    main()
