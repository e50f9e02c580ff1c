"""SadTalker (Zhang et al., CVPR 2023)."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights, newest

RECORD = Record(
    name="sadtalker",
    title="SadTalker",
    repository="OpenTalker/SadTalker",
    commit="cd4c0465ae0b54a6f85af57f5c65fec9fe23e7f8",
    licence="Apache-2.0",
    paper="arXiv:2211.12194",
    python="3.8",
    torch="1.12.1+cu113",
    weights=tuple(
        Weights(file=f"checkpoints/{name}", where="scripts/download_models.sh of the repository")
        for name in ("mapping_00109-model.pth.tar", "mapping_00229-model.pth.tar", "SadTalker_V0.0.2_256.safetensors")
    ),
    imports=("torch", "cv2", "face_alignment", "librosa", "kornia", "facexlib"),
    entry="inference.py",
    gpu=False,
    fps="a picture in, 25 out",
    resolution="256x256 (512 as an option); whole frame with --preprocess full",
    audio="16 kHz",
    needs=("image", "audio"),
    options={"preprocess": "crop, extcrop, resize, full or extfull [full]", "size": "256 or 512 [256]", "pose_style": "0 to 45 [0]", "still": "1: little head motion", "enhancer": "gfpgan or RestoreFormer", "checkpoints": "folder [checkpoints]"},
    checked="options compared with the argument parser of inference.py at the commit; not run (weights cannot be had here)",
    notes=("head motion is its own: compare with crop_from=own",),
)


def command(job: Job) -> list[str]:
    """inference.py at the commit."""
    line = [
        *job.python, "inference.py", "--driven_audio", str(job.audio), "--source_image", str(job.reference), "--result_dir", str(job.work / "result"),
        "--checkpoint_dir", job.file("checkpoints", "checkpoints"), "--preprocess", job.options.get("preprocess", "full"),
        "--size", job.options.get("size", "256"), "--pose_style", job.options.get("pose_style", "0"),
    ]
    line += ["--still"] if job.options.get("still") == "1" else []
    line += ["--enhancer", job.options["enhancer"]] if "enhancer" in job.options else []
    return [*line, "--cpu"] if job.device == "cpu" else line


def collect(job: Job) -> Path:
    """result/DATE.mp4."""
    return newest(job.work / "result", "*.mp4", job)


ADAPTER = Adapter(record=RECORD, command=command, collect=collect)
