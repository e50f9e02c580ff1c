"""VideoReTalking (Cheng et al., SIGGRAPH Asia 2022)."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="videoretalking",
    title="VideoReTalking",
    repository="OpenTalker/video-retalking",
    commit="d32e8e58248255e2d243eeaf3cba545dbe505ca8",
    licence="Apache-2.0",
    paper="arXiv:2211.14758",
    python="3.8",
    torch="1.9.0+cu111",
    weights=tuple(
        Weights(file=f"checkpoints/{name}", where="the folder linked in the repository's README")
        for name in (
            "DNet.pt",
            "LNet.pth",
            "ENet.pth",
            "face3d_pretrain_epoch_20.pth",
            "GFPGANv1.3.pth",
            "GPEN-BFR-512.pth",
            "RetinaFace-R50.pth",
            "ParseNet-latest.pth",
            "shape_predictor_68_face_landmarks.dat",
            "30_net_gen.pth",
            "expression.mat",
            "BFM",
        )
    ),
    imports=("torch", "cv2", "face_alignment", "librosa", "kornia", "basicsr"),
    entry="inference.py",
    gpu=False,
    fps="the video's own in and out",
    resolution="384 px face, enhanced and pasted back",
    audio="16 kHz",
    reference="own-frame",
    needs=("video", "audio"),
    options={
        "exp_img": "expression template: neutral, smile or a picture [neutral]",
        "up_face": "sad, angry, surprise or original [original; the others need CUDA]",
    },
    checked="options compared with utils/inference_utils.py and inference.py at the commit; not run (weights cannot be had here)",
    notes=(
        "its reference is the frame itself, whose expression its DNet sets to a template first",
        "keeps files by the video's name in temp/: that folder is each job's own, and --re_preprocess is always given",
    ),
)


def command(job: Job) -> list[str]:
    """inference.py at the commit."""
    line = [
        *job.python,
        "inference.py",
        "--face",
        str(job.video_mp4),
        "--audio",
        str(job.audio),
        "--outfile",
        str(job.output),
        "--tmp_dir",
        job.work.name,
        "--re_preprocess",
    ]
    for name in ("exp_img", "up_face"):
        if name in job.options:
            line += [f"--{name}", job.options[name]]
    return line


ADAPTER = Adapter(record=RECORD, command=command, writes=("temp",))
