"""Crop rectangles of containers, and headers that claim too much."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.videos import make_video, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip
from lipsync_eval.media.header import NO_MARGINS, Margins, margins


def padded(i, left, top, right, bottom):
    return np.pad(stamped(i), ((top, bottom), (left, right), (0, 0)), constant_values=110)


def with_clap(data, width, height, right=(0, 1), down=(0, 1)):
    """A mov file of one video track with a `clap` box at the end of its sample entry."""
    data, parents = bytearray(data), []
    start, stop = 0, len(data)
    for name, skip in ((b"moov", 8), (b"trak", 8), (b"mdia", 8), (b"minf", 8), (b"stbl", 8), (b"stsd", 16), (None, 86)):
        while True:
            size, kind = struct.unpack(">I4s", data[start : start + 8])
            if name in (kind, None):
                break
            start += size
        parents.append(start)
        start, stop = start + skip, start + size
    box = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, *right, *down)
    data[stop:stop] = box
    for at in parents:
        struct.pack_into(">I", data, at, struct.unpack(">I", data[at : at + 4])[0] + len(box))
    return bytes(data)


@pytest.mark.parametrize(("left", "top", "right", "bottom"), [(16, 8, 16, 8), (0, 0, 16, 8), (4, 10, 2, 0)])
@pytest.mark.parametrize("degrees", [0, 90])
def test_a_clean_aperture_is_honoured(tmp_path, left, top, right, bottom, degrees):
    path = make_video(
        tmp_path / "a.mov",
        [padded(i, left, top, right, bottom) for i in range(3)],
        codec="png",
        pixels="rgb24",
        setup=(lambda v: v.set_display_rotation(degrees)) if degrees else None,
    )
    path.write_bytes(with_clap(path.read_bytes(), 64, 48, (left - right, 2), (top - bottom, 2)))
    clip = open_clip(path)
    for i, frame in enumerate(clip.frames()):
        np.testing.assert_array_equal(frame, np.rot90(stamped(i), degrees // 90))
    assert f"cropped to 64x48 px at ({left}, {top}) as the container asks" in clip.notes


def element(name, body):
    return name + bytes([0x01]) + len(body).to_bytes(7, "big") + body


def elements(data, at=0):
    """(name, content) of each element of EBML."""
    while at < len(data):
        n = 9 - data[at].bit_length()
        name = data[at : at + n]
        at += n
        n = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + n], "big") & ((1 << 7 * n) - 1)
        at += n
        yield name, data[at : at + size]
        at += size


def with_crop(data, left, top, right, bottom):
    """A Matroska file with crop values; its lists of places in the file, which are wrong then, are taken out."""
    crops = zip((b"\x54\xcc", b"\x54\xbb", b"\x54\xdd", b"\x54\xaa"), (left, top, right, bottom), strict=True)
    extra = b"".join(element(name, bytes([value])) for name, value in crops)

    def rebuilt(name, body):
        if name in (b"\x11\x4d\x9b\x74", b"\x1c\x53\xbb\x6b"):  # SeekHead, Cues
            return b""
        if name in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"):  # Segment, Tracks, TrackEntry
            body = b"".join(rebuilt(*child) for child in elements(body))
        if name == b"\xe0":  # Video
            body += extra
        return element(name, body)

    return b"".join(rebuilt(*part) for part in elements(data))


@pytest.mark.parametrize(("left", "top", "right", "bottom"), [(16, 8, 16, 8), (0, 0, 16, 8), (4, 10, 2, 0)])
def test_the_crop_of_matroska_is_honoured(tmp_path, left, top, right, bottom):
    path = make_video(tmp_path / "a.mkv", [padded(i, left, top, right, bottom) for i in range(3)])
    path.write_bytes(with_crop(path.read_bytes(), left, top, right, bottom))
    clip = open_clip(path)
    for i, frame in enumerate(clip.frames()):
        np.testing.assert_array_equal(frame, stamped(i))
    assert f"cropped to 64x48 px at ({left}, {top}) as the container asks" in clip.notes


@pytest.mark.parametrize("crop", [(40, 0, 40, 0), (0, 200, 0, 0)])
def test_a_crop_that_leaves_nothing_is_refused(tmp_path, crop):
    path = make_video(tmp_path / "a.mkv", [stamped(0)] * 3)
    path.write_bytes(with_crop(path.read_bytes(), *crop))
    with pytest.raises(MediaError, match="Invalid coded dimensions"):
        open_clip(path)
    assert Margins(*map(Fraction, crop)).box(64, 48) == (0, 0, 64, 48)


def test_margins_are_those_of_the_track(tmp_path):
    plain = make_video(tmp_path / "a.mkv", [stamped(0)] * 3)
    assert margins(plain, "matroska,webm", 0) == margins(plain, "matroska,webm", 5) == NO_MARGINS
    plain.write_bytes(with_crop(plain.read_bytes(), 1, 2, 3, 4))
    assert margins(plain, "matroska,webm", 0) == Margins(*map(Fraction, (1, 2, 3, 4)))
    assert margins(plain, "avi", 0) == NO_MARGINS


@given(st.binary(max_size=400), st.sampled_from(["mov,mp4,m4a", "matroska,webm"]))
@settings(deadline=None)
def test_any_bytes_are_a_header_without_a_crop_or_with_one(tmp_path_factory, data, form):
    path = tmp_path_factory.mktemp("a") / "a"
    for start in (
        b"",
        b"\0\0\0\x50moov\0\0\0\x48trak",
        b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x16\x54\xae\x6b\xa0",
    ):
        path.write_bytes(start + data)
        assert len(margins(path, form, 0)) == 4


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".y4m"])
def test_a_million_frames_a_second(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".y4m":
        path.write_bytes(b"YUV4MPEG2 W64 H48 F1000000:1 Ip A0:0 C420\n" + (b"FRAME\n" + bytes(64 * 72)) * 30)
    elif suffix == ".avi":
        make_video(path, [stamped(i) for i in range(30)], codec="mjpeg", pixels="yuvj420p", tick=Fraction(1, 500))
        data = path.read_bytes()
        scale = struct.pack("<2I", 1, 500)
        assert scale in data
        path.write_bytes(data.replace(scale, struct.pack("<2I", 1, 1_000_000), 1))
    else:
        codec = "libx264" if suffix == ".mp4" else "mpeg4"
        make_video(path, [stamped(i) for i in range(30)], codec=codec, pixels="yuv420p", tick=Fraction(1, 60_000))
    with pytest.raises(MediaError, match=r"more than 1000 a second|not later than one before"):
        open_clip(path)


@pytest.mark.parametrize("seconds", [100, 3600, 86_000, 10**7])
def test_a_frame_that_is_held_for_a_day(tmp_path, seconds):
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F1:%d Ip A0:0 C420\n" % seconds + (b"FRAME\n" + bytes(64 * 72)) * 30)
    with pytest.raises(MediaError, match=r"one frame is held for [\d.]+ s; at most 60 s"):
        open_clip(path)
    path = make_video(tmp_path / "a.mkv", [stamped(i) for i in range(3)], times=[0, 1, seconds], tick=Fraction(1, 1))
    with pytest.raises(MediaError, match=r"one frame is held for [\d.]+ s; at most 60 s"):
        open_clip(path)
