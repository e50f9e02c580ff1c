"""The FVD family: distances, windows, states that merge, options, and a run through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from golden.synthetic_inputs import crc, features
from hypothesis import given, settings
from hypothesis import strategies as st
from support.perception import golden
from support.quality import write_fvd

from lipsync_eval import check_metric
from lipsync_eval.batch import Batch
from lipsync_eval.errors import MetricError, UsageError
from lipsync_eval.metrics.base import Measurement
from lipsync_eval.metrics.checks.synthetic import synthetic_pair
from lipsync_eval.metrics.fvd.distance import extrapolated, frechet
from lipsync_eval.metrics.fvd.family import Fvd
from lipsync_eval.metrics.fvd.network import VideoNetwork
from lipsync_eval.metrics.fvd.readings import READINGS
from lipsync_eval.settings import Settings
from lipsync_eval.types import Pair

IDS = tuple(READINGS)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_fvd(folder)
    return folder


class Quick(Fvd):
    """The family with small random networks in place of I3D and r3d_18: everything but the networks is as it is."""

    made: ClassVar[dict[str, torch.nn.Module]] = {}

    def network(self, metric: str) -> VideoNetwork:
        row = READINGS[metric].row
        if row not in self.made:
            torch.manual_seed(0)
            conv = torch.nn.Conv3d(3, 4, (3, 9, 9), (2, 16, 16))
            self.made[row] = torch.nn.Sequential(
                conv, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten()
            )
        return VideoNetwork(self.made[row], torch.device("cpu"))


@pytest.mark.parametrize("case", ["case4_frechet_40x16", "case5_frechet_24x400"])
def test_distance_is_that_of_the_public_codes(case: str) -> None:
    g = golden(f"fvd/{case}")
    a, b = (features(int(g["features_seed"]), int(g["n"]), int(g["d"]), k) * np.float32(g["scale"]) for k in (0, 1))
    assert (crc(a), crc(b)) == (g["a_crc32"], g["b_crc32"])
    found = frechet(a, b)
    for code in ("videogpt_float64_input", "styleganv", "styleganv_float64_input", "latentsync"):
        assert found == pytest.approx(float(g[code]), rel=1e-6)
    for code in ("videogpt", "cdfvd"):  # torch's SVD in float32
        assert found == pytest.approx(float(g[code]), rel=1e-4)


def test_extrapolation() -> None:
    """It is 0 for equal sets, and for two draws of one distribution far nearer to 0 than the plain distance."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 400, 40))
    assert extrapolated(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a, b) > 2 and abs(extrapolated(a, b)) < 0.5 * frechet(a, b)
    assert extrapolated(a, b + 3) == pytest.approx(360, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(0, 1000), st.data())
def test_states_merge_in_any_split_and_order(n: int, seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    gen, gt = rng.normal(size=(2, n, 6)).astype(np.float32)
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=4)))
    parts = [{"gen_features": a, "gt_features": b} for a, b in zip(np.split(gen, cuts), np.split(gt, cuts))]
    family = Fvd(Settings(), frozenset({"fvd_videogpt"}))
    whole = family.pool("fvd_videogpt", [("all", {"gen_features": gen, "gt_features": gt})])
    order = rng.permutation(len(parts))
    split = family.pool("fvd_videogpt", [(str(k), parts[k]) for k in order])
    assert split.value == pytest.approx(whole.value, rel=1e-6, abs=1e-6)
    assert split.details == {"n_windows": n, "n_clips": len(parts)}


def test_pool_says_what_is_too_little() -> None:
    one = {"gen_features": np.ones((1, 5), np.float32), "gt_features": np.zeros((1, 5), np.float32)}
    family = Fvd(Settings(), frozenset({"fvd_r3d18"}))
    assert family.pool("fvd_r3d18", [("a", one)]).value is None
    assert family.pool("fvd_r3d18", [("a", {}), ("b", {})]).value is None
    two = family.pool("fvd_r3d18", [("a", one), ("b", one)])
    assert two.value == 5 and "biased upwards" in two.notes[0]
    far = Fvd(Settings(options={"fvd_extrapolate": "1"}), frozenset({"fvd_r3d18"}))
    assert "too few to extrapolate" in far.pool("fvd_r3d18", [("a", one), ("b", one)]).notes[0]


def measured(pair: Pair, family: Fvd, lengths: tuple[int, ...] = (7,)) -> Measurement:
    meter, start, turn = family.start(pair), 0, 0
    while start < pair.n_frames:
        stop = min(start + lengths[turn % len(lengths)], pair.n_frames)
        meter.update(
            Batch(pair, start, list(pair.gen.clip.frames(start, stop)), list(pair.gt.clip.frames(start, stop)))
        )
        start, turn = stop, turn + 1
    return meter.finish()


