"""LPIPS, FID and CSIM on a real clip with seeded weights: the whole way, and more blur is worse."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from support.clips import blurred
from support.perception import write_inception, write_lpips, write_r18
from support.scoring import score

from lipsync_eval.media import open_clip, write_video


def test_more_blur_is_worse(data: Path, tmp_path: Path) -> None:
    write_lpips(tmp_path)
    write_inception(tmp_path)
    weights = {"w600k_r50": write_r18(tmp_path / "backbone.pth")}
    real = list(islice(open_clip(data / "clips" / "original" / "grid_lbax4n.mpg").frames(), 4))
    write_video(tmp_path / "gt.mkv", real)
    found = []
    for sigma in (1.0, 3.0):
        write_video(tmp_path / "gen.mkv", blurred(real, sigma))
        run = score(
            tmp_path / "gen.mkv",
            tmp_path / "gt.mkv",
            metrics="lpips,fid,csim",
            cache=tmp_path / "cache",
            weights_dir=tmp_path,
            weights=weights,
        )
        assert not run.failures
        found.append({s.metric: s.value for s in run.scores})
    mild, strong = found
    assert 0 < mild["lpips"] < strong["lpips"]  # type: ignore[operator]
    assert 0 < mild["fid"] < strong["fid"]  # type: ignore[operator]
    assert 1 > mild["csim"] > strong["csim"]  # type: ignore[operator]
