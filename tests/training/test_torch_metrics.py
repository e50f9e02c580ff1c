"""lipsync_eval.torch: equal to our functions on arrays, and good citizens of torchmetrics."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.perception import write_inception, write_lpips
from support.syncnet_official import seeded_file

import lipsync_eval
from lipsync_eval.errors import InputError
from lipsync_eval.types import Settings

torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
from lipsync_eval.torch import AVS, CSIM, FID, LMD, LPIPS, LSE, MSSSIM, PSNR, SSIM  # noqa: E402

RNG = np.random.default_rng(3)
GT = RNG.integers(0, 256, (6, 176, 180, 3), dtype=np.uint8)
GEN = np.clip(GT.astype(int) + RNG.integers(-20, 21, GT.shape), 0, 255).astype(np.uint8)
SIMPLE = {
    "PSNR": (PSNR, lipsync_eval.psnr),
    "SSIM": (SSIM, lipsync_eval.ssim),
    "MSSSIM": (MSSSIM, lipsync_eval.ms_ssim),
}


def tensor(stack: np.ndarray, kind: str = "uint8") -> torch.Tensor:
    t = torch.from_numpy(stack).permute(0, 3, 1, 2)
    return t if kind == "uint8" else t.to(getattr(torch, kind)) / 255.0


@pytest.mark.parametrize("name", SIMPLE)
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_equal_to_the_function_whatever_the_batches(name: str, kind: str) -> None:
    make, function = SIMPLE[name]
    whole, parts = make(), make()
    whole.update(tensor(GEN, kind), tensor(GT, kind))
    for part in ([0], [1, 2, 3], [4, 5]):
        parts.update(tensor(GEN[part], kind), tensor(GT[part], kind))
    expected = float(np.mean(function(GEN, GT)))
    assert float(whole.compute()) == pytest.approx(expected, abs=1e-9)
    assert float(parts.compute()) == pytest.approx(float(whole.compute()), abs=1e-12)


def test_networks_are_equal_to_the_functions(tmp_path: Path) -> None:
    write_lpips(tmp_path)
    write_inception(tmp_path)
    settings = Settings(weights_dir=tmp_path, cache_dir=None)
    a, b = GEN[:, :70, :70], GT[:, :70, :70]
    distance = LPIPS(settings=settings)
    distance.update(tensor(a[:2]), tensor(b[:2]))
    distance.update(tensor(a[2:]), tensor(b[2:]))
    assert float(distance.compute()) == pytest.approx(
        float(np.mean(lipsync_eval.lpips(a, b, settings=settings))), abs=1e-6
    )
    frechet = FID(settings=settings)
    frechet.update(tensor(a[:3]), real=False)
    frechet.update(tensor(a[3:]), real=False)
    frechet.update(tensor(b), real=True)
    assert float(frechet.compute()) == pytest.approx(lipsync_eval.fid(a, b, settings=settings), rel=1e-6, abs=1e-5)
    assert float(pickle.loads(pickle.dumps(frechet)).compute()) == float(frechet.compute())
    one = FID(settings=settings)
    one.update(tensor(a), real=True)
    with pytest.raises(InputError, match="at least 2 frames"):
        one.compute()


def test_lse_is_the_function(tmp_path: Path) -> None:
    settings = Settings(weights={"syncnet": seeded_file(tmp_path / "s.model")}, cache_dir=None, device="cpu")
    crops = RNG.integers(0, 256, (12, 224, 224, 3), dtype=np.uint8)
    audio = RNG.integers(-3000, 3000, 8000).astype(np.int16)
    expected = lipsync_eval.lse(crops, audio, settings=settings)
    for which, value in zip(("c", "d", "offset"), expected):
        metric = LSE(which, settings=settings)
        metric.update(tensor(crops), torch.from_numpy(audio))
        assert float(metric.compute()) == pytest.approx(float(value), abs=1e-6)
    assert LSE("c").higher_is_better is True and LSE("d").higher_is_better is False
    assert LSE("offset").higher_is_better is None


def test_lmd_of_landmarks_and_lost_faces() -> None:
    a = RNG.normal(100, 5, (4, 68, 2))
    b = a + RNG.normal(0, 1, a.shape)
    metric = LMD()
    metric.update(torch.from_numpy(a), torch.from_numpy(b))
    assert float(metric.compute()) == pytest.approx(float(np.mean(lipsync_eval.lmd(a, b))), abs=1e-9)
    a[1] = np.nan
    with pytest.raises(InputError, match="1 of 4 frames"):
        metric.update(torch.from_numpy(a), torch.from_numpy(b))
    skip = LMD(on_lost="skip")
    skip.update(torch.from_numpy(a), torch.from_numpy(b))
    assert int(skip.lost) == 1 and int(skip.count) == 3


def test_faces_are_found_in_frames(data: Path) -> None:
    clip = lipsync_eval.open_clip(
        data
        / "clips"
        / "original"
        / sorted(p.name for p in (data / "clips" / "original").iterdir() if p.suffix == ".mp4")[0]
    )
    stack = np.stack([f for f, _ in zip(clip.frames(), range(6))])
    metric = LMD()
    metric.update(tensor(stack), tensor(stack))
    assert float(metric.compute()) == 0.0
    blurred = np.stack([np.asarray(f, np.uint8) for f in np.roll(stack, 2, axis=2)])
    metric.update(tensor(blurred), tensor(stack))
    assert 0.3 < float(metric.compute()) < 2.5, "a shift by 2 px, halved by the equal update"
    with pytest.raises(InputError, match="no face"):
        metric.update(torch.zeros(3, 3, 200, 200), tensor(stack[:3]))


@pytest.mark.parametrize(
    ("gen", "said"),
    [
        (torch.zeros(2, 3, 200), "frames"),
        (torch.zeros(2, 4, 200, 200), "frames"),
        (torch.full((2, 3, 200, 200), 1.5), r"\[0, 1\]"),
        (torch.full((2, 3, 200, 200), float("nan")), r"\[0, 1\]"),
        (torch.zeros(2, 3, 200, 200, dtype=torch.int32), "uint8"),
    ],
)
def test_what_is_no_frame_is_refused(gen: torch.Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        PSNR().update(gen, torch.zeros(2, 3, 200, 200))


@pytest.mark.parametrize("make", [PSNR, SSIM, MSSSIM, LMD, LPIPS, FID, CSIM, LSE, AVS])
def test_torchmetrics_finds_what_it_needs(make: Any) -> None:
    metric = make()
    assert metric.higher_is_better in (True, False)
    assert metric.plot_lower_bound is not None
    assert isinstance(metric.clone(), make) and isinstance(pickle.loads(pickle.dumps(metric)), make)


def test_forward_reset_collection_and_half() -> None:
    both = torchmetrics.MetricCollection([PSNR(), SSIM()])
    first = both(tensor(GEN[:2]), tensor(GT[:2]))
    both(tensor(GEN[2:]), tensor(GT[2:]))
    assert float(first["PSNR"]) == pytest.approx(float(np.mean(lipsync_eval.psnr(GEN[:2], GT[:2]))), abs=1e-9)
    assert float(both.compute()["PSNR"]) == pytest.approx(float(np.mean(lipsync_eval.psnr(GEN, GT))), abs=1e-9)
    both.reset()
    metric = PSNR().half()
    metric.update(tensor(GEN), tensor(GT))
    assert metric.total.dtype == torch.float64
    assert both["PSNR"].count == 0


RANKS = """
import sys, numpy as np, torch, torch.distributed as dist
from lipsync_eval.torch import PSNR, LMD
rank, port = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
rng = np.random.default_rng(5)
a, b = (torch.from_numpy(rng.integers(0, 256, (5, 3, 40, 40), dtype=np.uint8)) for _ in range(2))
metric = PSNR()
cut = slice(0, 1) if rank == 0 else slice(1, 5)
metric.update(a[cut], b[cut])
print(repr(float(metric.compute())), flush=True)
dist.destroy_process_group()
"""


def test_two_ranks_give_the_number_of_one() -> None:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", RANKS, str(rank), str(port)], stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    said = [p.communicate()[0].strip() for p in ranks]
    rng = np.random.default_rng(5)
    a, b = (rng.integers(0, 256, (5, 3, 40, 40), dtype=np.uint8).transpose(0, 2, 3, 1) for _ in range(2))
    expected = float(np.mean(lipsync_eval.psnr(np.ascontiguousarray(a), np.ascontiguousarray(b))))
    assert [float(s) for s in said] == pytest.approx([expected, expected], abs=1e-9)
