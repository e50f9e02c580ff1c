"""A second run against the same real videos runs no network on them, decodes them for nobody, and gives every bit again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import blurred, frames, sound, write
from support.perception import write_inception, write_r18
from support.syncnet_official import seeded_file

from lipsync_eval import Settings, score
from lipsync_eval.engine import near_files
from lipsync_eval.features.arcface import FaceNetwork
from lipsync_eval.features.inception import Pool3
from lipsync_eval.features.syncnet.net import Folded
from lipsync_eval.metrics.base import ALL_FRAMES, looks_at
from lipsync_eval.metrics.registry import specs
from lipsync_eval.results.schema import Result
from lipsync_eval.types import Clip, Frame

CHEAP = [n for n, s in specs().items() if not s.needs & {"weights", "reference", "npz", "experiment"}]
COMPARE_PIXELS = {"psnr", "psnr_pooled", "psnr_uint8wrap", "ssim", "ms_ssim"}
"""They need the real crops themselves, so that only --cache-crops spares the decoding."""
NETWORKS = ["fid", "lse_c", "lse_d", "csim"]
FRAMES = 30


class Seen:
    """What was decoded of real videos, and how many items the networks got."""

    def __init__(self) -> None:
        self.real = self.items = 0


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    found, opened = Seen(), near_files.open_clip

    def counting(path: Path, **how: Any) -> Clip:
        clip = opened(path, **how)

        def read(start: int, stop: int) -> Iterator[Frame]:
            for frame in clip.read(start, stop):
                found.real += 1
                yield frame

        return replace(clip, read=read) if Path(path).parent.name == "gt" else clip

    def counted(method: Any) -> Any:
        def call(self: Any, items: np.ndarray[Any, Any], *more: Any, **how: Any) -> Any:
            found.items += len(items)
            return method(self, items, *more, **how)

        return call

    monkeypatch.setattr(near_files, "open_clip", counting)
    for kind, name in ((Pool3, "embed"), (Folded, "lip"), (Folded, "audio"), (FaceNetwork, "run")):
        monkeypatch.setattr(kind, name, counted(getattr(kind, name)))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real")
    write(root / "gt" / "a.mkv", frames(FRAMES, seed=1), sound(FRAMES, 1))
    for k, side in enumerate(("one", "two")):
        write(root / side / "a.mkv", blurred(frames(FRAMES, seed=1), 1.0 + k), sound(FRAMES, 1))
    (root / "weights").mkdir()
    write_inception(root / "weights")
    write_r18(root / "weights" / "r18.pt")
    seeded_file(root / "weights" / "syncnet.pth")
    return root


def run(place: Path, side: str, metrics: list[str], cache: Path | None, **how: Any) -> Result:
    given = {"w600k_r50": place / "weights" / "r18.pt", "syncnet": place / "weights" / "syncnet.pth"}
    settings = Settings(weights=given, weights_dir=place / "weights", cache_dir=cache, device="cpu", **how)
    return score(place / side, place / "gt", metrics=metrics, settings=settings)


def same(a: Result, b: Result) -> None:
    """Values, notes, details and failures; not the time it took."""
    assert a.scores == b.scores and a.clips == b.clips and a.failures == b.failures


def test_networks(place: Path, seen: Seen, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(place, "one", NETWORKS, cache)
    cold, decoded = seen.items, seen.real
    assert decoded > 0
    seen.items = seen.real = 0
    warm = run(place, "two", NETWORKS, cache)
    assert seen.real == 0, "the real video was decoded although all of its features were known"
    assert seen.items * 2 == cold, "a network ran on the real side"
    same(warm, run(place, "two", NETWORKS, None))


@pytest.mark.parametrize("crops", [False, True])
def test_metrics_without_networks(crops: bool, place: Path, seen: Seen, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    run(place, "one", CHEAP, cache, cache_crops=crops)
    seen.real = 0
    warm = run(place, "two", CHEAP, cache, cache_crops=crops)
    assert (seen.real == 0) is crops
    same(warm, run(place, "two", CHEAP, None))
    seen.real = 0
    run(place, "two", [m for m in CHEAP if m not in COMPARE_PIXELS], cache)
    assert seen.real == 0


def test_a_torn_crop_is_made_again(place: Path, seen: Seen, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = run(place, "one", ["psnr"], cache, cache_crops=True)
    sizes = {path: path.stat().st_size for path in cache.rglob("*.npz")}
    torn = max(sizes, key=lambda path: sizes[path])
    torn.write_bytes(torn.read_bytes()[:1000])
    seen.real = 0
    same(first, run(place, "one", ["psnr"], cache, cache_crops=True))
    assert seen.real == FRAMES


def test_a_meter_that_says_nothing_gets_everything() -> None:
    class Plain:
        pass

    assert looks_at(Plain()) == ALL_FRAMES  # type: ignore[arg-type]
