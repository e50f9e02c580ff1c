"""SadTalker (Zhang et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lipsync_eval.baselines.adapters._faces import write_picture_points
from lipsync_eval.baselines.base import Adapter, BaselineError, Job, Patch, Record, Weights, newest

RECORD = Record(
    name="sadtalker",
    title="SadTalker",
    repository="OpenTalker/SadTalker",
    commit="cd4c0465ae0b54a6f85af57f5c65fec9fe23e7f8",
    licence="Apache-2.0",
    paper="arXiv:2211.12194",
    python="3.8",
    torch="1.12.1+cu113",
    weights=(
        *(
            Weights(file=f"checkpoints/{name}", where="scripts/download_models.sh of the repository")
            for name in (
                "mapping_00109-model.pth.tar",
                "mapping_00229-model.pth.tar",
                "SadTalker_V0.0.2_256.safetensors",
            )
        ),
        *(
            Weights(
                file=f"gfpgan/weights/{name}",
                where="scripts/download_models.sh of the repository (its code fetches it for every clip otherwise)",
                unless="points",
            )
            for name in ("detection_Resnet50_Final.pth", "alignment_WFLW_4HG.pth")
        ),
    ),
    imports=(
        "torch",
        "torchvision",
        "cv2",
        "librosa",
        "kornia",
        "facexlib",
        "safetensors",
        "yacs",
        "pydub",
        "imageio",
        "skimage",
    ),
    entry="inference.py",
    gpu=False,
    fps="a picture in, 25 out",
    resolution="256x256 (512 as an option); whole frame with --preprocess full",
    audio="16 kHz",
    reference="given",
    needs=("image", "audio"),
    options={
        "preprocess": "crop, extcrop, resize, full or extfull [full]",
        "size": "256 or 512 [256]",
        "pose_style": "0 to 45 [0]",
        "still": "1: little head motion",
        "enhancer": "gfpgan or RestoreFormer",
        "checkpoints": "folder [checkpoints]",
        "points": "dlib68 or another backend of 68 points: lipsync-eval finds the face, facexlib's networks are not run (prepared copies only; not for ext...)",
    },
    checked="options compared with the argument parser of inference.py at the commit; run end to end on a CPU with seeded weights (docs/baselines-checked.md)",
    notes=(
        "head motion is its own: compare with crop_from=own",
        "blinks are drawn without a seed",
        "pydub and the code itself call ffmpeg",
    ),
    patches=(
        Patch(
            "src/face3d/util/preprocess.py",
            "category=np.VisibleDeprecationWarning",
            "category=np.exceptions.VisibleDeprecationWarning",
            "numpy 2 moved it",
        ),
        Patch(
            "src/face3d/util/preprocess.py",
            "t = np.stack([sTx, sTy], axis=0)",
            "t = np.concatenate([sTx, sTy])",
            "numpy 2.4 makes no scalar of an array with one dimension",
        ),
        Patch("src/utils/preprocess.py", "[float(item) for item in", "[float(item[0]) for item in", "the same"),
        Patch(
            "src/face3d/util/my_awing_arch.py",
            "preds.astype(np.float,",
            "preds.astype(float,",
            "numpy 1.24 took np.float away",
        ),
        Patch("src/utils/croper.py", "Image.ANTIALIAS", "Image.LANCZOS", "Pillow 10 took the old name away"),
        Patch(
            "src/utils/face_enhancer.py",
            "from gfpgan import GFPGANer",
            "GFPGANer = lambda **given: __import__('gfpgan').GFPGANer(**given)",
            "imported only for the option enhancer: its basicsr does not import beside torchvision 0.17 or later",
        ),
        Patch(
            "src/utils/croper.py",
            "self.predictor = KeypointExtractor(device)",
            "self.predictor = os.path.exists('landmarks.npy') or KeypointExtractor(device)",
            "not loaded where landmarks are given",
        ),
        Patch(
            "src/utils/croper.py",
            "lm = self.get_landmark(img_np)",
            "lm = np.load('landmarks.npy') if self.predictor is True else self.get_landmark(img_np)",
            "landmarks that the option `points` gave",
        ),
        Patch(
            "src/utils/preprocess.py",
            "lm = self.propress.predictor.extract_keypoint(frames_pil, landmarks_path)",
            "lm = (np.load('landmarks.npy')[None] - [ox1, oy1]) * pic_size / [ox2 - ox1, oy2 - oy1] if self.propress.predictor is True"
            " else self.propress.predictor.extract_keypoint(frames_pil, landmarks_path)",
            "the same, in the cut-out picture",
        ),
    ),
)

_FACE = 512
"""px: around a larger face its code may shrink the picture first, which landmarks in px of the picture would not follow."""


def prepare(job: Job) -> Sequence[str]:
    """Landmarks of the reference picture where the patched code looks for them, if the option `points` asks for that."""
    if "points" not in job.options:
        return ()
    if "ext" in job.options.get("preprocess", ""):
        raise BaselineError(
            f"the option 'points' does not work with preprocess = {job.options['preprocess']!r}: leave one of them out"
        )
    track = write_picture_points(RECORD, job, job.view / "landmarks.npy")
    left, top, right, bottom = track.boxes[0]
    if max(right - left, bottom - top) > _FACE:
        raise BaselineError(
            f"the option 'points' is for faces of at most {_FACE} px: leave it out, or give a smaller reference picture"
        )
    return [f"landmarks of the reference picture by {track.backend}, instead of its own detector"]


def command(job: Job) -> list[str]:
    """inference.py at the commit."""
    line = [
        *job.python,
        "inference.py",
        "--driven_audio",
        str(job.audio),
        "--source_image",
        str(job.reference),
        "--result_dir",
        str(job.work / "result"),
        "--checkpoint_dir",
        job.file("checkpoints", "checkpoints"),
        "--preprocess",
        job.options.get("preprocess", "full"),
        "--size",
        job.options.get("size", "256"),
        "--pose_style",
        job.options.get("pose_style", "0"),
    ]
    line += ["--still"] if job.options.get("still") == "1" else []
    line += ["--enhancer", job.options["enhancer"]] if "enhancer" in job.options else []
    return [*line, "--cpu"] if job.device == "cpu" else line


def collect(job: Job) -> Path:
    """result/DATE.mp4."""
    return newest(job.work / "result", "*.mp4", job)


ADAPTER = Adapter(record=RECORD, command=command, prepare=prepare, collect=collect)
