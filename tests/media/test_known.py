"""A video that was seen before is the same clip without being decoded, until somebody asks for frames."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.videos import make_sound, make_video, stamped, tone

from lipsync_eval.cache import Cache
from lipsync_eval.errors import MediaError
from lipsync_eval.media import clip as clips
from lipsync_eval.media import known, open_clip


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were scanned, in order."""
    seen: list[Path] = []
    for module in (clips, known):
        true = module.scan

        def counted(path: Path, keep: int = 0, true: Callable[..., object] = true) -> object:
            seen.append(path)
            return true(path, keep)

        monkeypatch.setattr(module, "scan", counted)
    return seen


def video(path: Path, n: int = 40, fps: int = 25, first: int = 0) -> Path:
    return make_video(
        path, [stamped(first + i) for i in range(n)], tick=Fraction(1, fps), codec="libx264", pixels="yuv420p"
    )


def real() -> list[Path]:
    if "LIPSYNC_EVAL_TEST_DATA" not in os.environ:
        return []
    folder = Path(os.environ["LIPSYNC_EVAL_TEST_DATA"]) / "clips" / "original"
    return [folder / name for name in ("grid_bbaf2n.mpg", "vrt_face1.mp4", "syncnet_example_shift5.avi")]


def test_the_clip_is_the_same_and_is_decoded_for_who_asks(tmp_path: Path, scans: list[Path]) -> None:
    cache = Cache(tmp_path / "cache")
    for path in (video(tmp_path / "a.mp4"), video(tmp_path / "b.mkv", 90, fps=60), *real()):
        fresh = open_clip(path)
        first = open_clip(path, cache=cache)
        scans.clear()
        again = open_clip(path, cache=cache, keep=10**9)
        assert scans == [], path.name
        assert again == first == fresh
        for one, other in ((fresh.audio, again.audio),):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                np.testing.assert_array_equal(one.samples, other.samples)
        for window in ((), (0, 3), (20, 25)):
            for a, b in zip(fresh.frames(*window), again.frames(*window), strict=True):
                np.testing.assert_array_equal(a, b)
        assert scans == [path], "scanned once, however often frames are asked for"


def test_audio_beside_the_video_is_part_of_the_digest_alone(tmp_path: Path, scans: list[Path]) -> None:
    cache, path = Cache(tmp_path / "cache"), video(tmp_path / "a.mp4")
    beside = make_sound(tmp_path / "a.wav", tone(1.6)[None], rate=16000)
    open_clip(path, cache=cache)
    scans.clear()
    heard = open_clip(path, audio=beside, cache=cache)
    assert scans == [] and heard == open_clip(path, audio=beside)
    assert heard.digest != open_clip(path).digest


def test_other_bytes_are_another_video(tmp_path: Path, scans: list[Path]) -> None:
    cache, path = Cache(tmp_path / "cache"), video(tmp_path / "a.mp4")
    open_clip(path, cache=cache)
    video(path, 30)
    scans.clear()
    assert open_clip(path, cache=cache).n_frames == 30
    assert scans == [path]
    path.rename(tmp_path / "a.mov")
    assert open_clip(tmp_path / "a.mov", cache=cache).n_frames == 30
    assert scans[1:] == [tmp_path / "a.mov"], "ffmpeg looks at the suffix"


@pytest.mark.parametrize("how", [lambda path: video(path, 30), Path.unlink, lambda path: path.write_bytes(b"no video")])
def test_a_file_that_changes_before_its_first_frame_is_an_error(how: Callable[[Path], object], tmp_path: Path) -> None:
    cache, path = Cache(tmp_path / "cache"), video(tmp_path / "a.mp4")
    open_clip(path, cache=cache)
    late = open_clip(path, cache=cache)
    how(path)
    with pytest.raises(MediaError, match=r"changed|does not exist|not a video"):
        list(late.frames())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 1000])
def test_an_entry_that_cannot_be_read_is_made_again(content: bytes, tmp_path: Path, scans: list[Path]) -> None:
    cache, path = Cache(tmp_path / "cache"), video(tmp_path / "a.mp4")
    first = open_clip(path, cache=cache)
    (entry,) = (tmp_path / "cache").rglob("*.npz")
    entry.write_bytes(content)
    scans.clear()
    assert open_clip(path, cache=cache) == first and scans == [path]
    assert open_clip(path, cache=cache) == first and scans == [path]


def test_an_entry_of_another_form_is_made_again(tmp_path: Path) -> None:
    cache, path = Cache(tmp_path / "cache"), video(tmp_path / "a.mp4")
    first = open_clip(path, cache=cache)
    for arrays in ({}, {"numbers": np.array([1, 2])}, {"numbers": np.array(["a"] * 5), "source_fps": np.array(1.0)}):
        cache.put(known._key(path, first.digest), arrays)
        assert open_clip(path, cache=cache) == first


def test_what_cannot_be_used_says_the_same_each_time(tmp_path: Path) -> None:
    cache, path = Cache(tmp_path / "cache"), video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    for missing in (path, tmp_path / "none.mp4", tmp_path):
        told = set()
        for how in ({}, {"cache": cache}, {"cache": cache}):
            with pytest.raises(MediaError) as error:
                open_clip(missing, **how)
            told.add(str(error.value))
        assert len(told) == 1
    assert not list((tmp_path / "cache").rglob("*.npz"))
