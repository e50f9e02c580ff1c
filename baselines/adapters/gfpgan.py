"""GFPGAN (Wang et al., CVPR 2021): an enhancement step after a generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.baselines.adapters._frames import frames_to_video, write_frames
from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="gfpgan",
    title="GFPGAN",
    repository="TencentARC/GFPGAN",
    commit="7552a7791caad982045a7bbe5634bbf1cd5c8679",
    licence="Apache-2.0 with third-party parts (see its LICENSE)",
    paper="arXiv:2101.04061",
    python="3.7 or later",
    torch="1.7 or later",
    weights=(
        Weights(file="experiments/pretrained_models/GFPGANv1.4.pth", where="the v1.3.0 release of the repository"),
    ),
    imports=("torch", "cv2", "basicsr", "facexlib"),
    entry="inference_gfpgan.py",
    gpu=False,
    fps="images",
    resolution="the frame's own (upscale 1)",
    audio="untouched",
    reference="none",
    needs=("video",),
    options={"version": "1, 1.2, 1.3, 1.4 or RestoreFormer [1.4]", "weight": "[0.5]"},
    checked="options compared with the argument parser of inference_gfpgan.py at the commit; not run (weights cannot be had here)",
    notes=("used as --enhance gfpgan: the generated video goes in, its audio stays",),
)


def prepare(job: Job) -> Sequence[str]:
    """One image a frame."""
    write_frames(job.video, job.work / "in")
    return ["frames enhanced one by one"]


def command(job: Job) -> list[str]:
    """inference_gfpgan.py at the commit, without upscaling or background enhancement."""
    return [
        *job.python,
        "inference_gfpgan.py",
        "-i",
        str(job.work / "in"),
        "-o",
        str(job.work / "out"),
        "-v",
        job.options.get("version", "1.4"),
        "-s",
        "1",
        "--bg_upsampler",
        "none",
        "--ext",
        "png",
        "-w",
        job.options.get("weight", "0.5"),
    ]


def collect(job: Job) -> Path:
    """out/restored_imgs, put together without another encoding."""
    return frames_to_video(job.work / "out" / "restored_imgs", "*.png", job)


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect)
