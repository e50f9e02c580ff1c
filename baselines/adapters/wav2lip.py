"""Wav2Lip (Prajwal et al., ACM MM 2020) and its GAN checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lipsync_eval.baselines.adapters._reference import hand_over, with_reference
from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Patch, Record, Weights

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
    fps="the video's own in and out; audio windows assume 80 mel frames a second",
    resolution="96x96 face, pasted back into the frame",
    audio="16 kHz (librosa)",
    reference="own-frame",
    needs=("video", "audio"),
    options={
        "checkpoint": "path of the checkpoint, in the repository or absolute [checkpoints/wav2lip.pth]",
        "box": "fixed face box 'top bottom left right' in px: no detector is run",
        "pads": "padding 'top bottom left right' [0 10 0 0]",
        "nosmooth": "1: no smoothing of detections",
        "resize_factor": "whole number by which the frame is reduced first",
    },
    checked="options compared with the argument parser of inference.py at the commit; run end to end on a CPU with seeded weights (docs/baselines-checked.md)",
    notes=(
        "its last window is right-aligned with the end of the audio",
        "its network sees the masked frame and the same frame unmasked: dubbed with the video's own audio it sees the true mouth",
    ),
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


_TAKES = """_reference = []

def given_reference(faces):
	if not _reference:
		image = cv2.imread('reference.png')
		if args.resize_factor > 1:
			image = cv2.resize(image, (image.shape[1]//args.resize_factor, image.shape[0]//args.resize_factor))
		y1, y2, x1, x2 = args.box
		face = face_detect([image])[0][0] if args.box[0] == -1 else image[y1: y2, x1:x2]
		_reference.append(cv2.resize(face, (args.img_size, args.img_size)))
	return np.asarray(_reference * len(faces))

def datagen(frames, mels):"""
_JOINED = "img_batch = np.concatenate((img_masked, img_batch), axis=3)"
_GIVEN = "img_batch = np.concatenate((img_masked, given_reference(img_batch)), axis=3)"
_REF_PATCHES = (
    Patch(
        "inference.py", "def datagen(frames, mels):", _TAKES, "the face of the given picture, cut as the frames' own"
    ),
    Patch("inference.py", f"\n\t\t\t{_JOINED}", f"\n\t\t\t{_GIVEN}", "the given reference instead of the frame itself"),
    Patch("inference.py", f"\n\t\t{_JOINED}", f"\n\t\t{_GIVEN}", "the same for the last batch"),
)
_REF_NOTE = "its reference input is the face of the given picture for every frame; the frame's own mouth never reaches its network"


def _referenced(record: Record) -> Callable[[Job], Sequence[str]]:
    def prepare(job: Job) -> Sequence[str]:
        """Hand the reference over; a fixed box must hold for it too."""
        notes = hand_over(record, job)
        if "box" in job.options:
            _same_size(job)
        return notes

    return prepare


def _same_size(job: Job) -> None:
    """A fixed box holds for the reference only where it is a frame of the video's own size."""
    import cv2

    from lipsync_eval.media import open_clip

    picture, clip = cv2.imread(str(job.reference)), open_clip(job.video)
    if picture is None or picture.shape[:2] != (clip.height, clip.width):
        raise BaselineError(
            "the option 'box' holds for the reference too, which must have the video's size; leave 'box' out, or give a frame of the video"
        )


def _ref(adapter: Adapter) -> Adapter:
    record = with_reference(adapter.record, _REF_PATCHES, _REF_NOTE)
    return replace(adapter, record=record, prepare=_referenced(record))


REF, GAN_REF = _ref(ADAPTER), _ref(GAN)
