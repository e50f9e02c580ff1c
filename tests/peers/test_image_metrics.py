"""PSNR, SSIM and MS-SSIM against other packages, on photographs and on decoded frames of real clips."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.pictures import photograph, table

from lipsync_eval import ms_ssim, open_clip, psnr, ssim


def peer(name: str) -> ModuleType:
    """Import a package, or skip with the reason: some fail with other errors than ImportError."""
    try:
        return import_module(name)
    except Exception as error:
        pytest.skip(f"{name} cannot be imported: {str(error).splitlines()[0]}")


def photographs() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(photograph(case), b) for case in ("case1_192", "case2_256") for b in table(case).b[::3]]


def frames(data: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Middles of frames of real clips (odd sizes too), against the same with re-encoding-like damage (JPEG) and the next frame but four."""
    import cv2

    pairs = []
    for name in ("vrt_face1.mp4", "hdtf_menendez.mp4", "grid_bbaf2n.mpg"):
        there = [
            np.ascontiguousarray(frame[20:281, 20:245])
            for frame in open_clip(data / "clips" / "original" / name).frames(10, 15)
        ]
        jpeg = cv2.imdecode(cv2.imencode(".jpg", there[0], [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
        pairs += [(there[0], jpeg), (there[0], there[4])]
    return pairs


def compare_all(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """scikit-image in float64 for PSNR and SSIM, pytorch-msssim on float64 tensors for SSIM and MS-SSIM."""
    metrics, msssim = peer("skimage.metrics"), peer("pytorch_msssim")
    import torch

    options = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 255,
        "channel_axis": -1,
    }
    for a, b in pairs:
        x, y = (torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] for p in (a, b))
        if not np.array_equal(a, b):
            assert psnr(a, b) == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=255), rel=1e-9)
        assert ssim(a, b) == pytest.approx(metrics.structural_similarity(a, b, **options), abs=1e-6)
        assert ssim(a, b) == pytest.approx(float(msssim.ssim(x, y, data_range=255)), abs=1e-5)
        if min(a.shape[:2]) > 160:
            assert ms_ssim(a, b) == pytest.approx(float(msssim.ms_ssim(x, y, data_range=255)), abs=1e-5)


def test_photographs() -> None:
    compare_all(photographs())


def test_frames_of_real_clips(data: Path) -> None:
    compare_all(frames(data))


def test_piq() -> None:
    """Equal where sides are divisible by 16; piq works on [0, 1] or any range that it is told."""
    piq = peer("piq")
    import torch

    for a, b in photographs():
        x, y = (torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] for p in (a, b))
        assert ssim(a, b) == pytest.approx(float(piq.ssim(x, y, data_range=255, downsample=False)), abs=1e-6)
        assert ms_ssim(a, b) == pytest.approx(float(piq.multi_scale_ssim(x, y, data_range=255)), abs=1e-6)


def test_torchmetrics_is_another_definition() -> None:
    """Its SSIM reflects at the border and counts the border: near ours, but not equal, as docs/metrics/ssim.md says."""
    torchmetrics = peer("torchmetrics.functional.image")
    import torch

    a, b = photograph("case2_256"), table("case2_256").b[4]
    x, y = (torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] for p in (a, b))
    theirs = float(torchmetrics.structural_similarity_index_measure(x, y, data_range=255.0))
    assert 1e-5 < abs(ssim(a, b) - theirs) < 0.02
