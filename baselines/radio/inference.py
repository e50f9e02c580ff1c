"""What dubbing, attention pictures and robustness share: a loaded generator, a reference, aligned batches."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lipsync_eval.baselines.radio.align import align
from lipsync_eval.baselines.radio.config import ModelConfig, differences
from lipsync_eval.baselines.radio.dataset import to_frames, to_tensor
from lipsync_eval.baselines.radio.model import Radio, Reference
from lipsync_eval.baselines.radio.native import Pictures
from lipsync_eval.baselines.radio.runs import Checkpoint, open_checkpoint
from lipsync_eval.baselines.radio.telling import Say, silent, telling
from lipsync_eval.cache import Cache
from lipsync_eval.errors import FaceError, MediaError, RefusedCheckpoint, UsageError
from lipsync_eval.types import Clip, Float, Frame, Track

MAP_BYTES = 16 << 20
"""On a CPU the largest map of a batch stays below this. Beyond 32 MiB the allocator of Linux gives memory back after
every operation and takes it anew for the next: 16 pictures of 192 px at once are slower than one by one."""
MOST = 16
"""Pictures at once, at most, unless asked otherwise."""


@dataclass
class Generator:
    """A generator ready for use, and the time it took."""

    model: Radio
    checkpoint: Checkpoint
    device: torch.device
    seconds: float = field(default=0.0)
    """Spent in the network, transfers included."""

    @property
    def size(self) -> int:
        """px of its pictures."""
        return self.model.config.size

    @property
    def batch(self) -> int:
        """Pictures at once that suit the device; they do not change the result."""
        if self.device.type != "cpu":
            return MOST
        config = self.model.config
        largest = max(config.channels(size) * size**2 for size in config.encoder_sizes) * 4
        return max(1, min(MOST, MAP_BYTES // largest))

    @torch.inference_mode()
    def reference(self, picture: Frame) -> Reference:
        """Encode an aligned reference picture (size, size, 3) uint8."""
        return self.model.reference(to_tensor(picture[None]).to(self.device))

    @torch.inference_mode()
    def __call__(
        self, aligned: Sequence[Frame], mels: Sequence[NDArray[np.float32]], reference: Reference
    ) -> NDArray[np.uint8]:
        """Dub aligned pictures.

        Args:
            aligned: n pictures (size, size, 3) uint8.
            mels: n windows (bands, frames) float32.
            reference: from `reference`.

        Returns:
            (n, size, size, 3) uint8.
        """
        begun = time.perf_counter()
        target = to_tensor(np.stack(aligned)).to(self.device)
        mel = torch.from_numpy(np.stack(mels))[:, None].to(self.device)
        made = to_frames(self.model.generate(target, reference.expand(len(aligned)), mel))
        self.seconds += time.perf_counter() - begun
        return made


def load_generator(path: Path, device: str = "auto", expected: ModelConfig | None = None) -> Generator:
    """Load the averaged generator of a checkpoint or run.

    Args:
        path: RUN or RUN/checkpoints/STEP.
        device: as --device.
        expected: the model that the caller's configuration describes, if there is one.

    Raises:
        RefusedCheckpoint: no checkpoint of `radio train`, damaged, or of another model than `expected`.
    """
    from lipsync_eval.device import pick
    from lipsync_eval.weights import fit

    held = open_checkpoint(path, "radio")
    if expected is not None and (other := differences(expected, held.config.model)):
        raise RefusedCheckpoint(f"{held.folder} holds another model than the configuration: {'; '.join(other)}")
    model = Radio(held.config.model)
    fit(model, held.tensors(), source=str(held.folder))
    chosen = pick(device)
    return Generator(model.eval().requires_grad_(False).to(chosen), held, chosen)


def face_track(pictures: Pictures, cache: Cache | None = None, say: Say = silent) -> Track:
    """The largest face through the video, kept in `cache` by the video's content.

    Raises:
        FaceError: there is none.
    """
    from lipsync_eval.faces import track_faces

    return track_faces(telling(pictures.clip, "face followed", say), cache=cache)


def reference_picture(choice: str | None, pictures: Pictures, track: Track, size: int) -> tuple[Frame, str]:
    """The aligned reference: `reference_image`, or else `reference_frame`."""
    return reference_image(choice, pictures, size) or reference_frame(choice, pictures, track, size)


def reference_image(choice: str | None, pictures: Pictures, size: int) -> tuple[Frame, str] | None:
    """The aligned reference where it is an image file; None where it is a picture of the video. Needs no track.

    Args:
        choice: an image file, the number of a picture of the video, or None for the first picture with a face.
        pictures: the video.
        size: px of the result.

    Returns:
        (size, size, 3) uint8 RGB, and words for the report.

    Raises:
        FaceError: no face in the image.
        MediaError: it is no image.
        UsageError: neither a file nor a number of a picture.
    """
    if choice is None:
        return None
    if re.fullmatch(r"-?[0-9]+", choice):
        if not 0 <= int(choice) < pictures.clip.n_frames:
            raise UsageError(f"reference {choice}: the video has the pictures 0 to {pictures.clip.n_frames - 1}")
        return None
    path = Path(choice)
    frame = read_image(path)
    return align(frame, face_of(frame, path.name), size), path.name


def reference_frame(choice: str | None, pictures: Pictures, track: Track, size: int) -> tuple[Frame, str]:
    """The aligned reference where it is a picture of the video: as `reference_image`, with the video's face.

    Raises:
        FaceError: no face in that picture.
    """
    index = int(np.flatnonzero(track.valid)[0]) if choice is None else int(choice)
    if not track.valid[index]:
        raise FaceError(f"reference: picture {index} of {pictures.clip.path.name!r} shows no face; choose another")
    frame = next(pictures.clip.frames(index, index + 1))
    return align(frame, track.points[index], size), f"picture {index}"


def read_image(path: Path) -> Frame:
    """(H, W, 3) uint8 RGB of an image file.

    Raises:
        UsageError: there is no such file.
        MediaError: it is no image.
    """
    import cv2

    if not path.is_file():
        raise UsageError(f"reference {str(path)!r} is neither a file nor a number of a picture")
    data = np.fromfile(path, np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if bgr is None:
        raise MediaError(f"reference {path.name!r} is no image that can be read; give a PNG or JPEG file")
    return np.ascontiguousarray(bgr[:, :, ::-1])


def face_of(frame: Frame, name: str) -> Float:
    """(68, 2) landmarks of the largest face of a picture.

    Raises:
        FaceError: there is none.
    """
    from lipsync_eval.faces import track_faces

    def read(start: int, stop: int) -> Iterator[Frame]:
        yield from [frame.copy()] * (stop - start)

    clip = Clip(Path(name), 1, frame.shape[0], frame.shape[1], 25.0, "", None, read)
    try:
        points: Float = track_faces(clip).points[0]
    except FaceError as error:
        raise FaceError(
            f"reference {name!r} shows no face; give a picture with one face, well lit, at least 80 px wide"
        ) from error
    return points
