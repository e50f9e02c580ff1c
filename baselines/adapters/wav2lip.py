"""Wav2Lip (Prajwal et al., ACM MM 2020) and its GAN checkpoint."""

from __future__ import annotations

from dataclasses import replace

from lipsync_eval.baselines.base import Adapter, Job, Patch, Record, Weights

_RECORD = Record(
    name="wav2lip",
    title="Wav2Lip",
    repository="Rudrabha/Wav2Lip",
    commit="5c90fa9b4a2c2a37d0b4ebf7633ac41534eb9941",
    licence="no licence file; README: personal, research and non-commercial use only",
    paper="arXiv:2008.10010",
    python="3.6",
    torch="1.1.0",
    weights=(
        Weights(file="checkpoints/wav2lip.pth", where="the links in the repository's README", option="checkpoint"),
        Weights(
            file="face_detection/detection/sfd/s3fd.pth",
            where="the link in the repository's README (s3fd-619a316812.pth, renamed)",
            unless="box",
        ),
    ),
    imports=("torch", "cv2", "librosa", "scipy", "tqdm"),
    entry="inference.py",
    gpu=False,
    fps="the video's own in and out; sound windows assume 80 mel frames a second",
    resolution="96x96 face, pasted back into the frame",
    audio="16 kHz (librosa)",
    needs=("video", "audio"),
    options={
        "checkpoint": "path of the checkpoint, in the repository or absolute [checkpoints/wav2lip.pth]",
        "box": "fixed face box 'top bottom left right' in px: no detector is run",
        "pads": "padding 'top bottom left right' [0 10 0 0]",
        "nosmooth": "1: no smoothing of detections",
        "resize_factor": "whole number by which the frame is reduced first",
    },
    checked="options compared with the argument parser of inference.py at the commit; run end to end on a CPU with seeded weights (docs/baselines-checked.md)",
    notes=("its last picture window is right-aligned with the end of the sound",),
    patches=(
        Patch(
            "audio.py",
            "librosa.filters.mel(hp.sample_rate, hp.n_fft, n_mels",
            "librosa.filters.mel(sr=hp.sample_rate, n_fft=hp.n_fft, n_mels",
            "librosa 0.10 takes names only",
        ),
    ),
)


def command(job: Job) -> list[str]:
    """inference.py at the commit; paths without dots but the suffix's, since it splits names at dots."""
    line = [
        *job.python,
        "inference.py",
        "--checkpoint_path",
        job.file("checkpoint", "checkpoints/wav2lip.pth"),
        "--face",
        str(job.video),
        "--audio",
        str(job.audio),
        "--outfile",
        str(job.output),
    ]
    for name in ("box", "pads"):
        if name in job.options:
            line += [f"--{name}", *job.options[name].split()]
    if job.options.get("nosmooth") == "1":
        line.append("--nosmooth")
    if "resize_factor" in job.options:
        line += ["--resize_factor", job.options["resize_factor"]]
    return line


def _gan(job: Job) -> list[str]:
    return command(replace(job, options={"checkpoint": "checkpoints/wav2lip_gan.pth", **job.options}))


ADAPTER = Adapter(record=_RECORD, command=command, writes=("temp", "results"))
GAN = Adapter(
    record=replace(
        _RECORD,
        name="wav2lip_gan",
        title="Wav2Lip + GAN",
        weights=(
            Weights(
                file="checkpoints/wav2lip_gan.pth", where="the links in the repository's README", option="checkpoint"
            ),
            _RECORD.weights[1],
        ),
    ),
    command=_gan,
    writes=ADAPTER.writes,
)
