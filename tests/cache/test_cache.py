"""The cache: what it holds, and how it is made smaller."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from lipsync_eval.cache import Cache, default_cache_dir, find_cache_dir, inspect, remove, surplus
from lipsync_eval.cli import run as cli


def filled(folder: Path, n: int = 5) -> Cache:
    """n entries of about 1 kB, entry i unused for n - i days; and files that are not the cache's."""
    cache = Cache(folder)
    for i in range(n):
        cache.put({"i": str(i)}, {"a": np.full(100, i)})
        path = next(p for p in folder.rglob("*.npz") if p.stat().st_mtime > time.time() - 3600)
        os.utime(path, (time.time() - 86400 * (n - i),) * 2)
    (folder / "weights").mkdir()
    (folder / "weights" / "syncnet_v2.model").write_bytes(b"x" * 5000)
    (folder / "notes.txt").write_text("mine")
    (folder / "ab").mkdir(exist_ok=True)
    (folder / "ab" / "thesis.npz").write_text("mine")
    return cache


def kept(cache: Cache) -> list[int]:
    return [i for i in range(5) if cache.get({"i": str(i)}) is not None]


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    assert cache.get({"i": "0"}) is not None, "a use counts"
    entries = inspect(tmp_path)
    assert len(entries) == 5
    size = entries[0].size
    assert remove(surplus(entries, largest=3 * size)) == 2 * size
    assert kept(cache) == [0, 3, 4]
    assert surplus(inspect(tmp_path), largest=3 * size) == []


def test_by_age(tmp_path: Path) -> None:
    cache = filled(tmp_path)
    remove(surplus(inspect(tmp_path), days=2.5))
    assert kept(cache) == [3, 4]


def test_the_commands_leave_everything_else_alone(capsys: pytest.CaptureFixture[str]) -> None:
    folder = default_cache_dir()
    folder.mkdir()
    cache = filled(folder)
    (folder / "ab" / f".{'a' * 40}.x1.tmp").write_bytes(b"half")
    assert cli(["cache", "list"]) == 0
    assert "files    6" in capsys.readouterr().out
    assert cli(["cache", "prune"]) == 2
    assert cli(["cache", "prune", "--max-size", "much"]) == 2
    assert cli(["cache", "clear", "--dry-run"]) == 0
    assert "6 of 6 files would be removed" in capsys.readouterr().out and kept(cache) == [0, 1, 2, 3, 4]
    assert cli(["cache", "prune", "--max-size", "0.002MB"]) == 0
    assert cli(["cache", "clear"]) == 0
    assert kept(cache) == []
    left = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert left == ["ab/thesis.npz", "notes.txt", "weights/syncnet_v2.model"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 10_000)
    (tmp_path / "cache" / "aa").mkdir(parents=True)
    (tmp_path / "cache" / "aa" / f"{'a' * 64}.npz").symlink_to(tmp_path / "big")
    remove(inspect(tmp_path / "cache"))
    assert (tmp_path / "big").exists() and inspect(tmp_path / "cache") == []


def test_no_folder(tmp_path: Path) -> None:
    assert inspect(tmp_path / "none") == []
    assert find_cache_dir() == default_cache_dir()
