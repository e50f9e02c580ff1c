"""MakeItTalk (Zhou et al., SIGGRAPH Asia 2020)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.baselines.adapters._frames import cut
from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Record, Weights, newest

RECORD = Record(
    name="makeittalk",
    title="MakeItTalk",
    repository="yzhou359/MakeItTalk",
    commit="fad2fe466dc1ac3b6141b930c99b8f1298e3de00",
    licence="CC BY-NC 4.0",
    paper="arXiv:2004.12992",
    python="3.6",
    torch="see requirements.txt",
    weights=(
        Weights(file="examples/ckpt/ckpt_autovc.pth", where="the links in the repository's README"),
        Weights(file="examples/ckpt/ckpt_content_branch.pth", where="the links in the repository's README"),
        Weights(file="examples/ckpt/ckpt_speaker_branch.pth", where="the links in the repository's README"),
        Weights(file="examples/ckpt/ckpt_116_i2i_comb.pth", where="the links in the repository's README"),
        Weights(file="examples/dump/emb.pickle", where="the link in the repository's README"),
    ),
    imports=("torch", "cv2", "face_alignment", "librosa"),
    entry="main_end2end.py",
    gpu=True,
    fps="a picture in, 62.5 out, brought to 25 by timestamp",
    resolution="256x256, whole head",
    audio="16 kHz",
    reference="given",
    needs=("image", "audio"),
    options={"amp_lip_x": "[2]", "amp_lip_y": "[2]", "amp_pos": "head motion [0.5]"},
    checked="options compared with the argument parser of main_end2end.py at the commit; not run (CUDA only)",
    notes=("reads every .wav in its folder examples/: in the job's view ours is there alone",),
)


def prepare(job: Job) -> Sequence[str]:
    """The picture at 256x256 and the audio, alone in the view's examples/, where its code looks for them."""
    import cv2

    examples = job.view / "examples"
    for other in examples.glob("*.wav"):
        other.unlink()
    embedding = job.repo / "examples" / "dump" / "emb.pickle"
    if embedding.exists():
        (examples / "dump" / "emb.pickle").symlink_to(embedding)
    picture = cv2.imread(str(job.reference))
    if picture is None:
        raise BaselineError("the reference picture cannot be read")
    (examples / "lipsync.jpg").unlink(missing_ok=True)  # a link to one in the user's checkout would be written through
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(examples / "lipsync.jpg"), square, [cv2.IMWRITE_JPEG_QUALITY, 100])
    shutil.copyfile(job.audio, examples / "lipsync.wav")
    return [
        "reference cut to its central square and resized to 256x256",
        "its video shows reference, result and landmarks side by side: the middle third is the result",
    ]


def command(job: Job) -> list[str]:
    """main_end2end.py at the commit."""
    line = [*job.python, "main_end2end.py", "--jpg", "lipsync.jpg"]
    for name in ("amp_lip_x", "amp_lip_y", "amp_pos"):
        if name in job.options:
            line += [f"--{name}", job.options[name]]
    return line


def collect(job: Job) -> Path:
    """The middle third of examples/lipsync_pred_fls_lipsync_audio_embed.mp4, without another loss."""
    return cut(
        newest(job.view / "examples", "lipsync_*.mp4", job),
        job,
        lambda f: f[:, f.shape[1] // 3 : 2 * (f.shape[1] // 3)],
    )


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect, writes=("examples/dump",))
