"""What is found late fails a clip, never the run: NaN in features, names whose bytes are no UTF-8."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from support.clips import blurred, frames, write
from support.perception import write_inception
from support.videos import stamped

from lipsync_eval import Settings, score
from lipsync_eval.cli import run as cli
from lipsync_eval.metrics.fid import Fid
from lipsync_eval.results.schema import load_result
from lipsync_eval.results.store import load_frames


@pytest.mark.parametrize("bad", [("b",), ("a", "b", "c")])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_in_fid_features(
    bad: tuple[str, ...], value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clips that gave NaN are failure rows of fid; it is pooled over the others, and psnr is whole."""
    write_inception(tmp_path)
    seen = []

    def embed(self: Fid, crops: np.ndarray, metric: str) -> np.ndarray:
        seen.append(len(crops))
        out = crops.reshape(len(crops), -1)[:, :64].astype(np.float32)
        if "abc"[(len(seen) - 1) // 2] in bad:  # two sides a clip
            out[0, 7] = value
        return out

    monkeypatch.setattr(Fid, "embed", embed)
    for i, name in enumerate("abc"):
        real = frames(6, size=96, seed=i)
        write(tmp_path / "gt" / f"{name}.mkv", real)
        write(tmp_path / "gen" / f"{name}.mkv", blurred(real, 1.5))
    out = tmp_path / "run"
    result = score(
        tmp_path / "gen",
        tmp_path / "gt",
        metrics="psnr,fid",
        settings=Settings(protocol="raw", cache_dir=None, weights_dir=tmp_path),
        out=out,
    )
    assert load_result(out) == result
    assert [(f.id, f.metric) for f in result.failures] == [(name, "fid") for name in bad]
    assert result["psnr"].n_scored == 3 and result["psnr"].value is not None
    assert result["fid"].n_scored == 3 - len(bad)
    assert (result["fid"].value is None) == (len(bad) == 3)


@pytest.mark.parametrize("where", ["name", "folder", "out"])
def test_names_whose_bytes_are_no_utf_8(where: str, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / odd).mkdir()
    except OSError:
        pytest.skip("this file system takes no such names")
    base = tmp_path / odd if where == "folder" else tmp_path
    name = odd if where == "name" else "a"
    for side in ("gen", "gt"):
        (base / side).mkdir()
        write(tmp_path / "x.mkv", [stamped(i) for i in range(3)]).rename(base / side / f"{name}.mkv")
    out = (tmp_path / odd if where == "out" else tmp_path) / "run"
    line = [
        "score",
        str(base / "gen"),
        str(base / "gt"),
        "--protocol",
        "raw",
        "--metrics",
        "psnr",
        "--out",
        str(out),
        "--quiet",
    ]
    code = cli(line)
    if code == 2 and where in ("name", "folder"):
        assert not out.exists(), "refused before any work"
        return
    assert code == 0
    result = load_result(out)
    assert len(result.clips) == 1 and list(load_frames(out)) == [result.clips[0].id]
    assert Path(result.clips[0].gen or "").exists(), "the path in results.json opens the file"
    result.clips[0].id.encode("utf-8")
    json.loads((out / "results.json").read_bytes().decode("utf-8"))
    (out / "clips.csv").read_bytes().decode("utf-8")
    assert cli([*line, "--resume"]) == 0
