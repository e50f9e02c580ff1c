"""StyleSync (Guan et al., CVPR 2023), the public inference code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lipsync_eval.baselines.adapters._faces import write_picture_points, write_points
from lipsync_eval.baselines.adapters._reference import hand_over, with_reference
from lipsync_eval.baselines.base import Adapter, Job, Patch, Record, Weights, visible_gpu

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
        Weights(
            file="",
            option="checkpoint",
            where="not released; the README offers it to academics on request; args.json must lie beside it",
        ),
        Weights(
            file="mask3.jpg",
            option="mask",
            where="its authors: a picture that its code reads (mask3.jpg by default) and that is not in the repository",
        ),
    ),
    imports=("torch", "cv2", "face_alignment", "librosa", "munch", "torch.utils.cpp_extension"),
    entry="inference.py",
    gpu=False,
    fps="25 (other rates are not converted as the message says: it re-encodes at the video's own rate)",
    resolution="256x256 aligned face, pasted back",
    audio="16 kHz",
    reference="own-frame",
    needs=("video", "audio"),
    options={
        "checkpoint": "path of the StyleSync checkpoint",
        "mask": "path of the mask picture [mask3.jpg]",
        "points": "dlib68 or another backend of 68 points: lipsync-eval finds the face, face_alignment is not run (prepared copies only)",
    },
    checked="options compared with the argument parser of inference.py at the commit; run end to end on a CPU with seeded weights (docs/baselines-checked.md)",
    notes=(
        "the generic model (StyleSync-G); personal optimisation is not in the public code",
        "its video ends where the last window of 16 mel frames does: up to 5 frames before the audio",
        "its network sees the masked face and the same face unmasked: dubbed with the video's own audio it sees the true mouth",
        "`device` in args.json must be cpu to run on a CPU",
        "face_alignment fetches its detector and landmark network by itself on first use, unless `points` is set",
    ),
    patches=(
        Patch(
            "audio.py",
            "librosa.filters.mel(hp.sample_rate, hp.n_fft, n_mels",
            "librosa.filters.mel(sr=hp.sample_rate, n_fft=hp.n_fft, n_mels",
            "librosa 0.10 takes names only",
        ),
        Patch(
            "inference.py",
            "fa = face_alignment.FaceAlignment(face_alignment.LandmarksType._2D",
            "fa = osp.exists('landmarks.npz') or face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D",
            "face_alignment 1.4 renamed it; not loaded where landmarks are given",
        ),
        Patch(
            "inference.py",
            "= fa.get_landmarks(img.copy())",
            "= [np.load('landmarks.npz')[str(img_idx)]] if fa is True else fa.get_landmarks(img.copy())",
            "landmarks that the option `points` gave",
        ),
    ),
)


def prepare(job: Job) -> Sequence[str]:
    """Landmarks where the patched code looks for them, if the option `points` asks for that."""
    return write_points(RECORD, job, job.video, job.view / "landmarks.npz") if "points" in job.options else ()


def command(job: Job) -> list[str]:
    """inference.py at the commit."""
    return [
        *job.python,
        "inference.py",
        "--checkpoint_path",
        str(job.repo / job.option("checkpoint")),
        "--face",
        str(job.video_mp4),
        "--audio",
        str(job.audio),
        "--save_root",
        str(job.output.parent),
        "--save_name",
        job.output.name,
        "--mask",
        job.file("mask", "mask3.jpg"),
        "--gpus",
        visible_gpu(job),
        "--device",
        "cpu" if job.device == "cpu" else "cuda",
    ]


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare)

_TAKES = """reference = cv2.imread('reference.png')
    points = np.load('reference.npy') if fa is True else fa.get_landmarks(reference.copy())[0]
    points = np.stack([points[17:22].mean(0), points[22:27].mean(0), points[27:36].mean(0)])
    reference, _ = utils.AlignRestore().align_warp_face(reference, lmks3=points, smooth=True)
    reference = cv2.resize(reference, (args.img_size, args.img_size), interpolation=cv2.INTER_CUBIC)
    print('Run generation...')"""
REF_RECORD = with_reference(
    RECORD,
    (
        Patch(
            "inference.py",
            "print('Run generation...')",
            _TAKES,
            "the face of the given picture, aligned as a first frame is",
        ),
        Patch("inference.py", "ref_face = face.copy()", "ref_face = reference.copy()", "instead of the frame itself"),
    ),
    "its reference input is the face of the given picture for every frame; the frame's own mouth never reaches its network",
)


def _prepare_ref(job: Job) -> Sequence[str]:
    notes = hand_over(REF_RECORD, job)
    if "points" not in job.options:
        return notes
    write_picture_points(REF_RECORD, job, job.view / "reference.npy")
    return [*notes, *write_points(REF_RECORD, job, job.video, job.view / "landmarks.npz")]


REF = replace(ADAPTER, record=REF_RECORD, prepare=_prepare_ref)
