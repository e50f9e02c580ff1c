"""Every bad file is a MediaError that says what, why and what to do."""

from __future__ import annotations

import contextlib
import logging
import os
import struct

import numpy as np
import pytest
from support.videos import make_sound, make_video, stamped, tone

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip
from lipsync_eval.media.audio import read_audio
from lipsync_eval.media.container import check_size


def stamps(n=50):
    rng = np.random.default_rng(0)
    return [
        np.clip(stamped(i, 96, 128) + rng.integers(-20, 20, (96, 128, 3)), 0, 255).astype(np.uint8) for i in range(n)
    ]


def refused(path, message, **more):
    with pytest.raises(MediaError, match=message) as caught:
        open_clip(path, **more)
    assert path.name in str(caught.value) or more
    return str(caught.value)


def test_missing(tmp_path):
    refused(tmp_path / "a.mp4", "does not exist; give an existing")


def test_empty(tmp_path):
    (tmp_path / "a.mp4").touch()
    refused(tmp_path / "a.mp4", r"is empty \(0 bytes\).*make it again")


@pytest.mark.parametrize(
    "content",
    [
        b"hello, this is no video\n" * 50,
        b"\0" * 5000,
        b"#EXTM3U\n#EXTINF:1,\nother.mp4\n",
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"1\n00:00:01,000 --> 00:00:02,000\nhi\n",
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_text_and_playlists(tmp_path, suffix, content):
    """A playlist would make ffmpeg open other files and addresses."""
    make_video(tmp_path / "other.mp4", stamps(3), codec="libx264", pixels="yuv420p")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    refused(path, "is not a video or audio file that can be read|has no video track|holds no frame")


@pytest.mark.parametrize(("codec", "suffix"), [("png", ".png"), ("mjpeg", ".jpg")])
def test_image(tmp_path, codec, suffix):
    import cv2

    image = tmp_path / f"a{suffix}"
    cv2.imwrite(str(image), stamped(0))
    path = tmp_path / "a.mp4"
    path.write_bytes(image.read_bytes())
    refused(path, "is a still image, not a video")
    refused(image, "is a still image, not a video")


@pytest.mark.parametrize("suffix", [".wav", ".m4a"])
def test_audio_alone(tmp_path, suffix):
    path = make_sound(
        tmp_path / f"a{suffix}", tone(1)[None], rate=16000, codec="aac" if suffix == ".m4a" else "pcm_s16le"
    )
    refused(path, "has no video track")


def test_special_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(tmp_path / "pipe.mp4", "is not a regular file")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "link.mp4")
    refused(tmp_path / "link.mp4", "cannot be opened|does not exist")


CONTAINERS = {
    ".mkv": {"codec": "libx264", "pixels": "yuv420p"},
    ".avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    ".mp4": {"codec": "libx264", "pixels": "yuv420p", "muxer": {"movflags": "faststart"}},
    ".mov": {"codec": "libx264", "pixels": "yuv420p"},
    ".webm": {"codec": "libvpx-vp9", "pixels": "yuv420p", "options": {"cpu-used": "8", "deadline": "realtime"}},
}


@pytest.mark.parametrize("part", [0.1, 0.4, 0.7, 0.85])
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_cut_off(tmp_path, suffix, part):
    path = make_video(tmp_path / f"a{suffix}", stamps(), **CONTAINERS[suffix])
    assert open_clip(path).n_frames == 50
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    refused(path, "cut off|damaged")


@pytest.mark.parametrize("suffix", [".mpg", ".ts"])
def test_cut_off_without_a_header_to_tell_is_shorter_or_refused(tmp_path, suffix):
    """These formats state no duration: what is left is a shorter clip, or a frame that cannot be decoded."""
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    path = make_video(tmp_path / f"a{suffix}", stamps(), codec=codec, pixels="yuv420p")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        assert open_clip(path).n_frames < 40
    except MediaError as error:
        assert "cannot be decoded" in str(error)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", "libx264"), (".avi", "mpeg4"), (".mp4", "libx264"), (".mkv", "ffv1")]
)
def test_damage_in_the_middle_is_refused_or_noted(tmp_path, suffix, codec):
    path = make_video(tmp_path / f"a{suffix}", stamps(), codec=codec, pixels="yuv420p")
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + len(whole) // 25] = bytes(len(whole) // 25)
    path.write_bytes(whole)
    try:
        assert any("damage" in note for note in open_clip(path).notes)
    except MediaError as error:
        assert "cannot be decoded" in str(error) or "missing" in str(error) or "cut off" in str(error)


