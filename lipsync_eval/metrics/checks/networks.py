"""What `weights verify` does for LPIPS, Inception, ArcFace and DiffPoseTalk, on the photograph that scikit-image ships.

Nobody published an answer for these networks on an image that is at hand, so the checks are: the file fits the network,
and the network does what it must. Only for `mobilefacenet` there is a known answer, measured with the published file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lipsync_eval.errors import WeightsError
from lipsync_eval.types import Settings
from lipsync_eval.weights import locate

EYES_NOSE_MOUTH: Final = np.array([[203.0, 114.0], [252.0, 109.0], [230.0, 140.0], [210.0, 160.0], [252.0, 157.0]])
"""Five points of the face in the photograph, px."""
MIRRORED: Final = {"mobilefacenet": 0.914}
"""Row -> cosine of that face and its mirror image."""
TOLERANCE: Final = 0.01


def check_lpips(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """Equal images are 0 apart, and more blur is farther."""
    from lipsync_eval.features.lpips_weights import find, load
    from lipsync_eval.metrics.lpips import lpips

    net = name.removeprefix("lpips-")
    network = load(net, *find(settings, net))
    real = np.stack([_photograph()] * 3)
    values = lpips(network, np.stack([_blurred(real[0], s) for s in (0.0, 1.0, 4.0)]), real)
    if not values[0] == 0 < values[1] < values[2]:
        raise WeightsError(
            f"{name}: blur of 0, 1 and 4 px should give rising distances from 0, and gives {values.round(4).tolist()}; fetch the files again"
        )
    return [f"{name}: fits the network; blur of 0, 1 and 4 px gives {', '.join(f'{v:.4f}' for v in values)}"]


def check_inception(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """Features are finite, not negative, and move more with more blur."""
    from lipsync_eval.metrics.fid import Fid

    images = np.stack([_blurred(_photograph(), s) for s in (0.0, 1.0, 4.0)])
    found = Fid(settings, frozenset({"fid"})).embed(images, "fid").astype(np.float64)
    near, far = (float(np.linalg.norm(found[k] - found[0])) for k in (1, 2))
    if not np.isfinite(found).all() or found.min() < 0 or not 0 < near < far:
        raise WeightsError(
            f"{name}: pool3 features should be finite, >= 0 and move more with more blur; they move by {near:.3g} and {far:.3g}. Fetch the file again"
        )
    return [
        f"{name}: fits the network; mean feature {found[0].mean():.4f}; blur of 1 and 4 px moves the features by {near:.2f} and {far:.2f}"
    ]


def check_arcface(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """A face is like its mirror image."""
    from lipsync_eval.features.arcface import FaceEmbedder
    from lipsync_eval.features.arcface_align import align

    face = align(_whole(), EYES_NOSE_MOUTH)
    vectors = FaceEmbedder(locate(settings, name), settings.device)(np.stack([face, face[:, ::-1]]))
    found, wanted = float(vectors[0] @ vectors[1]), MIRRORED.get(name)
    if wanted is None:
        if found < 0.5:
            raise WeightsError(
                f"{name}: a face and its mirror image should be alike, and their cosine is {found:.3f}; is the preprocessing that of this file?"
            )
        return [f"{name}: {vectors.shape[1]} numbers; cosine of a face and its mirror image {found:.3f}"]
    if abs(found - wanted) > TOLERANCE:
        raise WeightsError(
            f"{name}: the cosine of a face and its mirror image is {found:.3f}, known answer {wanted}; fetch the file again"
        )
    return [f"{name}: cosine of a face and its mirror image {found:.3f}, known answer {wanted}"]


def check_diffposetalk(settings: Settings, name: str, clip: Path | None) -> list[str]:
    """The encoder does not see the order of frames, and does see their spread."""
    from lipsync_eval.features.style.diffposetalk import load
    from lipsync_eval.features.style.files import Flame

    model = load(locate(settings, name).path, locate(settings, name, part="stats").path)
    rng = np.random.default_rng(0)
    flame = Flame(rng.normal(size=(100, 50)), 0.1 * rng.normal(size=(100, 6)))
    first, turned, other = (
        model.style(f) for f in (flame, Flame(flame.exp[::-1], flame.pose[::-1]), Flame(3 * flame.exp, flame.pose))
    )
    if not first @ turned > 1 - 1e-4 or first @ other > 1 - 1e-4:
        raise WeightsError(
            f"{name}: the style should not change when frames are turned round ({first @ turned:.5f}) and should when they move more ({first @ other:.5f})"
        )
    return [f"{name}: fits the network; order does not move the style, spread does (cosine {first @ other:.3f})"]


def _whole() -> NDArray[np.uint8]:
    from skimage.data import astronaut

    return np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def _photograph() -> NDArray[np.uint8]:
    """(256, 256, 3) the face of the photograph."""
    return np.ascontiguousarray(_whole()[:256, 100:356])


def _blurred(image: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8) if sigma else image
