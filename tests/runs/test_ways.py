"""Every way of running gives the same numbers: for cheap metrics and two networks; slowly, for the whole registry."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import every_metric
from support.perception import write_inception, write_lpips

import lipsync_eval
from lipsync_eval import Settings
from lipsync_eval.demo import make_demo
from lipsync_eval.engine import pair, worker_count
from lipsync_eval.engine.network_process import NetworkProcesses
from lipsync_eval.media import open_clip, write_video
from lipsync_eval.metrics.registry import get_spec, specs
from lipsync_eval.networks import SHARED
from lipsync_eval.results.schema import Result

CHEAP = [
    name
    for name, spec in specs().items()
    if not spec.needs & {"weights", "reference", "npz", "experiment"} and spec.group != "user-file"
]
NETWORKS = ["lpips", "fid"]
"""With seeded weights; fid is pooled over clips."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("ways")
    make_demo(root / "whole-demo")
    for side in ("gen", "gt"):
        (root / "demo" / side).mkdir(parents=True)
        for path in sorted((root / "whole-demo" / side).iterdir()):
            frames = np.stack(list(open_clip(path).frames(0, 6)))
            write_video(root / "demo" / side / f"{path.stem}.mkv", frames, codec="lossless")
    (root / "weights").mkdir()
    write_lpips(root / "weights")
    write_inception(root / "weights")
    settings = Settings(protocol="raw", cache_dir=None, weights_dir=root / "weights", offline=True)
    how = {"metrics": [*CHEAP, *NETWORKS], "settings": settings}
    clips = root / "demo" / "gen", root / "demo" / "gt"
    whole = lipsync_eval.score(*clips, out=root / "whole", **how)
    assert any(get_spec(s.metric).pooling == "pooled" and s.value is not None for s in whole.scores)
    return {"root": root, "clips": clips, "how": how, "whole": whole}


def alike(found: Result, whole: Result) -> None:
    """Equal within each metric's tolerance."""
    assert found.failures == whole.failures
    for one, other in zip(found.clips, whole.clips, strict=True):
        for metric, value in one.values.items():
            known, tolerance = other.values[metric], get_spec(metric).tolerance
            assert (value is None) == (known is None), metric
            assert value is None or value == pytest.approx(known, rel=1e-6, abs=tolerance), metric
    for one_score, other_score in zip(found.scores, whole.scores, strict=True):
        assert one_score.signature == other_score.signature
        if one_score.pooled and one_score.value is not None:
            tolerance = get_spec(one_score.metric).tolerance
            assert one_score.value == pytest.approx(other_score.value, rel=1e-4, abs=tolerance), one_score.metric


def test_batches_of_frames_move_nothing_beyond_the_tolerance(
    run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every metric's batch is cut by `engine.pair`: one frame at a time, and an odd number."""
    root, clips, how, whole = run["root"], run["clips"], run["how"], run["whole"]
    for most in (1, 5):
        monkeypatch.setattr(pair, "_BATCH_MOST", most)
        alike(lipsync_eval.score(*clips, **how), whole)
    assert (root / "whole" / "results.json").is_file()


def test_every_metric_has_its_half() -> None:
    halves = [set(every_metric.half(name)) for name in every_metric.FRAMES]
    assert not halves[0] & halves[1]
    assert halves[0] | halves[1] | set(every_metric.left_out()) == set(specs())


@pytest.fixture(scope="module", params=list(every_metric.FRAMES))
def every(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A half of the registry, measured undivided in this process; every metric gives a number."""
    root = tmp_path_factory.mktemp(request.param)
    how = {"metrics": every_metric.half(request.param), "settings": every_metric.make(root, request.param)}
    clips = root / "gen", root / "gt"
    whole = lipsync_eval.score(*clips, out=root / "whole", **how)
    assert [s.metric for s in whole.scores if s.value is None] == []
    return {"root": root, "clips": clips, "how": how, "whole": whole}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["workers", "shards", "cluster", "batches"])
@pytest.mark.filterwarnings("default")
def test_every_way_gives_the_same(way: str, every: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the whole registry, with seeded weights; `workers` are two processes, each apart from this one."""
    root, clips, how, whole = every["root"], every["clips"], every["how"], every["whole"]
    out: Path = root / way
    if way == "batches":
        monkeypatch.setattr(pair, "_BATCH_MOST", 5)
        alike(lipsync_eval.score(*clips, **how), whole)
        return
    if way == "workers":
        found = lipsync_eval.score(*clips, out=out, workers=2, **how)
    elif way == "shards":
        for number in (2, 3, 1):
            lipsync_eval.score_shard(*clips, f"{number}/3", out=out, **how)
        found = lipsync_eval.merge(out)
    else:
        if importlib.util.find_spec("distributed") is None:
            pytest.skip("Dask is not installed (the extra `cluster`)")
        found = lipsync_eval.score(*clips, out=out, cluster="local:2", **how)
    assert [s.metric for s in found.scores] == [s.metric for s in whole.scores]
    for one, other in zip(found.scores, whole.scores, strict=True):
        assert one == other
    assert found.clips == whole.clips and found.failures == whole.failures
    for name in ("clips.csv", "frames.npz"):
        assert (out / name).read_bytes() == (root / "whole" / name).read_bytes()


def test_networks_in_a_process_of_their_own_give_the_same(run: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a GPU, which this machine need not have: there the process computes on the CPU."""
    monkeypatch.setattr(worker_count, "network_places", lambda tools: ["0"])
    given, environment = [], NetworkProcesses.environment
    monkeypatch.setattr(NetworkProcesses, "environment", lambda self: given.append(environment(self)) or given[-1])
    settings = run["how"]["settings"]
    found = lipsync_eval.score(*run["clips"], metrics=NETWORKS, settings=settings, workers=2)
    assert not found.failures
    assert len({env[SHARED] for env in given}) == 1 and len(given) == 2
    for score in found.scores:
        spec, other = get_spec(score.metric), run["whole"][score.metric]
        assert score.value == pytest.approx(other.value, rel=spec.tolerance, abs=spec.tolerance)
        assert score.signature == other.signature