def test_undecodable_frames_are_counted(tmp_path):
    import av

    path = tmp_path / "a.mkv"
    good = make_video(tmp_path / "good.mkv", stamps(), codec="mpeg4", pixels="yuv420p", options={"g": "1"})
    with av.open(str(good)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for i, packet in enumerate(source.demux(video=0)):
            if packet.dts is None:
                continue
            if i in (10, 20, 30):
                broken = av.Packet(b"\x55" * 30)
                broken.pts, broken.dts, broken.time_base = packet.pts, packet.dts, packet.time_base
                packet = broken
            packet.stream = stream
            target.mux(packet)
    refused(path, "3 of about 50 frames cannot be decoded")


def test_absurd_size(tmp_path):
    path = make_video(tmp_path / "a.avi", [stamped(0)] * 3, codec="huffyuv", pixels="rgb24")
    data = path.read_bytes()
    # Width and height in the BITMAPINFOHEADER of an AVI file.
    path.write_bytes(data.replace(struct.pack("<2iH", 64, 48, 1), struct.pack("<2iH", 64_000, 48_000, 1), 1))
    refused(path, "states no frame size, or an absurd one; from 1 to 67108864 pixels are accepted")
    with pytest.raises(MediaError, match="frames of 64000x48000 px"):
        check_size(path, 64_000, 48_000)
    check_size(path, 8192, 8192)


def test_a_change_of_size_is_refused(tmp_path):
    parts = []
    for name, size in (("a", (48, 64)), ("b", (96, 64))):
        parts.append(
            make_video(
                tmp_path / f"{name}.mpg", [stamped(i, *size) for i in range(10)], codec="mpeg2video", pixels="yuv420p"
            )
        )
    both = tmp_path / "both.mpg"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    refused(both, "size changes from 64x48 to 64x96 px")


def test_a_broken_track_of_audio_leaves_the_frame(tmp_path):
    sound = make_video(tmp_path / "a.mkv", stamps(25), sound=tone(1)[None], sound_codec="flac")
    data = sound.read_bytes()
    # Frames of FLAC begin with this mark; without it nothing can be decoded.
    sound.write_bytes(data.replace(b"\xff\xf8", b"\x00\x00"))
    clip = open_clip(sound)
    assert clip.n_frames == 25 and clip.audio is None
    assert any("the audio of 'a.mkv' cannot be used" in note for note in clip.notes)


def test_a_bad_audio_file_given_by_name_is_refused(tmp_path):
    path = make_video(tmp_path / "a.mkv", stamps(3))
    (tmp_path / "bad.wav").write_bytes(b"RIFFnonsense")
    (tmp_path / "empty.wav").touch()
    refused(path, "bad.wav", audio=tmp_path / "bad.wav")
    refused(path, "empty", audio=tmp_path / "empty.wav")
    refused(path, "does not exist", audio=tmp_path / "missing.wav")
    refused(path, "no audio track", audio=path)


def test_audio_with_nan_is_refused(tmp_path):
    samples = tone(1)
    samples[100] = np.nan
    path = make_sound(tmp_path / "a.wav", samples[None], rate=16000, codec="pcm_f32le")
    with pytest.raises(MediaError, match="no numbers"):
        read_audio(path, origin=None, seconds=1)


def test_a_file_that_shrinks_after_it_was_opened_is_an_error(tmp_path):
    path = make_video(tmp_path / "a.mkv", stamps(30))
    clip = open_clip(path)
    make_video(path, stamps(10))
    with pytest.raises(MediaError, match="gave 10 of 30 frames"):
        list(clip.frames())


def test_nothing_is_printed_and_logging_is_left_as_it_was(tmp_path, capfd):
    import av.logging

    before = av.logging.get_level(), av.logging.get_skip_repeated(), list(logging.getLogger("libav").handlers)
    path = make_video(tmp_path / "a.mp4", stamps(), codec="libx264", pixels="yuv420p")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 500] = np.random.default_rng(0).bytes(500)
    path.write_bytes(data)
    with contextlib.suppress(MediaError):  # damage is an error or a note; either way nothing is printed
        open_clip(path)
    assert capfd.readouterr() == ("", "")
    assert before == (av.logging.get_level(), av.logging.get_skip_repeated(), list(logging.getLogger("libav").handlers))
