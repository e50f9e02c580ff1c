"""What all tests share: the folder of real clips, and an isolated cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test depends on how fast the machine is: other jobs may share it.
settings.register_profile("no-clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-clock")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real clips, weights and golden numbers; skips where it is not set."""
    folder = os.environ.get("LIPSYNC_EVAL_TEST_DATA")
    if not folder:
        pytest.skip("LIPSYNC_EVAL_TEST_DATA is not set: no real clips here")
    return Path(folder)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test reads or writes the user's cache. The landmark model that a process puts there (70 MB) goes with the test."""
    monkeypatch.setenv("LIPSYNC_EVAL_CACHE", str(tmp_path / "cache"))
    yield
    for path in tmp_path.rglob("*.bin"):
        if path.stat().st_size > 60_000_000:
            path.unlink()
