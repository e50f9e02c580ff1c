"""IP-LAP (Zhong et al., CVPR 2023)."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights, newest

RECORD = Record(
    name="ip_lap",
    title="IP-LAP",
    repository="Weizhi-Zhong/IP_LAP",
    commit="9b9dc03f0e90b10b92c904b202443c160afe7c45",
    licence="Apache-2.0",
    paper="arXiv:2305.08293",
    python="3.7.13",
    torch="see the repository's README (CUDA 11.1)",
    weights=(
        Weights(file="test/checkpoints/landmarkgenerator_checkpoint.pth", where="the links in the repository's README", option="landmark_checkpoint"),
        Weights(file="test/checkpoints/renderer_checkpoint.pth", where="the links in the repository's README", option="renderer_checkpoint"),
    ),
    imports=("torch", "cv2", "mediapipe", "face_alignment", "librosa"),
    entry="inference_single.py",
    gpu=True,
    fps="anything in (converted with ffmpeg -r 25), 25 out",
    resolution="128x128 face, pasted back",
    audio="16 kHz",
    needs=("video", "audio", "references"),
    options={
        "static": "1: use the first frame as the only picture",
        "landmark_checkpoint": "[test/checkpoints/landmarkgenerator_checkpoint.pth]",
        "renderer_checkpoint": "[test/checkpoints/renderer_checkpoint.pth]",
    },
    checked="options compared with the argument parser of inference_single.py at the commit; not run (its detector is made with device='cuda')",
    notes=("takes 25 reference frames of the input video by itself; --static uses the first alone", "writes INPUTresult_N_25_Nl_15.mp4"),
)


def command(job: Job) -> list[str]:
    """inference_single.py at the commit."""
    line = [
        *job.python, "inference_single.py", "--input", str(job.video_mp4), "--audio", str(job.audio), "--output_dir", str(job.work / "result"),
        "--landmark_gen_checkpoint_path", job.file("landmark_checkpoint", "test/checkpoints/landmarkgenerator_checkpoint.pth"),
        "--renderer_checkpoint_path", job.file("renderer_checkpoint", "test/checkpoints/renderer_checkpoint.pth"),
    ]
    return [*line, "--static", "True"] if job.options.get("static") == "1" else line


def collect(job: Job) -> Path:
    """The one video in its output folder."""
    return newest(job.work / "result", "*.mp4", job)


ADAPTER = Adapter(record=RECORD, command=command, collect=collect)
