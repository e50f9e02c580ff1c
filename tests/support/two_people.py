"""Clips of two people, pasted side by side from two real ones, with the audio of one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from lipsync_eval.media import open_clip, write_video

SIDE = 224


def paste(left: Path, right: Path, out: Path, *, speaks: int, seconds: int = 8) -> Path:
    """`speaks`: 0 for the audio of the left one, 1 for that of the right one."""
    clips = open_clip(left), open_clip(right)
    n = min(*(clip.n_frames for clip in clips), 25 * seconds)
    audio = clips[speaks].audio
    assert audio is not None
    pairs = zip(*(clip.frames(0, n) for clip in clips), strict=True)
    small = ([cv2.resize(f, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for f in pair] for pair in pairs)
    write_video(out, (np.hstack(pair) for pair in small), audio=audio.samples[: n * 640], codec="h264", crf=18)
    return out


def music(n: int, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """(n,) chords of four notes with harmonics, a melody and drums; root mean square 1."""
    rng = np.random.default_rng(seed)
    out = np.zeros(n)
    beat = int(0.3 * rate)
    chords = [(57, 60, 64, 69), (53, 57, 60, 65), (48, 52, 55, 60), (55, 59, 62, 67)]
    for k, start in enumerate(range(0, n, beat)):
        t = np.arange(min(beat, n - start)) / rate
        part = out[start : start + len(t)]
        for note in chords[k // 8 % 4]:
            hertz = 440 * 2 ** ((note - 69) / 12)
            since = t + (start % (8 * beat)) / rate
            part += sum(np.sin(2 * np.pi * hertz * h * since) / h**1.3 for h in range(1, 7)) * np.exp(-0.4 * since)
        hertz = 440 * 2 ** ((rng.choice([69, 72, 74, 76, 81]) - 69) / 12)
        part += 1.2 * sum(np.sin(2 * np.pi * hertz * h * t) / h for h in (1, 2, 3)) * np.exp(-5 * t)
        part += (
            2 * np.sin(2 * np.pi * 60 * t) * np.exp(-15 * t) if k % 2 else rng.standard_normal(len(t)) * np.exp(-25 * t)
        )
    return out / np.sqrt(np.mean(out**2))
