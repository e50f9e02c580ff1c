"""StyleSync (Guan et al., CVPR 2023), the public inference code."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights, visible_gpu

RECORD = Record(
    name="stylesync",
    title="StyleSync",
    repository="guanjz20/StyleSync_PyTorch",
    commit="ecafd9016a204bf39a4137268f432ef778ff93d6",
    licence="no licence file (all rights reserved)",
    paper="arXiv:2305.05445",
    python="see requirements.txt",
    torch="see requirements.txt",
    weights=(
        Weights(file="", option="checkpoint", where="not released; the README offers it to academics on request"),
        Weights(file="mask3.jpg", option="mask", where="its authors: a picture that its code reads (mask3.jpg by default) and that is not in the repository"),
    ),
    imports=("torch", "cv2", "face_alignment", "librosa"),
    entry="inference.py",
    gpu=False,
    fps="25 (other rates are not converted as the message says: it re-encodes at the video's own rate)",
    resolution="256x256 aligned face, pasted back",
    audio="16 kHz",
    needs=("video", "audio"),
    options={"checkpoint": "path of the StyleSync checkpoint", "mask": "path of the mask picture [mask3.jpg]"},
    checked="options compared with the argument parser of inference.py at the commit; not run (weights are not released)",
    notes=("the generic model (StyleSync-G); personal optimisation is not in the public code",),
)


def command(job: Job) -> list[str]:
    """inference.py at the commit."""
    return [
        *job.python, "inference.py", "--checkpoint_path", str(job.repo / job.option("checkpoint")), "--face", str(job.video_mp4), "--audio", str(job.audio),
        "--save_root", str(job.output.parent), "--save_name", job.output.name, "--mask", job.file("mask", "mask3.jpg"), "--gpus", visible_gpu(job),
        "--device", "cpu" if job.device == "cpu" else "cuda",
    ]


ADAPTER = Adapter(record=RECORD, command=command)
