"""GPEN (Yang et al., CVPR 2021): an enhancement step after a generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.baselines.adapters._frames import frames_to_video, write_frames
from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="gpen",
    title="GPEN",
    repository="yangxy/GPEN",
    commit="2c736702983368847fb544d234a22ac7cff25802",
    licence="no licence file; README: academic and non-commercial use only",
    paper="arXiv:2105.06070",
    python="3.7.4",
    torch="1.7.0",
    weights=(
        Weights(file="weights/GPEN-BFR-512.pth", where="the links in the repository's README", unless="model"),
        Weights(
            file="weights/realesrnet_x2.pth",
            where="the links in the repository's README (loaded even where it is not used)",
        ),
        Weights(file="weights/RetinaFace-R50.pth", where="the links in the repository's README"),
        Weights(file="weights/ParseNet-latest.pth", where="the links in the repository's README"),
    ),
    imports=("torch", "torchvision", "cv2", "skimage", "PIL"),
    entry="demo.py",
    gpu=False,
    fps="images",
    resolution="the frame's own",
    audio="untouched",
    reference="none",
    needs=("video",),
    options={
        "model": "[GPEN-BFR-512]",
        "in_size": "[512]",
        "channel_multiplier": "[2; 1 for GPEN-BFR-256]",
        "narrow": "[1; 0.5 for GPEN-BFR-256]",
        "aligned": "1: the frames are aligned faces: no detector and no parser is run, the result has in_size",
    },
    checked="options compared with the argument parser of demo.py at the commit; run end to end on a CPU with seeded weights, aligned frames (docs/baselines-checked.md)",
    notes=("used as --enhance gpen: the generated video goes in, its audio stays",),
)


def prepare(job: Job) -> Sequence[str]:
    """One image a frame."""
    write_frames(job.video, job.work / "in")
    return ["frames enhanced one by one"]


def command(job: Job) -> list[str]:
    """demo.py at the commit, task FaceEnhancement, without super-resolution."""
    line = [
        *job.python,
        "demo.py",
        "--task",
        "FaceEnhancement",
        "--model",
        job.options.get("model", "GPEN-BFR-512"),
        "--in_size",
        job.options.get("in_size", "512"),
        "--channel_multiplier",
        job.options.get("channel_multiplier", "2"),
        "--narrow",
        job.options.get("narrow", "1"),
        "--indir",
        str(job.work / "in"),
        "--outdir",
        str(job.work / "out"),
        "--ext",
        ".png",
    ]
    line += ["--aligned"] if job.options.get("aligned") == "1" else []
    return line if job.device == "cpu" else [*line, "--use_cuda"]


def collect(job: Job) -> Path:
    """out/*_GPEN.png, put together without another encoding."""
    return frames_to_video(job.work / "out", "*_GPEN.png", job)


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect)
