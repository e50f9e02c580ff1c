"""IP-LAP (Zhong et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lipsync_eval.baselines.adapters._frames import cut
from lipsync_eval.baselines.adapters._reference import hand_over, with_reference
from lipsync_eval.baselines.base import Adapter, Job, Patch, Record, Weights, newest

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
        Weights(
            file="test/checkpoints/landmarkgenerator_checkpoint.pth",
            where="the links in the repository's README",
            option="landmark_checkpoint",
        ),
        Weights(
            file="test/checkpoints/renderer_checkpoint.pth",
            where="the links in the repository's README",
            option="renderer_checkpoint",
        ),
    ),
    imports=("torch", "torchvision", "cv2", "mediapipe.python.solutions.face_mesh", "face_alignment", "librosa"),
    entry="inference_single.py",
    gpu=True,
    fps="anything in (converted with ffmpeg -r 25), 25 out",
    resolution="128x128 face, pasted back",
    audio="16 kHz",
    reference="drawn",
    needs=("video", "audio", "references"),
    options={
        "landmark_checkpoint": "[test/checkpoints/landmarkgenerator_checkpoint.pth]",
        "renderer_checkpoint": "[test/checkpoints/renderer_checkpoint.pth]",
    },
    checked="options compared with the argument parser of inference_single.py at the commit; run end to end on a CPU with seeded weights (docs/baselines-checked.md)",
    notes=(
        "takes 25 reference frames of the input video by itself, spread over how far the mouth is open; its --static is read but does nothing",
        "its video shows sketch and result side by side: the adapter keeps the right half; its first frame stands for frames 0, 1 and 2",
        "a video in which mediapipe misses the face in one frame fails",
        "mediapipe with `solutions` is needed: 0.10.21 has it, 1.2 has not",
        "face_alignment fetches its S3FD and FAN-4 by itself on first use, unless hub/checkpoints in TORCH_HOME has them ([ip_lap.env])",
    ),
    patches=(
        Patch(
            "inference_single.py",
            "else 'cpu'",
            "else 'cpu'; torch.Tensor.cuda = lambda tensor: tensor.to(device)",
            "its .cuda() calls follow the device that it found",
        ),
        Patch(
            "inference_single.py",
            "LandmarksType._2D, flip_input=False, device='cuda'",
            "LandmarksType.TWO_D, flip_input=False, device=device",
            "face_alignment 1.4 renamed it; the detector follows the device",
        ),
        Patch(
            "models/audio.py",
            "import lws",
            "lws = None",
            "not used (use_lws=False), and does not build on current Python as it is",
        ),
        Patch(
            "models/audio.py",
            "librosa.filters.mel(hp.sample_rate, hp.n_fft, n_mels",
            "librosa.filters.mel(sr=hp.sample_rate, n_fft=hp.n_fft, n_mels",
            "librosa 0.10 takes names only",
        ),
        Patch(
            "models/video_renderer.py",
            "vgg19(pretrained=True)",
            "vgg19(weights=None)",
            "no download: the renderer's checkpoint holds these weights too",
        ),
    ),
    cpu_when_prepared=True,
)


def prepare(job: Job) -> Sequence[str]:
    """Nothing is made; what `collect` does is said."""
    return ["its video shows sketch and result side by side: the right half is the result"]


def command(job: Job) -> list[str]:
    """inference_single.py at the commit."""
    return [
        *job.python,
        "inference_single.py",
        "--input",
        str(job.video_mp4),
        "--audio",
        str(job.audio),
        "--output_dir",
        str(job.work / "result"),
        "--landmark_gen_checkpoint_path",
        job.file("landmark_checkpoint", "test/checkpoints/landmarkgenerator_checkpoint.pth"),
        "--renderer_checkpoint_path",
        job.file("renderer_checkpoint", "test/checkpoints/renderer_checkpoint.pth"),
    ]


def collect(job: Job) -> Path:
    """The right half of the one video in its output folder, without another loss."""
    return cut(newest(job.work / "result", "*.mp4", job), job, lambda f: f[:, f.shape[1] // 2 :])


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect, writes=("tempfile_of_result",))

REF_RECORD = with_reference(
    RECORD,
    (
        Patch(
            "inference_single.py",
            "input_vid_len = len(ori_background_frames)",
            "input_vid_len = len(ori_background_frames); ori_background_frames.append(cv2.imread('reference.png'))",
            "the given picture goes through the same detection as the frames, behind the last of them",
        ),
        Patch(
            "inference_single.py",
            "Nl_idxs = [lip_dist_idx[int(i)] for i in torch.linspace(0, input_vid_len - 1, steps=Nl)]",
            "Nl_idxs = [input_vid_len] * Nl",
            "reference landmarks: the given picture's, instead of frames of the video",
        ),
        Patch(
            "inference_single.py",
            "ref_img_idx = [int(lip_dist_idx[int(i)]) for i in torch.linspace(0, input_vid_len - 1, steps=ref_img_N)]",
            "ref_img_idx = [input_vid_len] * ref_img_N",
            "reference frames: the same",
        ),
    ),
    "all 25 reference frames and all reference landmarks are those of the given picture (RADIO's comparison: one frame for all)",
)


def _prepare_ref(job: Job) -> Sequence[str]:
    return [*prepare(job), *hand_over(REF_RECORD, job)]


REF = replace(ADAPTER, record=REF_RECORD, prepare=_prepare_ref)
