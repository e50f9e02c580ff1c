"""PC-AVS (Zhou et al., CVPR 2021)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lipsync_eval.baselines.adapters._frames import frames_to_video, write_frames
from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Patch, Record, Weights
from lipsync_eval.types import Frame

_FIRST = 2
"""The frame that its first frame stands for (data/voxtest_dataset.py: target_frame_inds starts at 2)."""

RECORD = Record(
    name="pc_avs",
    title="PC-AVS",
    repository="Hangz-nju-cuhk/Talking-Face_PC-AVS",
    commit="201d2b946caa93a2ce7c798dd080be65959d2592",
    licence="CC BY 4.0",
    paper="arXiv:2104.11116",
    python="3.6",
    torch="1.3.0",
    weights=(Weights(file="checkpoints/demo", where="demo.zip, linked in the repository's README (five .pth files)"),),
    imports=("torch", "torchvision", "cv2", "librosa", "lws", "skimage", "tqdm"),
    entry="inference.py",
    gpu=True,
    fps="25 in and out",
    resolution="224x224, whole head: the result is a crop, not pasted back",
    audio="16 kHz",
    reference="given",
    needs=("video", "audio", "image"),
    options={"cropped": "1: the videos are face crops made with its scripts/align_68.py already"},
    checked="options compared with experiments/demo_vox.sh and options/ at the commit; run end to end on a CPU with seeded weights (docs/baselines-checked.md)",
    notes=(
        'expects 224x224 frames cropped by its own scripts/align_68.py; without it quality suffers: crop first and set cropped = "1"',
        "errors of a clip are printed and swallowed by its code: a missing result is then reported here",
        "the input picture gives the identity, the video the head pose; score with crop_from=own, which `auto` chooses when sizes differ",
        "lws builds on current Python with LWS_USE_CYTHON=1 pip install --no-build-isolation lws (numpy, cython and setuptools there first)",
    ),
    patches=(
        Patch(
            "inference.py",
            "torch.manual_seed(0)",
            "torch.manual_seed(0); device = 'cuda' if opt.gpu_ids else 'cpu'; torch.Tensor.cuda = lambda tensor: tensor.to(device)",
            "its .cuda() calls follow --gpu_ids",
        ),
        Patch("inference.py", "create_model(opt).cuda()", "create_model(opt).to(device)", "the same"),
        Patch(
            "config/AudioConfig.py",
            "librosa.filters.mel(self.sample_rate, self.fft_size",
            "librosa.filters.mel(sr=self.sample_rate, n_fft=self.fft_size",
            "librosa 0.10 takes names only",
        ),
        Patch(
            "models/networks/loss.py",
            "vgg=VGG19()",
            "vgg=None",
            "a loss for training: its default would be fetched and loaded at every start",
        ),
    ),
    cpu_when_prepared=True,
)


def prepare(job: Job) -> Sequence[str]:
    """Its folders of numbered .jpg and the line of its list: identity, pose, audio."""
    import cv2

    n = write_frames(job.video, job.work / "pose", "{:06d}.jpg", change=_crop)
    (job.work / "identity").mkdir()
    picture = cv2.imread(str(job.reference))
    if picture is None or not cv2.imwrite(str(job.work / "identity" / "000000.jpg"), _crop(picture.astype(np.uint8))):
        raise BaselineError("the reference picture cannot be read")
    line = f"{job.work / 'identity'} 1 {job.work / 'pose'} {n} {job.audio} None 0 dummy\n"
    (job.work / "list.csv").write_text(line, "utf-8")
    gap = "its first frame stands for frame 2 (audio windows of five frames): it is shown for frames 0 and 1 too, so that frame k stays at time k"
    return (
        [gap]
        if job.options.get("cropped") == "1"
        else ["frames were cut to their central square, not through its align_68.py", gap]
    )


def _crop(frame: Frame) -> Frame:
    """The central square at 224x224, the size that its loader's fixed crop assumes."""
    import cv2

    side = min(frame.shape[:2])
    top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
    return np.ascontiguousarray(
        cv2.resize(frame[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA),
        dtype=np.uint8,
    )


def command(job: Job) -> list[str]:
    """inference.py with the options of experiments/demo_vox.sh."""
    return [
        *job.python,
        "-u",
        "inference.py",
        "--name",
        "demo",
        "--meta_path_vox",
        str(job.work / "list.csv"),
        "--dataset_mode",
        "voxtest",
        "--netG",
        "modulate",
        "--netA",
        "resseaudio",
        "--netA_sync",
        "ressesync",
        "--netD",
        "multiscale",
        "--netV",
        "resnext",
        "--netE",
        "fan",
        "--model",
        "av",
        "--gpu_ids",
        "-1" if job.device == "cpu" else "0",
        "--clip_len",
        "1",
        "--batchSize",
        "16",
        "--style_dim",
        "2560",
        "--nThreads",
        "4",
        "--input_id_feature",
        "--generate_interval",
        "1",
        "--style_feature_loss",
        "--use_audio",
        "1",
        "--noise_pose",
        "--driving_pose",
        "--gen_video",
        "--generate_from_audio_only",
    ]


def collect(job: Job) -> Path:
    """results/id_identity_pose_pose_audio_audio/G_Pose_Driven_/*.jpg, numbered from 0, put together without another encoding."""
    folder = job.view / "results" / "id_identity_pose_pose_audio_audio" / "G_Pose_Driven_"
    for file in sorted(folder.glob("G_Pose_Driven_*.jpg")):
        number = file.stem.rsplit("_", 1)[1]
        if not number.isdecimal():
            raise BaselineError(f"wrote {file.name}, whose number cannot be read")
        file.rename(folder / f"{int(number) + _FIRST:08d}.jpg")
    for missing in range(_FIRST):
        if (folder / f"{_FIRST:08d}.jpg").exists():
            shutil.copyfile(folder / f"{_FIRST:08d}.jpg", folder / f"{missing:08d}.jpg")
    return frames_to_video(folder, "*.jpg", job)


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect, writes=("results",))
