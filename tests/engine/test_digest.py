from __future__ import annotations

import json
from pathlib import Path

from support.clips import pair_folders

from lipsync_eval.cli import run as cli


def test_a_failed_clip_does_not_change_what_it_was_compared_with(tmp_path: Path) -> None:
    gen, gt = pair_folders(tmp_path, ("a", "b"), n=3)
    line = ["score", str(gen), str(gt), "--protocol", "raw", "--metrics", "psnr", "--quiet"]
    assert cli([*line, "--out", str(tmp_path / "all")]) == 0
    (gen / "a.mkv").unlink()
    (gen / "b.mkv").write_bytes(b"torn")
    assert cli([*line, "--out", str(tmp_path / "torn")]) == 3
    digests = [
        json.loads((tmp_path / run / "results.json").read_text())["data"]["gt_digest"] for run in ("all", "torn")
    ]
    assert digests[0] == digests[1]
