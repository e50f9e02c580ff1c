"""SyncTalk (Peng et al., CVPR 2024): one trained model a person."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.baselines.base import Adapter, Job, Record, newest

RECORD = Record(
    name="synctalk",
    title="SyncTalk",
    repository="ZiqiaoPeng/SyncTalk",
    commit="d2427a3d7301234ca417ef7660aaf5a24e5d89b0",
    licence="CC BY-NC 4.0",
    paper="arXiv:2311.17590",
    python="3.8.8",
    torch="1.12.1+cu113",
    weights=(),
    imports=("torch", "cv2", "pytorch3d"),
    entry="main.py",
    gpu=True,
    fps="25 in and out",
    resolution="the training video's",
    audio="16 kHz",
    reference="none",
    needs=("per-person training", "audio"),
    options={
        "data": "folder of the person's preprocessed data (data/NAME)",
        "workspace": "folder of the person's trained model",
        "portrait": "1: paste the face back into the frame",
    },
    checked="options compared with main.py and the README's test line at the commit; not run (CUDA only)",
    notes=(
        "the manifest's video is not read: the model was trained on the person's own; one table per person in baselines.toml",
    ),
)


def command(job: Job) -> list[str]:
    """The README's line for new audio."""
    line = [
        *job.python,
        "main.py",
        str(job.repo / job.option("data")),
        "--workspace",
        str(job.repo / job.option("workspace")),
        "-O",
        "--test",
        "--test_train",
        "--asr_model",
        "ave",
        "--aud",
        str(job.audio),
    ]
    return [*line, "--portrait"] if job.options.get("portrait") == "1" else line


def collect(job: Job) -> Path:
    """The newest video with audio in the workspace's results."""
    return newest(job.repo / job.option("workspace") / "results", "*_audio.mp4", job)


ADAPTER = Adapter(record=RECORD, command=command, collect=collect)
