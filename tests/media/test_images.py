"""Folders of numbered images."""

from __future__ import annotations

import hashlib
import resource
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.videos import clicks, make_sound, number_in, onsets, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import find_pairs, has_audio, open_clip
from lipsync_eval.media.png import without_text


def write(folder, names):
    """Images stamped 0, 1, 2... in the order of `names`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), stamped(i)[:, :, ::-1])
    return folder


@pytest.mark.parametrize(
    "names",
    [
        [f"{i:04d}.png" for i in range(1, 13)],
        [f"{i}.png" for i in range(98, 110)],
        [f"take2_frame{i}.png" for i in range(12)],
        [f"{i:03d}.jpg" for i in range(12)],
        [f"{i:03d}.{'jpeg' if i % 2 else 'bmp'}" for i in range(12)],
    ],
)
def test_images_come_in_the_order_of_their_numbers(tmp_path, names):
    clip = open_clip(write(tmp_path / "a", names))
    assert [number_in(frame) for frame in clip.frames()] == list(range(12))
    assert [number_in(frame) for frame in clip.frames(5, 8)] == [5, 6, 7]
    assert (clip.n_frames, clip.size, clip.source_fps, clip.audio) == (12, (48, 64), 25.0, None)
    assert clip.notes == ("images taken as 25 a second",)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_jpegs_of_real_size_are_read_whatever_their_suffix(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (3, 240, 320, 1), np.uint8).repeat(3, axis=3)
    folder = tmp_path / "a"
    folder.mkdir()
    for i, picture in enumerate(noise):
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
        assert len(coded) > 50_000, "small files are recognised by other means"
        (folder / f"f_%d_{i}.{suffix}").write_bytes(coded)  # a pattern in the name is only a name
    clip = open_clip(folder)
    assert (clip.n_frames, clip.size) == (3, (240, 320))
    for frame, picture in zip(clip.frames(), noise, strict=True):
        assert np.abs(frame.astype(int) - picture).max() <= 4


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = write(tmp_path / "a", ["0.jpg", "1.jpg"])
    (folder / "1.jpg").write_bytes(b"<html>not found</html>" * 500)
    with pytest.raises(MediaError, match=r"'1.jpg' is no PNG, JPEG, BMP or TIFF file"):
        open_clip(folder)


def test_png_is_exact_and_in_the_digest(tmp_path):
    folder = write(tmp_path / "a", ["1.png", "2.png"])
    clip = open_clip(folder)
    for i, frame in enumerate(clip.frames()):
        np.testing.assert_array_equal(frame, stamped(i))
    assert clip.digest == hashlib.sha256((folder / "1.png").read_bytes() + (folder / "2.png").read_bytes()).hexdigest()


@pytest.mark.parametrize("place", ["a/audio.wav", "a.wav"])
def test_audio_in_the_folder_or_beside_it(tmp_path, place):
    folder = write(tmp_path / "a", [f"{i}.png" for i in range(25)])
    make_sound(tmp_path / place, clicks(1, [0.4])[None], rate=16000)
    clip = open_clip(folder)
    assert onsets(clip.audio.samples) == pytest.approx([0.4], abs=0.001)
    assert has_audio(folder)


def test_two_audio_are_refused(tmp_path):
    folder = write(tmp_path / "a", ["0.png"])
    for place in ("a/audio.wav", "a.wav"):
        make_sound(tmp_path / place, clicks(1, [0.4])[None], rate=16000)
    with pytest.raises(MediaError, match=r"2 audio files: 'audio.wav', 'a.wav'|2 audio files: 'a.wav', 'audio.wav'"):
        open_clip(folder)


def test_gaps_are_named(tmp_path):
    folder = write(tmp_path / "a", ["1.png", "2.png", "4.png", "9.png"])
    with pytest.raises(MediaError, match=r"from 1 to 9 with gaps: 3, 5-8 missing"):
        open_clip(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["1.png", "01.png"], "same number.*'01.png', '1.png'"),
        (["1.png", "cover.png"], "without a number.*'cover.png'"),
        ([], "holds no image"),
    ],
)
def test_other_disorder_is_named(tmp_path, names, message):
    with pytest.raises(MediaError, match=message):
        open_clip(write(tmp_path / "a", names))


def test_sizes_must_agree(tmp_path):
    folder = write(tmp_path / "a", ["1.png"])
    cv2.imwrite(str(folder / "2.png"), stamped(0, 50, 64))
    with pytest.raises(MediaError, match=r"'2.png' is 64x50 px, '1.png' is 64x48"):
        open_clip(folder)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"no image"])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_damaged_images_are_refused_by_name(tmp_path, suffix, damage):
    folder = write(tmp_path / "a", [f"1.{suffix}", f"2.{suffix}"])
    path = folder / f"2.{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MediaError, match=f"2.{suffix}"):
        open_clip(folder)


def with_exif(data, orientation):
    """A JPEG with an EXIF segment that states an orientation; None: that names a program only."""
    tag = (
        struct.pack("<HHI4s", 0x0131, 2, 4, b"cam\0")
        if orientation is None
        else struct.pack("<HHII", 0x0112, 3, 1, orientation)
    )
    body = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + tag + struct.pack("<I", 0)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


TURNED = {
    None: lambda a: a,
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}
"""EXIF orientation -> what is to be seen of the coded frame."""


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_orientation_is_honoured(tmp_path, orientation):
    plain, turned = tmp_path / "plain", tmp_path / "turned"
    for folder in (plain, turned):
        folder.mkdir()
    for i in range(2):
        coded = cv2.imencode(".jpg", stamped(i)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        (plain / f"{i}.jpg").write_bytes(coded)
        (turned / f"{i}.jpg").write_bytes(with_exif(coded, orientation))
    clip = open_clip(turned)
    for ours, coded in zip(clip.frames(), open_clip(plain).frames(), strict=True):
        np.testing.assert_array_equal(ours, TURNED[orientation](coded))
        assert ours.shape[:2] == clip.size
    told = "2 image(s) turned as their EXIF orientation asks"
    assert (told in clip.notes) == (orientation not in (None, 1))


@pytest.mark.parametrize("orientation", [None, 3, 6])
def test_exif_in_motion_jpeg(tmp_path, orientation):
    from fractions import Fraction

    import av

    path = tmp_path / "a.mov"
    coded = [cv2.imencode(".jpg", stamped(i)[:, :, ::-1])[1].tobytes() for i in range(3)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i, data in enumerate(coded):
            packet = av.Packet(with_exif(data, orientation))
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, i, i, Fraction(1, 25)
            container.mux(packet)
    clip = open_clip(path)
    assert clip.size == ((64, 48) if orientation == 6 else (48, 64))
    for i, frame in enumerate(clip.frames()):
        expected = cv2.imdecode(np.frombuffer(coded[i], np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        assert np.abs(frame.astype(int) - TURNED[orientation](expected)).max() < 40  # another upsampling of colour
        assert np.abs(frame.astype(int) - TURNED[orientation](expected)).mean() < 3


@pytest.mark.parametrize("name", ["1.tif", "1.tiff"])
def test_tiff_is_exact(tmp_path, name):
    clip = open_clip(write(tmp_path / "a", [name]))
    np.testing.assert_array_equal(next(clip.frames()), stamped(0))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt", b"tEXt"])
@pytest.mark.parametrize("where", ["folder", "video"])
def test_texts_and_profiles_of_png_are_not_unpacked(tmp_path, kind, where):
    """150 MB in 150 kB of a frame that is whole otherwise; several of them would fill any memory."""
    from fractions import Fraction

    import av

    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(150)) + packer.flush()
    body = {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"tEXt": b"a\0"}[kind] + packed
    plain = cv2.imencode(".png", stamped(3)[:, :, ::-1])[1].tobytes()
    bomb = plain[:33] + chunk(kind, body) + plain[33:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if where == "folder":
        path = tmp_path / "a"
        path.mkdir()
        (path / "1.png").write_bytes(bomb)
    else:
        path = tmp_path / "a.mov"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("png", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
            packet = av.Packet(bomb)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
            container.mux(packet)
    np.testing.assert_array_equal(next(open_clip(path).frames()), stamped(3))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # kB


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_behind_the_mark_of_png_are_kept_or_dropped_whole(data):
    head = b"\x89PNG\r\n\x1a\n"
    kept = without_text(head + chunk(b"tEXt", b"a\0b") + data)
    assert kept == without_text(head + data)
    assert without_text(data) == data or data.startswith(head)


def test_16_bit_and_grey_images(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    grey = stamped(3)[:, :, 0]
    cv2.imwrite(str(folder / "1.png"), grey)
    np.testing.assert_array_equal(next(open_clip(folder).frames()), np.repeat(grey[:, :, None], 3, axis=2))
    deep = tmp_path / "b"
    deep.mkdir()
    cv2.imwrite(str(deep / "1.png"), stamped(3)[:, :, ::-1].astype(np.uint16) * 257)
    assert np.abs(next(open_clip(deep).frames()).astype(int) - stamped(3)).max() <= 1


def test_a_folder_is_one_clip_in_pairing(tmp_path):
    for side in ("gen", "gt"):
        write(tmp_path / side / "x" / "one", ["1.png", "2.png"])
        write(tmp_path / side / "two", ["1.png"])
    make_sound(tmp_path / "gen" / "two" / "speech.wav", clicks(1, [0.4])[None], rate=16000)
    make_sound(tmp_path / "gen" / "x" / "one.wav", clicks(1, [0.4])[None], rate=16000)
    pairs = find_pairs(tmp_path / "gen", tmp_path / "gt").pairs
    assert [p.id for p in pairs] == ["two", "x/one"]
    assert pairs[0].gen == tmp_path / "gen" / "two"
    assert [p.audio.name for p in pairs] == ["speech.wav", "one.wav"]
    single = find_pairs(tmp_path / "gen" / "two", tmp_path / "gt" / "two").pairs
    assert [p.id for p in single] == ["two"]
