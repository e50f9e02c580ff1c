"""Lip sync of crops and audio that you have as arrays: SyncNet's LSE and AV-HuBERT's AVS."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipsync_eval.errors import InputError
from lipsync_eval.types import Settings


class LSE(NamedTuple):
    """What SyncNet says about one face track."""

    lse_c: float
    """Confidence, higher is better: median minus minimum of the 31 mean distances."""
    lse_d: float
    """Distance, lower is better: the minimum."""
    av_offset: int
    """Frames (1/25 s) by which the audio leads (positive) or lags (negative); nearest to 0 is best."""


class AVS(NamedTuple):
    """Cosines of AV-HuBERT features, -1..1, higher is better; None where an input is missing."""

    avs_u: float | None
    """Generated video without audio against the audio without video."""
    avs_m: float | None
    """Generated video with the audio against the real video with the same audio."""
    avs_v: float | None
    """Generated video against the real video, both without audio."""


def lse(crops: ArrayLike, audio: ArrayLike, *, settings: Settings | None = None) -> LSE:
    """LSE-C, LSE-D and offset of one face track (Chung and Zisserman, ACCV-W 2016; joonson/syncnet_python@6efbb1c).

    Args:
        crops: (T, 224, 224, 3) uint8 RGB at 25 fps, T >= 6: the face as SyncNet expects it (protocol `syncnet` cuts it).
        audio: (N,) mono at 16 kHz, int16 or float in [-1, 1]; sample 0 sounds with the first crop.
        settings: weights and device; None: Settings().

    Raises:
        InputError: wrong dtype or shape.
        MetricError: too short, or silent.
        MissingWeights: SyncNet's weights are not on this machine.
    """
    from lipsync_eval.features.syncnet import net as syncnet_net
    from lipsync_eval.features.syncnet.side_scorer import check_audio
    from lipsync_eval.features.syncnet.track_scorer import TrackScorer, read
    from lipsync_eval.weights import locate

    frames, samples = np.asarray(crops), _int16(audio)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (224, 224, 3):
        raise InputError(f"crops must be (T, 224, 224, 3) uint8 RGB; got {frames.shape} {frames.dtype}")
    check_audio(samples, len(frames))
    settings = settings or Settings()
    file = locate(settings, "syncnet", role="syncnet")
    net = syncnet_net.load(file.path, file.sha256, settings.device, settings.precision)
    scorer = TrackScorer(net, samples, len(frames))
    for frame in frames:
        scorer.add(np.ascontiguousarray(frame[..., ::-1]))
    found = read(scorer.finish())
    return LSE(found.confidence, found.distance, found.offset)


def avs(
    gen: ArrayLike,
    gt: ArrayLike | None = None,
    audio: ArrayLike | None = None,
    *,
    dtype: Literal["float32", "bfloat16"] | None = None,
    settings: Settings | None = None,
) -> AVS:
    """AVS_u, AVS_m, AVS_v (Yaman et al., CVPR-W 2024, equations 4 to 6): cosine per frame, mean over frames.

    Args:
        gen: (T, 96, 96) uint8 grey mouth crops of the generated video at 25 fps (features.avhubert.mouth_roi makes them).
        gt: the same of the real video, or None: AVS_u alone.
        audio: (N,) mono at 16 kHz, int16 or float in [-1, 1]; None: AVS_v alone.
        dtype: number format of the matrix products; None: as the settings' `precision`.
        settings: weights and device; None: Settings().

    Raises:
        InputError: wrong dtype, shape or length, or nothing to compare with.
        MissingWeights: no AV-HuBERT checkpoint is on this machine.
    """
    from lipsync_eval.device import pick
    from lipsync_eval.features.avhubert.audio import audio_input
    from lipsync_eval.features.avhubert.checkpoint import load
    from lipsync_eval.features.avhubert.extract import DTYPE_OF, Extractor
    from lipsync_eval.metrics.avs import frame_mean
    from lipsync_eval.metrics.helpers.avs_specs import ROW
    from lipsync_eval.weights import locate

    if gt is None and audio is None:
        raise InputError(
            "avs compares the generated video with audio or with the real video; give at least one of them"
        )
    made, real = _mouths("gen", gen), None if gt is None else _mouths("gt", gt)
    if real is not None and len(real) != len(made):
        raise InputError(f"gen has {len(made)} frames and gt {len(real)}; cut both to one length first")
    settings = settings or Settings()
    file = locate(settings, ROW, role="avhubert")
    extractor = Extractor(load(file.path, str(pick(settings.device))), dtype or DTYPE_OF[settings.precision])
    seen = extractor.see(made)
    seen_real = None if real is None else extractor.see(real)
    heard = None
    if audio is not None:
        heard = extractor.hear(audio_input(_int16(audio), len(made), extractor.normalize))
    encode = extractor.encode
    return AVS(
        None if heard is None else frame_mean(encode(seen, None), encode(None, heard)),
        None if heard is None or seen_real is None else frame_mean(encode(seen, heard), encode(seen_real, heard)),
        None if seen_real is None else frame_mean(encode(seen, None), encode(seen_real, None)),
    )


def _mouths(name: str, crops: ArrayLike) -> NDArray[np.uint8]:
    a = np.asarray(crops)
    if a.dtype != np.uint8 or a.ndim != 3 or not len(a):
        raise InputError(f"{name} must be (T, 96, 96) uint8 grey mouth crops; got {a.shape} {a.dtype}")
    return a


def _int16(audio: ArrayLike) -> NDArray[np.int16]:
    a = np.asarray(audio)
    if a.ndim == 1 and a.dtype == np.int16:
        return a
    if a.ndim != 1 or a.dtype.kind != "f" or not np.isfinite(a).all() or np.abs(a).max(initial=0) > 1:
        raise InputError(f"audio must be (N,) mono at 16 kHz, int16 or float in [-1, 1]; got {a.shape} {a.dtype}")
    return np.clip(np.rint(a.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)
