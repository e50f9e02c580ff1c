"""--precision: other numbers, near the float32 ones, under another signature and another cache key; nothing where there is no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from golden.synthetic_inputs import image
from support.perception import write_lpips

from lipsync_eval.cli import run
from lipsync_eval.device import computing, to_device
from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.fid import Fid
from lipsync_eval.metrics.lpips import Lpips
from lipsync_eval.metrics.psnr import PSNR
from lipsync_eval.settings import Settings
from lipsync_eval.weights.fit import onnx_device, providers


def test_lpips_in_bf16_is_near_and_another_number(tmp_path: Path) -> None:
    write_lpips(tmp_path)
    a, b = np.stack([image(1, 64, 64), image(2, 64, 64)]), np.stack([image(3, 64, 64), image(4, 64, 64)])
    families = [Lpips(Settings(weights_dir=tmp_path, precision=p), frozenset({"lpips"})) for p in ("fp32", "bf16")]
    full, half = (family.distances().measure(a, b) for family in families)
    assert (full != half).all()
    np.testing.assert_allclose(half, full, rtol=0.02)
    np.testing.assert_array_equal(full, families[0].distances().measure(a, b))
    assert [family.keys("lpips").get("dtype") for family in families] == [None, "bf16"]


def test_only_what_has_a_network_is_signed() -> None:
    half = Settings(precision="bf16")
    assert PSNR(half, frozenset({"psnr"})).number_format == {}
    assert Fid(half, frozenset({"fid"})).number_format == {"dtype": "bf16"}


def test_other_formats_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"precision='fp16': expected one of fp32, bf16"):
        Settings(precision="fp16")  # type: ignore[arg-type]
    assert run(["score", "a", "--precision", "half"]) == 2
    assert "fp32" in capsys.readouterr().err


def test_float32_computes_without_autocast() -> None:
    cpu, x = torch.device("cpu"), torch.ones(2, 2)
    with computing(cpu, "fp32"):
        assert (x @ x).dtype == torch.float32 and torch.is_inference_mode_enabled()
    with computing(cpu, "bf16"):
        assert (x @ x).dtype == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu") and not torch.is_inference_mode_enabled()


def test_on_a_cpu_nothing_is_copied() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.shares_memory(to_device(array, torch.device("cpu")).numpy(), array)


def test_where_onnx_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert onnx_device("cpu") is None
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert onnx_device("cuda:1") is None, "a GPU that onnxruntime cannot use"
    assert [name for name, _ in providers(None)] == ["CPUExecutionProvider"]
    (cuda, how), (cpu, _) = providers(1)
    assert (cuda, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert (how["device_id"], how["use_tf32"]) == ("1", "0")
