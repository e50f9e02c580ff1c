"""AVI: frames at the slots of the chunks that they came from, whatever else lies there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.avi import not_coded, rewritten
from support.videos import clicks, make_video, number_in, onsets, stamped

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip
from lipsync_eval.media.avi import video_chunks

N = 40


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """AVI files of 40 stamped frames with a click at every second quarter, by codec."""
    folder = tmp_path_factory.mktemp("avi")
    kinds = {
        "mjpeg": {"codec": "mjpeg", "pixels": "yuvj420p"},
        "mpeg4": {"codec": "mpeg4", "pixels": "yuv420p", "options": {"g": "250", "bf": "0"}},
        "h264": {
            "codec": "libx264",
            "pixels": "yuv420p",
            "options": {"g": "5", "bf": "0", "x264-params": "keyint=5:scenecut=0"},
        },
    }
    sound = clicks(N / 25, [0.4, 0.8, 1.2])[None]
    return {
        name: make_video(folder / f"{name}.avi", [stamped(i) for i in range(N)], sound=sound, **more)
        for name, more in kinds.items()
    }


def shown(slots):
    """What is on the screen in every slot from the first with a frame on, None standing for a slot without one; and that slot."""
    first = next(k for k, number in enumerate(slots) if number is not None)
    out = []
    for number in slots[first:]:
        out.append(out[-1] if number is None else number)
    return out, first


def check(path, slots):
    numbers, first = shown(slots)
    clip = open_clip(path)
    assert [number_in(frame) for frame in clip.frames()] == numbers
    early = [x for x in (0.4, 0.8, 1.2) if x > first / 25]
    assert onsets(clip.audio.samples) == pytest.approx([x - first / 25 for x in early], abs=0.001)
    return clip


@given(st.lists(st.sampled_from(["kept", "kept", "empty", "dropped", "repeated"]), min_size=N, max_size=N))
@settings(deadline=None, max_examples=40)
def test_chunks_left_out_emptied_and_repeated(tmp_path_factory, sources, fate):
    """Every frame is whole by itself (Motion JPEG), so that each chunk says what is shown."""
    if "kept" not in fate and "repeated" not in fate:
        return
    slots = []
    for i, what in enumerate(fate):
        slots += {"kept": [i], "empty": [None], "dropped": [], "repeated": [i, i]}[what]
    path = rewritten(
        sources["mjpeg"],
        tmp_path_factory.mktemp("a") / "a.avi",
        lambda chunks: [b"" if i is None else chunks[i] for i in slots],
    )
    check(path, slots)
    assert video_chunks(path, 0) == len(slots)


@given(st.sets(st.integers(1, N - 1), min_size=1), st.sets(st.integers(1, N - 1)))
@settings(deadline=None, max_examples=25)
def test_frames_that_are_not_coded_hold_the_one_before(tmp_path_factory, sources, skipped, empty):
    """XviD and DivX write a header and nothing else for a frame that they skip; later frames build on the one before."""
    held = skipped | empty
    kept = [i for i in range(N) if i not in held]
    folder = tmp_path_factory.mktemp("a")
    plain = make_video(
        folder / "plain.avi",
        [stamped(i) for i in kept],
        codec="mpeg4",
        pixels="yuv420p",
        options={"g": "250", "bf": "0"},
        sound=clicks(N / 25, [0.4, 0.8, 1.2])[None],
    )

    def change(chunks):
        bodies = iter(chunks)
        return [b"" if i in empty else not_coded(i % 25) if i in skipped else next(bodies) for i in range(N)]

    check(rewritten(plain, folder / "a.avi", change), [None if i in held else i for i in range(N)])


@pytest.mark.parametrize("lost", [1, 2, 5, 6, 11, 23])
def test_a_stream_that_begins_in_the_middle(tmp_path, sources, lost):
    """The first chunks are gone, as in a loop recording: nothing can be shown before the next keyframe, and the audio keeps its place."""
    path = rewritten(sources["h264"], tmp_path / "a.avi", lambda chunks: chunks[lost:])
    first = -lost % 5
    clip = check(path, [None] * first + list(range(lost + first, N)))
    if first:
        assert f"{first} packet(s) before the first complete frame left out" in clip.notes


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "h264"])
def test_a_file_that_was_cut_off_is_not_taken_for_a_held_frame(tmp_path, sources, codec):
    data = sources[codec].read_bytes()
    path = tmp_path / "a.avi"
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(MediaError, match=r"cut off|cannot be decoded"):
        open_clip(path)


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\xff\xff\xff\xffAVI LIST\0\0\0\0movi", b"\0" * 1000, b"LIST" * 500]
)
def test_counting_chunks_ends_on_any_bytes(tmp_path, data):
    path = tmp_path / "a.avi"
    path.write_bytes(data)
    assert video_chunks(path, 0) == 0
