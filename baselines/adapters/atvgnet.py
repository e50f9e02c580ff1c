"""ATVGnet (Chen et al., CVPR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Record, Weights, newest, visible_gpu

RECORD = Record(
    name="atvgnet",
    title="ATVGnet",
    repository="lelechen63/ATVGnet",
    commit="02d8f8f3eeb1711735af7dd70feacaded4f8d011",
    licence="MIT (README; no licence file)",
    paper="arXiv:1905.03820",
    python="2.7",
    torch="0.4.1",
    weights=(
        Weights(file="model/generator_23.pth", where="the link in the repository's README"),
        Weights(file="basics/shape_predictor_68_face_landmarks.dat", where="in the repository"),
        Weights(file="model/atnet_lstm_18.pth", where="the link in the repository's README"),
    ),
    imports=("torch", "cv2", "dlib", "librosa", "python_speech_features"),
    entry="code/demo.py",
    gpu=True,
    fps="a picture in, 25 out",
    resolution="128x128 aligned face",
    audio="resampled by its own code",
    reference="given",
    needs=("image", "audio"),
    options={},
    checked="options compared with the argument parser of code/demo.py at the commit; not run (Python 2.7, CUDA only)",
    notes=(
        "paths in its code are relative to code/: the command changes there first; ../temp and ../image are the job's own",
        "the result is an aligned face: crop_from=own, as `auto` chooses",
    ),
)


def prepare(job: Job) -> Sequence[str]:
    """The reference as .jpg, which its code expects."""
    import cv2

    picture = cv2.imread(str(job.reference))
    if picture is None or not cv2.imwrite(str(job.work / "reference.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 100]):
        raise BaselineError("the reference picture cannot be read")
    (job.work / "result").mkdir()
    return []


def command(job: Job) -> list[str]:
    """code/demo.py at the commit, started from its own folder."""
    start = "import os, runpy, sys; os.chdir('code'); sys.path.insert(0, '.'); sys.argv = ['demo.py'] + sys.argv[1:]; runpy.run_path('demo.py', run_name='__main__')"
    return [
        *job.python,
        "-c",
        start,
        "-i",
        str(job.audio),
        "-p",
        str(job.work / "reference.jpg"),
        "--sample_dir",
        str(job.work / "result"),
        "-s",
        "result",
        "--device_ids",
        visible_gpu(job),
    ]


def collect(job: Job) -> Path:
    """result.mov with audio."""
    return newest(job.work / "result", "result.mov", job)


ADAPTER = Adapter(
    record=RECORD, command=command, prepare=prepare, collect=collect, writes=("temp", "image", "code/__pycache__")
)
