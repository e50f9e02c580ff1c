"""The main job on real clips, against independent decoders and metric packages."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lipsync_eval.cli import run as cli
from lipsync_eval.media import open_clip, write_video


def decoded(path: Path, height: int, width: int) -> np.ndarray:
    """All frames as the ffmpeg program gives them."""
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    ).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def scores(folder: Path) -> dict[str, float]:
    return {s["metric"]: s["value"] for s in json.loads((folder / "results.json").read_text())["scores"]}


def test_a_reencoded_clip_agrees_with_the_peers(data: Path, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program is not installed: no independent decoder")
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("pytorch_msssim")
    a, b = tmp_path / "a" / "x.mkv", tmp_path / "b" / "x.mp4"
    a.parent.mkdir()
    b.parent.mkdir()
    source = data / "clips" / "original" / "grid_bbaf2n.mpg"
    subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-i",
            str(source),
            "-frames:v",
            "20",
            "-an",
            "-c:v",
            "ffv1",
            "-pix_fmt",
            "yuv420p",
            str(a),
        ],
        check=True,
    )
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(a), "-c:v", "libx264", "-crf", "33", "-pix_fmt", "yuv420p", str(b)],
        check=True,
    )
    out = tmp_path / "run"
    assert (
        cli(
            [
                "score",
                str(b.parent),
                str(a.parent),
                "--protocol",
                "raw",
                "--metrics",
                "psnr,ssim,ms_ssim",
                "--out",
                str(out),
                "--quiet",
            ]
        )
        == 0
    )
    real, coded = decoded(a, 288, 360), decoded(b, 288, 360)
    assert len(real) == len(coded) == 20
    found = scores(out)
    assert found["psnr"] == pytest.approx(
        np.mean([peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(real, coded, strict=True)]), abs=1e-3
    )
    ssim = [
        structural_similarity(
            x, y, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
        for x, y in zip(real, coded, strict=True)
    ]
    assert found["ssim"] == pytest.approx(np.mean(ssim), abs=1e-5)
    x, y = (torch.from_numpy(v.astype(np.float64)).permute(0, 3, 1, 2) for v in (real, coded))
    assert found["ms_ssim"] == pytest.approx(float(peer.ms_ssim(x, y, data_range=255, size_average=True)), abs=1e-5)


def test_a_mouth_moved_by_4_px_is_seen(data: Path, tmp_path: Path) -> None:
    """The frame is warped so that the mouth sinks by 4 px of the 256-px crop; detected landmarks must report most of it."""
    from lipsync_eval.faces import track_faces

    clip = open_clip(data / "clips" / "original" / "hdtf_menendez.mp4")
    frames = [f for _, f in zip(range(12), clip.frames(), strict=False)]
    write_video(tmp_path / "gt.mkv", frames, codec="lossless")
    track = track_faces(open_clip(tmp_path / "gt.mkv"))
    moved = []
    for frame, p in zip(frames, track.points, strict=True):
        half = p[:, 1].max() - p[29, 1]  # RADIO's half side in source px, the face being nearly upright
        shift = 4.0 * half / 128
        centre = p[48:68].mean(axis=0)
        y, x = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(np.float32)
        reach = 1.2 * (p[54, 0] - p[48, 0])
        weight = np.clip(1.6 - np.hypot(x - centre[0], y - centre[1]) / reach, 0, 1)
        moved.append(
            cv2.remap(
                frame, x, (y - shift * weight).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        )
    write_video(tmp_path / "gen.mkv", moved, codec="lossless")
    out = tmp_path / "run"
    assert (
        cli(
            [
                "score",
                str(tmp_path / "gen.mkv"),
                str(tmp_path / "gt.mkv"),
                "--metrics",
                "lmd,lmd_centered",
                "--out",
                str(out),
                "--quiet",
            ]
        )
        == 0
    )
    found = scores(out)
    print(f"mouth moved by 4 px: lmd {found['lmd']:.2f}, centred {found['lmd_centered']:.2f}")
    assert 2.0 < found["lmd"] < 6.0
    assert found["lmd_centered"] < found["lmd"]


def test_pairs_of_unlike_length_on_purpose(data: Path, tmp_path: Path) -> None:
    dubbed = data / "clips" / "dubbed"
    table = tmp_path / "pairs.csv"
    table.write_text(f"id,gen,gt\nhyperlips,{dubbed / 'hyperlips_gen1.mp4'},{dubbed / 'hyperlips_src1.mp4'}\n")
    line = [
        "score",
        str(dubbed),
        str(dubbed),
        "--pairs",
        str(table),
        "--metrics",
        "psnr",
        "--protocol",
        "raw",
        "--quiet",
    ]
    assert cli([*line, "--out", str(tmp_path / "strict")]) == 3
    failures = json.loads((tmp_path / "strict" / "results.json").read_text())["failures"]
    assert failures[0]["stage"] == "align"
    assert "142 apart, 5 allowed" in failures[0]["message"]
    assert cli([*line, "--align", "shortest", "--out", str(tmp_path / "short")]) == 0
    clip = json.loads((tmp_path / "short" / "results.json").read_text())["clips"][0]
    assert clip["n_frames"] == 130
    assert any("cut to 130 frames" in note for note in clip["notes"])
