"""TalkLip (Wang et al., CVPR 2023)."""

from __future__ import annotations

from lipsync_eval.baselines.base import Adapter, Job, Record, Weights

RECORD = Record(
    name="talklip",
    title="TalkLip",
    repository="Sxjdwang/TalkLip",
    commit="7ed53ee2f0ffb3636de49e0f24719eef1c757252",
    licence="no licence file (all rights reserved); AV-HuBERT's own licence: non-commercial research",
    paper="arXiv:2303.17480",
    python="3.6 or 3.7 (fairseq)",
    torch="see requirement.txt",
    weights=(
        Weights(file="", option="checkpoint", where="global or global+contrastive, linked in the repository's README"),
        Weights(file="face_detection/detection/sfd/s3fd.pth", where="the link in the repository's README"),
    ),
    imports=("torch", "cv2", "fairseq", "python_speech_features"),
    entry="inf_demo.py",
    gpu=False,
    fps="25 in and out (assumed, not checked by its code)",
    resolution="96x96 face, pasted back",
    audio="16 kHz",
    reference="own-frame",
    needs=("video", "audio"),
    options={
        "checkpoint": "path of the TalkLip checkpoint",
        "avhubert_root": "path of facebookresearch/av_hubert with its files modified as the README says",
    },
    checked="options compared with the argument parser of inf_demo.py at the commit; not run (fairseq does not import on current Python)",
    notes=("writes save_path + '.mp4'",),
)


def command(job: Job) -> list[str]:
    """inf_demo.py at the commit."""
    return [
        *job.python,
        "inf_demo.py",
        "--video_path",
        str(job.video_mp4),
        "--wav_path",
        str(job.audio),
        "--save_path",
        str(job.output.with_suffix("")),
        "--ckpt_path",
        str(job.repo / job.option("checkpoint")),
        "--avhubert_root",
        str(job.repo / job.option("avhubert_root")),
        "--device",
        "0",
    ]


ADAPTER = Adapter(record=RECORD, command=command)
