"""Checkpoints of seeded random weights in a generator's own format, to run its real code where its weights cannot be had.

    ENV/bin/python benchmarks/seeded_checkpoints.py wav2lip|gpen REPO [--seed 7]

Runs in the generator's own environment, from its own repository; writes into REPO/checkpoints or REPO/weights. The videos that come
out are noise where the network paints: they prove the path from manifest to table, not quality.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", choices=["wav2lip", "gpen"])
    parser.add_argument("repo", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    os.chdir(args.repo)
    sys.path.insert(0, ".")
    import torch

    made = {"wav2lip": wav2lip, "gpen": gpen}[args.generator](args.seed)
    for name, content in made.items():
        torch.save(content, name)
        print(args.repo / name)


if __name__ == "__main__":
    main()
