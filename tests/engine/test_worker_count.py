"""--workers auto, and where the networks of several measuring processes run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsync_eval.engine import worker_count
from lipsync_eval.engine.tools import MeasuringTools, open_tools
from lipsync_eval.engine.worker_count import count_workers, free_cores, free_memory, network_places
from lipsync_eval.errors import UsageError
from lipsync_eval.types import Settings


def tools(metrics: str, device: str = "auto") -> MeasuringTools:
    return open_tools(Settings(device=device, cache_dir=None), metrics.split(","))


@pytest.mark.parametrize("wrong", [0, -1, "many", True, 1.5, None])
def test_other_counts_are_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match="1 or more, or 'auto'"):
        count_workers(wrong, tools("psnr"), 3)  # type: ignore[arg-type]


def test_a_number_is_taken_as_it_is() -> None:
    assert count_workers(7, tools("psnr"), 2) == 7


def test_auto_is_bounded_by_cores_memory_and_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(worker_count, "free_cores", lambda: 16)
    for free, metrics, clips, expected in [
        (100.0, "psnr", 1000, 16),
        (100.0, "psnr", 5, 5),
        (7.0, "psnr", 1000, 7),
        (7.0, "psnr,lse_c", 1000, 2),
        (0.2, "psnr", 1000, 1),
        (None, "psnr", 1000, 16),
        (100.0, "psnr", 0, 1),
    ]:
        monkeypatch.setattr(worker_count, "free_memory", lambda free=free: free)
        assert count_workers("auto", tools(metrics), clips) == expected


def test_each_gpu_keeps_a_core_for_its_networks_and_two_processes_share_each_other_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_count, "_cuda", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr(worker_count, "free_cores", lambda: 16)
    monkeypatch.setattr(worker_count, "free_memory", lambda: 100.0)
    assert count_workers("auto", tools("psnr,lse_c"), 1000) == 28
    assert count_workers("auto", tools("psnr"), 1000) == 16
    assert count_workers("auto", tools("psnr,lse_c", "cpu"), 1000) == 16


def test_where_networks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_count, "_cuda", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert network_places(tools("psnr,lse_c")) == ["3", "5"]
    assert network_places(tools("psnr,lse_c", "cuda:1")) == ["5"]
    assert network_places(tools("psnr,lse_c", "cuda:2")) == []
    assert network_places(tools("psnr,lse_c", "cpu")) == []
    assert network_places(tools("psnr,ssim")) == []
    monkeypatch.setattr(worker_count, "_cuda", lambda: False)
    assert network_places(tools("psnr,lse_c")) == []


def test_the_machine_tells_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_cores() >= 1
    free = free_memory()
    assert free is None or free > 0
    monkeypatch.setattr(worker_count, "_CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text(f"{3 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2 * 2**30}\n")
    assert free_cores() == 1
    assert free_memory() == pytest.approx(1.0)
    for text in ("max 100000\n", "-1 100000\n", "100000 0\n", "\xff"):
        (tmp_path / "cpu.max").write_text(text, "latin-1")
        assert free_cores() >= 1
