"""DINet (Zhang et al., AAAI 2023)."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Record, Weights, newest

RECORD = Record(
    name="dinet",
    title="DINet",
    repository="MRzzm/DINet",
    commit="3b57fb0a2482213327890fbb76baeafdaa412597",
    licence="no licence file (all rights reserved)",
    paper="arXiv:2303.03988",
    python="3.6 or later (README names none)",
    torch="see requirements.txt",
    weights=(
        Weights(
            file="asserts/clip_training_DINet_256mouth.pth",
            where="asserts.zip, linked in the repository's README",
            option="checkpoint",
        ),
        Weights(file="asserts/output_graph.pb", where="the same archive (DeepSpeech 0.1.0)", option="deepspeech"),
    ),
    imports=("torch", "cv2", "numpy", "tensorflow"),
    entry="inference.py",
    gpu=True,
    fps="25 in and out",
    resolution="256 px mouth region, pasted back",
    audio="16 kHz (DeepSpeech)",
    reference="drawn",
    needs=("video", "audio", "landmarks"),
    options={
        "landmarks": "folder with one OpenFace CSV a clip, ID.csv (its columns x_0..x_67, y_0..y_67)",
        "checkpoint": "[asserts/clip_training_DINet_256mouth.pth]",
        "deepspeech": "[asserts/output_graph.pb]",
        "mouth_region_size": "side of the mouth region in px [256]",
    },
    checked="options compared with DINetInferenceOptions in config/config.py at the commit; not run (CUDA only)",
    notes=(
        "needs OpenFace landmarks, which the user makes; draws five reference frames at random without a seed",
        "writes frames beside the video and the result as VIDEO_facial_dubbing_add_audio.mp4",
    ),
)


def command(job: Job) -> list[str]:
    """inference.py at the commit."""
    landmarks = job.repo / job.option("landmarks") / f"{job.id}.csv"
    if not landmarks.is_file():
        raise BaselineError(f"needs OpenFace landmarks of the video: {landmarks} is missing")
    return [
        *job.python,
        "inference.py",
        "--mouth_region_size",
        job.options.get("mouth_region_size", "256"),
        "--source_video_path",
        str(job.video_mp4),
        "--source_openface_landmark_path",
        str(landmarks),
        "--driving_audio_path",
        str(job.audio),
        "--pretrained_clip_DINet_path",
        job.file("checkpoint", "asserts/clip_training_DINet_256mouth.pth"),
        "--deepspeech_model_path",
        job.file("deepspeech", "asserts/output_graph.pb"),
        "--res_video_dir",
        str(job.work / "result"),
    ]


def collect(job: Job) -> Path:
    """Its result with audio."""
    return newest(job.work / "result", "*_facial_dubbing_add_audio.mp4", job)


ADAPTER = Adapter(record=RECORD, command=command, collect=collect)
