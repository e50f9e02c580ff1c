"""RGB, bit for bit what the ffmpeg program gives for `-pix_fmt rgb24`."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from support.ffmpeg import needs_ffmpeg, rgb
from support.videos import make_video, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip
from lipsync_eval.media.rgb import turns

INTERLACED = {"flags": "+ildct+ilme", "x264-params": "tff=1"}


def noisy(n, height, width):
    rng = np.random.default_rng(0)
    pictures = [stamped(i, height, width).astype(int) for i in range(n)]
    return [np.clip(p + rng.integers(-60, 60, p.shape), 0, 255).astype(np.uint8) for p in pictures]


def colours(space=None, range_=None):
    def setup(video):
        if space is not None:
            video.codec_context.colorspace = space
        if range_ is not None:
            video.codec_context.color_range = range_

    return setup


def non_square(video):
    video.codec_context.sample_aspect_ratio = Fraction(12, 11)


def hlg(video):
    video.codec_context.color_trc = 18


CASES = {
    **{
        f"{pixels} {height}x{width}": {"codec": "libx264", "pixels": pixels, "size": (height, width)}
        for pixels in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
        for height, width in ((48, 64), (48, 66))
    },
    **{
        f"{pixels} odd": {"codec": "ffv1", "pixels": pixels, "size": (47, 63)}
        for pixels in ("yuv420p", "yuv444p", "yuv420p10le", "bgr0", "bgra", "gray", "yuv411p")
    },
    "x264 4:4:4 odd": {"codec": "libx264", "pixels": "yuv444p", "size": (47, 63)},
    **{
        f"full range {pixels}": {"codec": "libx264", "pixels": pixels, "setup": colours(range_=2)}
        for pixels in ("yuv420p", "yuv444p", "yuv420p10le")
    },
    "limited range": {"codec": "libx264", "pixels": "yuv420p", "setup": colours(range_=1)},
    "mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p", "suffix": ".avi"},
    **{
        f"colourspace {space}": {"codec": "libx264", "pixels": "yuv420p", "setup": colours(space=space)}
        for space in (1, 5, 6, 7, 9)
    },
    "colourspace 1 odd 4:4:4": {"codec": "libx264", "pixels": "yuv444p", "size": (47, 63), "setup": colours(space=1)},
    "interlaced": {"codec": "libx264", "pixels": "yuv420p", "options": INTERLACED},
    "interlaced 10 bit": {"codec": "libx264", "pixels": "yuv420p10le", "options": INTERLACED},
    "interlaced 4:2:2": {"codec": "libx264", "pixels": "yuv422p", "options": INTERLACED},
    "png": {"codec": "png", "pixels": "rgb24", "size": (47, 63), "suffix": ".mov"},
    "png 16 bit": {"codec": "png", "pixels": "rgb48be", "size": (47, 63), "suffix": ".mov"},
    "mpeg2": {"codec": "mpeg2video", "pixels": "yuv420p", "suffix": ".mpg"},
    "vp9": {"codec": "libvpx-vp9", "pixels": "yuv420p", "suffix": ".webm"},
    **{
        f"rotated {degrees} {pixels}": {
            "codec": "libx264",
            "pixels": pixels,
            "setup": lambda v, d=degrees: v.set_display_rotation(d),
            "suffix": ".mp4",
        }
        for degrees in (90, 180, 270)
        for pixels in ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le")
    },
}


@needs_ffmpeg
@pytest.mark.parametrize("name", CASES)
def test_pixels_are_ffmpegs(tmp_path, name):
    case = dict(CASES[name])
    suffix, size = case.pop("suffix", ".mkv" if case["codec"] != "libx264" else ".mp4"), case.pop("size", (48, 64))
    path = make_video(tmp_path / f"a{suffix}", noisy(4, *size), **case)
    clip = open_clip(path)
    np.testing.assert_array_equal(np.stack(list(clip.frames())), rgb(path, clip.size))


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_progressive_8_bit_equals_pyavs_default_conversion(tmp_path, pixels):
    path = make_video(tmp_path / "a.mkv", noisy(3, 48, 64), pixels=pixels)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray(format="rgb24").copy() for frame in container.decode(video=0)]
    np.testing.assert_array_equal(np.stack(list(open_clip(path).frames())), np.stack(expected))


@pytest.mark.parametrize(
    ("case", "note"),
    [
        ({"codec": "libx264", "pixels": "yuv420p10le"}, "10-bit frames converted to 8 bits"),
        ({"codec": "libx264", "pixels": "yuv420p", "options": INTERLACED}, "marked as interlaced: not deinterlaced"),
        ({"codec": "ffv1", "pixels": "bgra"}, "transparency dropped"),
        ({"codec": "libvpx-vp9", "pixels": "yuva420p"}, "transparency dropped"),
        (
            {"codec": "libx264", "pixels": "yuv420p", "setup": non_square},
            "pixels are not square (12:11): not stretched",
        ),
        (
            {"codec": "libx264", "pixels": "yuv420p10le", "setup": hlg},
            "high dynamic range: converted without tone mapping",
        ),
    ],
)
def test_what_is_done_to_frames_is_noted(tmp_path, case, note):
    assert note in open_clip(make_video(tmp_path / "a.mkv", noisy(3, 48, 64), **case)).notes


def test_filters_for_display_matrices():
    one = 1 << 16
    assert turns((one, 0, 0, 0, one, 0, 0, 0, 1 << 30)) == []
    assert turns((0, one, 0, -one, 0, 0, 0, 0, 1 << 30)) == [("transpose", "clock")]
    assert turns((0, -one, 0, one, 0, 0, 0, 0, 1 << 30)) == [("transpose", "cclock")]
    assert turns((-one, 0, 0, 0, -one, 0, 0, 0, 1 << 30)) == [("hflip", ""), ("vflip", "")]
    assert turns((-one, 0, 0, 0, one, 0, 0, 0, 1 << 30)) == [("hflip", "")]
    assert turns((one, 0, 0, 0, -one, 0, 0, 0, 1 << 30)) == [("vflip", "")]
    assert turns((0, one, 0, one, 0, 0, 0, 0, 1 << 30)) == [("transpose", "cclock_flip")]
    assert turns((0,) * 9) == []


@pytest.mark.parametrize("matrix", [8, 10, 11, 12, 13, 14])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_matrix_that_the_scaler_does_not_know_is_replaced_and_noted(tmp_path, matrix, codec):
    """As ffmpeg 5 does, whose scaler took the default for it; ffmpeg 7 and 8 refuse such a file."""
    frames = noisy(3, 48, 64)
    tagged = make_video(tmp_path / "a.mkv", frames, codec=codec, pixels="yuv420p", setup=colours(matrix))
    instead = make_video(
        tmp_path / "b.mkv", frames, codec=codec, pixels="yuv420p", setup=colours({10: 9}.get(matrix, 2))
    )
    clip = open_clip(tagged)
    np.testing.assert_array_equal(np.stack(list(clip.frames())), np.stack(list(open_clip(instead).frames())))
    assert sum(note.startswith(f"colour matrix {matrix} (") for note in clip.notes) == 1


def test_a_frame_that_cannot_be_converted_is_named_when_the_file_is_opened(tmp_path, monkeypatch):
    """The chain is built for the first frame, so that no metric fails half way."""
    from lipsync_eval.media import rgb

    path = make_video(tmp_path / "a.mkv", noisy(3, 48, 64), codec="ffv1", pixels="yuv420p", setup=colours(8))
    monkeypatch.setattr(rgb, "_DEFAULT", 14)  # another one that it does not know
    with pytest.raises(
        MediaError, match=r"'a.mkv': frames of 64x48 px in yuv420p, colour matrix 14, cannot be converted"
    ):
        open_clip(path)
