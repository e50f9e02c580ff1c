"""MuseTalk 1.5 (Zhang et al., 2024)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Record, Weights

RECORD = Record(
    name="musetalk",
    title="MuseTalk",
    repository="TMElyralab/MuseTalk",
    commit="0a89dec45a0192b824e3cf4daf96c239440c5ed8",
    licence="MIT (its models have licences of their own)",
    paper="arXiv:2410.10122",
    python="3.10",
    torch="2.0.1",
    weights=(
        Weights(file="models/musetalkV15/unet.pth", where="download_weights.sh of the repository"),
        Weights(file="models/musetalkV15/musetalk.json", where="download_weights.sh of the repository"),
        Weights(file="models/sd-vae", where="download_weights.sh of the repository"),
        Weights(file="models/whisper", where="download_weights.sh of the repository"),
        Weights(file="models/dwpose/dw-ll_ucoco_384.pth", where="download_weights.sh of the repository"),
        Weights(file="models/face-parse-bisent/79999_iter.pth", where="download_weights.sh of the repository"),
        Weights(file="models/face-parse-bisent/resnet18-5c106cde.pth", where="download_weights.sh of the repository"),
    ),
    imports=("torch", "cv2", "diffusers", "transformers", "mmpose", "omegaconf"),
    entry="scripts/inference.py",
    gpu=False,
    fps="the video's own in and out",
    resolution="256x256 face, pasted back",
    audio="16 kHz (whisper)",
    reference="own-frame",
    needs=("video", "audio"),
    options={
        "bbox_shift": "vertical shift of the face box in px [0; only v1 reads it]",
        "version": "v15 or v1 [v15]",
        "float16": "1: half precision",
    },
    checked="options compared with scripts/inference.py and inference.sh at the commit; not run (weights cannot be had here)",
    notes=("errors of a task are printed and swallowed by its code: a missing result is then reported here",),
)


def prepare(job: Job) -> Sequence[str]:
    """Its task file. JSON is YAML: no path can break out of it."""
    task = {
        "task_0": {
            "video_path": str(job.video_mp4),
            "audio_path": str(job.audio),
            "result_name": "output.mp4",
            "bbox_shift": int(job.options.get("bbox_shift", "0")),
        }
    }
    (job.work / "task.yaml").write_text(json.dumps(task), "utf-8")
    return []


def command(job: Job) -> list[str]:
    """scripts.inference with the paths of inference.sh."""
    version = job.options.get("version", "v15")
    if version not in {"v1", "v15"}:
        raise BaselineError(f"the option version is {version!r}; expected v1 or v15")
    model, unet = ("models/musetalkV15", "unet.pth") if version == "v15" else ("models/musetalk", "pytorch_model.bin")
    line = [
        *job.python,
        "-m",
        "scripts.inference",
        "--inference_config",
        str(job.work / "task.yaml"),
        "--result_dir",
        str(job.work / "result"),
        "--unet_model_path",
        f"{model}/{unet}",
        "--unet_config",
        f"{model}/musetalk.json",
        "--version",
        version,
        "--gpu_id",
        "0",
    ]
    return [*line, "--use_float16"] if job.options.get("float16") == "1" else line


def collect(job: Job) -> Path:
    """result/VERSION/output.mp4."""
    return job.work / "result" / job.options.get("version", "v15") / "output.mp4"


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect)
