"""Folders of numbered images."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from support.videos import clicks, make_sound, number_in, onsets, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import find_pairs, has_audio, open_clip


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


@pytest.mark.parametrize("place", ["a/sound.wav", "a.wav"])
def test_sound_in_the_folder_or_beside_it(tmp_path, place):
    folder = write(tmp_path / "a", [f"{i}.png" for i in range(25)])
    make_sound(tmp_path / place, clicks(1, [0.4])[None], rate=16000)
    clip = open_clip(folder)
    assert onsets(clip.audio.samples) == pytest.approx([0.4], abs=0.001)
    assert has_audio(folder)


def test_two_sounds_are_refused(tmp_path):
    folder = write(tmp_path / "a", ["0.png"])
    for place in ("a/sound.wav", "a.wav"):
        make_sound(tmp_path / place, clicks(1, [0.4])[None], rate=16000)
    with pytest.raises(MediaError, match=r"2 sound files: 'sound.wav', 'a.wav'|2 sound files: 'a.wav', 'sound.wav'"):
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