def windows(weights: Path, metric: str, n: int, missing: tuple[int, ...] = (), **options: str) -> dict[str, int]:
    family = Quick(Settings(weights_dir=weights, options=options), frozenset({metric}))
    return measured(synthetic_pair(n, 64, missing=missing), family).details[metric]


def test_windows(weights: Path) -> None:
    assert windows(weights, "fvd_styleganv", 50) == {"windows": 1, "windows_left_out": 0}
    assert windows(weights, "fvd_r3d18", 50)["windows"] == 3
    assert windows(weights, "fvd_latentsync", 36)["windows"] == 1
    with pytest.raises(MetricError, match="from frame 20 on, and the clip has 35"):
        windows(weights, "fvd_latentsync", 35)
    many = windows(
        weights, "fvd_videogpt", 50, (20,), fvd_windows="all", fvd_frames="10", fvd_stride="5", fvd_start="3"
    )
    assert many == {"windows": 6, "windows_left_out": 2}
    with pytest.raises(MetricError, match="none of 1 windows"):
        windows(weights, "fvd_videogpt", 20, (3,))
    assert windows(weights, "fvd_videogpt", 20, (3,), fvd_region="frame")["windows"] == 1


def test_one_reading_may_fail_alone(weights: Path) -> None:
    family = Quick(Settings(weights_dir=weights), frozenset({"fvd_videogpt", "fvd_latentsync"}))
    found = measured(synthetic_pair(20, 64), family)
    assert [f.metric for f in found.failures] == ["fvd_latentsync"] and set(found.states) == {"fvd_videogpt"}


def test_readings_see_what_they_say(weights: Path) -> None:
    """The frames that reach the network are those of the window, in order, in each region."""
    pair = synthetic_pair(40, 64)
    seen: list[list[np.ndarray]] = []

    class Spy(Quick):
        def embed(self, frames, metric):  # type: ignore[no-untyped-def]
            seen.append([f.copy() for f in frames])
            return super().embed(frames, metric)

    measured(pair, Spy(Settings(weights_dir=weights), frozenset({"fvd_styleganv"})), (3, 5))
    np.testing.assert_array_equal(np.stack(seen[0]), np.stack(list(pair.gen.clip.frames(0, 16))))
    seen.clear()
    measured(pair, Spy(Settings(weights_dir=weights), frozenset({"fvd_latentsync"})), (3, 5))
    assert len(seen[0]) == 16 and seen[0][0].shape == (224, 224, 3)


def test_real_features_are_cached(weights: Path, tmp_path: Path) -> None:
    family = Quick(Settings(weights_dir=weights, cache_dir=tmp_path), frozenset({"fvd_videogpt"}))
    first, again = (measured(synthetic_pair(20, 64, noise=5), family) for _ in range(2))
    assert any(tmp_path.rglob("*.npz"))
    for key, value in first.states["fvd_videogpt"].items():
        np.testing.assert_array_equal(value, again.states["fvd_videogpt"][key])


@pytest.mark.parametrize("metric", IDS)
def test_properties(metric: str, weights: Path) -> None:
    options = {"fvd_windows": "all", "fvd_frames": "10", "fvd_start": "0", "fvd_stride": "8"}
    family = type("One", (Quick,), {"specs": tuple(s for s in Fvd.specs if s.name == metric)})
    report = check_metric(family, settings=Settings(weights_dir=weights, options=options))
    assert {"a clip against itself", "any batching, and again", "worse with more noise"} <= set(report.passed)


def test_options_and_signature(weights: Path) -> None:
    keys = {m: Fvd(Settings(weights_dir=weights), frozenset(IDS)).keys(m) for m in IDS}
    assert len({json.dumps(k) for k in keys.values()}) == 4
    assert keys["fvd_latentsync"] | {"feat": ""} == {
        "feat": "", "frames": "16", "start": "20", "windows": "first", "region": "box", "resize": "area", "scale": "unit",
    }  # fmt: skip
    assert keys["fvd_r3d18"]["windows"] == "all+16" and keys["fvd_r3d18"]["feat"].startswith("r3d18@")
    chosen = Fvd(Settings(weights_dir=weights, options={"fvd_frames": "25", "fvd_resize": "stretch"}), frozenset(IDS))
    assert chosen.keys("fvd_videogpt")["frames"] == "25" and chosen.keys("fvd_videogpt")["resize"] == "stretch"
    for options in ({"fvd_frames": "8"}, {"fvd_start": "-1"}, {"fvd_stride": "0"}):
        with pytest.raises(UsageError, match="fvd_"):
            Fvd(Settings(weights_dir=weights, options=options), frozenset({"fvd_videogpt"})).check()
