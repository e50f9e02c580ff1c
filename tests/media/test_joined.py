"""Recordings that were joined byte by byte: all of it or nothing, never half a clip."""

from __future__ import annotations

import av
import numpy as np
import pytest
from support.ffmpeg import needs_ffmpeg, run_ffmpeg
from support.videos import clicks, make_video, number_in, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip

KINDS = {
    ".ts": ("libx264", "aac"),
    ".mpg": ("mpeg2video", "mp2"),
    ".mkv": ("libx264", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".mp4": ("libx264", "aac"),
    ".mov": ("mjpeg", "pcm_s16le"),
    ".flv": ("libx264", "aac"),
    ".wmv": ("wmv2", "libmp3lame"),
    ".ogv": ("libvpx", "libopus"),
}


@pytest.mark.parametrize("second", [30, 12, 80])
@pytest.mark.parametrize("suffix", KINDS)
def test_joined_with_cat(tmp_path, suffix, second):
    codec, sound = KINDS[suffix]
    parts = []
    for k, n in enumerate((30, second)):
        path = tmp_path / f"{k}{suffix}"
        rate = 44100 if sound in ("mp2",) else 48000
        try:
            parts.append(
                make_video(
                    path,
                    [stamped(30 * k + i) for i in range(n)],
                    codec=codec,
                    pixels="yuvj420p" if codec == "mjpeg" else "yuv420p",
                    sound=np.stack([clicks(n / 25, [0.4], rate)] * 2),
                    sound_codec=sound,
                    rate=rate,
                    options={"b": "300k"} if codec == "wmv2" else None,
                )
            )
        except (ValueError, av.error.FFmpegError):
            pytest.skip(f"PyAV here cannot write {codec} and {sound} into {suffix}")
        assert open_clip(path).n_frames == n
    both = tmp_path / f"both{suffix}"
    both.write_bytes(b"".join(p.read_bytes() for p in parts))
    with pytest.raises(MediaError, match=r"'both\..*' ?.*joined"):
        open_clip(both)


def test_avi_goes_on(tmp_path):
    """AVI counts frames: the second part follows the first, as in ffmpeg and in players."""
    parts = [
        make_video(
            tmp_path / f"{k}.avi",
            [stamped(30 * k + i) for i in range(30)],
            codec="mjpeg",
            pixels="yuvj420p",
            sound=clicks(1.2, [0.4])[None],
        )
        for k in (0, 1)
    ]
    both = tmp_path / "both.avi"
    both.write_bytes(b"".join(p.read_bytes() for p in parts))
    assert [number_in(frame) for frame in open_clip(both).frames()] == list(range(60))


@needs_ffmpeg
@pytest.mark.parametrize("offset", [0, 100])
def test_ts_whose_tracks_have_other_numbers(tmp_path, offset):
    parts = []
    for k in (0, 1):
        plain = make_video(
            tmp_path / f"{k}.mp4",
            [stamped(30 * k + i) for i in range(30)],
            codec="libx264",
            pixels="yuv420p",
            sound=clicks(1.2, [0.4], 48000)[None],
            sound_codec="aac",
            rate=48000,
        )
        parts.append(tmp_path / f"{k}.ts")
        run_ffmpeg(
            "-i",
            str(plain),
            "-c",
            "copy",
            "-mpegts_start_pid",
            str(256 + 100 * k),
            "-output_ts_offset",
            str(k * offset),
            str(parts[-1]),
        )
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(p.read_bytes() for p in parts))
    with pytest.raises(MediaError, match=r"video tracks one after the other.*joined"):
        open_clip(both)


@needs_ffmpeg
def test_a_jump_ahead_in_ts(tmp_path):
    """ffmpeg leaves a hole of more than 10 s in a TS file out; here it is not guessed what was meant."""
    parts = []
    for k in (0, 1):
        plain = make_video(
            tmp_path / f"{k}.mp4", [stamped(30 * k + i) for i in range(30)], codec="libx264", pixels="yuv420p"
        )
        parts.append(tmp_path / f"{k}.ts")
        run_ffmpeg("-i", str(plain), "-c", "copy", "-output_ts_offset", str(k * 30), str(parts[-1]))
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(p.read_bytes() for p in parts))
    with pytest.raises(MediaError, match=r"jump ahead by 29 s.*joined"):
        open_clip(both)
