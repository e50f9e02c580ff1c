"""AD-NeRF (Guo et al., ICCV 2021): one trained model a person."""

from __future__ import annotations

from pathlib import Path

from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Record

RECORD = Record(
    name="ad_nerf",
    title="AD-NeRF",
    repository="YudongGuo/AD-NeRF",
    commit="9fdcd7e1352aa74e26baa8e60c862f9fbd7933bf",
    licence="MIT",
    paper="arXiv:2103.11078",
    python="see environment.yml",
    torch="see environment.yml (and PyTorch3D)",
    weights=(),
    imports=("torch", "cv2", "pytorch3d"),
    entry="NeRFs/TorsoNeRF/run_nerf.py",
    gpu=True,
    fps="25 in and out",
    resolution="the training video's",
    audio="DeepSpeech features made with its data_util/deepspeech_features",
    reference="none",
    needs=("per-person training", "audio"),
    options={
        "config": "the person's TorsoNeRFTest_config.txt",
        "features": "folder with one DeepSpeech feature file a clip, ID.npy",
    },
    checked="options compared with NeRFs/TorsoNeRF/run_nerf.py and the README's test line at the commit; not run (CUDA only)",
    notes=("the result is silent: the driving speech is laid beside it",),
)


def command(job: Job) -> list[str]:
    """The README's line for new audio."""
    features = job.repo / job.option("features") / f"{job.id}.npy"
    if not features.is_file():
        raise BaselineError(f"needs DeepSpeech features of the audio: {features} is missing")
    return [
        *job.python,
        "NeRFs/TorsoNeRF/run_nerf.py",
        "--config",
        str(job.repo / job.option("config")),
        f"--aud_file={features}",
        "--test_size=-1",
        f"--test_save_folder={job.work / 'result'}",
    ]


def collect(job: Job) -> Path:
    """result.avi in the test folder: an absolute --test_save_folder takes the place of basedir/expname/..."""
    return job.work / "result" / "result.avi"


ADAPTER = Adapter(record=RECORD, command=command, collect=collect)
