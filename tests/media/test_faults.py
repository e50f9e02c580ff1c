"""Files of public bug reports, each against what it should be (the folder `faults/media` of the test data)."""

from __future__ import annotations

import numpy as np
import pytest

from lipsync_eval.errors import MediaError
from lipsync_eval.media import open_clip

EQUAL = [
    "avi-lost-keyframe/a.avi",
    "avi-null-frames/mid.avi",
    "avi-null-frames/tail.avi",
    "channel-layout/a.mkv",
    "clean-aperture/a.mov",
    "colour-tag/derived.mp4",
    "colour-tag/ictcp.mp4",
    "colour-tag/ycgco.mp4",
    "exif-and-tiff/jpg",
    "exif-and-tiff/mjpeg.mov",
    "exif-and-tiff/tif",
    "exif-and-tiff/turned",
    "held-pictures/a.mp4",
    "lost-sound-packets/a.mkv",
    "mkv-millisecond-clock/a.mkv",
    "theora-duplicates/a.ogv",
    "track-choice/a.ts",
    "track-choice/b.mp4",
    "xvid-not-coded/a.avi",
    "xvid-not-coded/long.avi",
]
NOTES = {
    "avi-lost-keyframe/a.avi": "4 packet(s) before the first complete frame left out",
    "channel-layout/a.mkv": "4 channels in the layout 'ambisonic 1' cannot be mixed to mono",
    "clean-aperture/a.mov": "cropped to 96x96 px at (16, 16) as the container asks",
    "colour-tag/derived.mp4": "colour matrix 12 (chroma-derived)",
    "colour-tag/ictcp.mp4": "colour matrix 14 (ICtCp)",
    "colour-tag/ycgco.mp4": "colour matrix 8 (YCgCo)",
    "exif-and-tiff/turned": "3 image(s) turned as their EXIF orientation asks",
    "lost-sound-packets/a.mkv": "gaps of 0.032 s in the audio filled with silence",
    "track-choice/a.ts": "2 audio tracks: track 1 used, which ffmpeg takes by default",
    "track-choice/b.mp4": "2 audio tracks: track 1 used, the only one that can be decoded",
}


@pytest.fixture
def faults(data):
    if not (data / "faults" / "media").is_dir():
        pytest.skip("the test data hold no faults/media")
    return data / "faults" / "media"


def right(faults, case):
    """The right outcome: the file or folder of the same stem in gt/."""
    folder, name = case.split("/")
    (found,) = [p for p in (faults / folder / "gt").iterdir() if p.stem == name.split(".")[0]]
    return open_clip(found)


def given(faults, case, **more):
    folder, name = case.split("/")
    return open_clip(faults / folder / "gen" / name, **more)


@pytest.mark.parametrize("case", EQUAL)
def test_what_should_be_equal_is(faults, case):
    clip, gt = given(faults, case), right(faults, case)
    assert (clip.n_frames, clip.size) == (gt.n_frames, gt.size)
    for k, (ours, theirs) in enumerate(zip(clip.frames(), gt.frames(), strict=True)):
        np.testing.assert_array_equal(ours, theirs, err_msg=f"frame {k}")
    if clip.audio is not None:
        assert abs(len(clip.audio.samples) - len(gt.audio.samples)) <= 16
        assert abs(lag(clip.audio.samples, gt.audio.samples)) <= 16  # 1 ms
    told = (*clip.notes, *(clip.audio.notes if clip.audio else ()))
    assert NOTES.get(case, "") in "; ".join(told)


def lag(a, b):
    """Samples by which a lies behind b."""
    n = min(len(a), len(b))
    size = 1 << (2 * n).bit_length()
    found = np.fft.irfft(np.fft.rfft(a[:n], size) * np.conj(np.fft.rfft(b[:n], size)))
    best = int(np.argmax(found))
    return best if best < size // 2 else best - size


def test_audio_that_cannot_be_mixed_leaves_the_frames(faults):
    assert given(faults, "channel-layout/a.mkv").audio is None
    with pytest.raises(MediaError, match="9 channels in the layout '9 channels' cannot be mixed to mono"):
        given(faults, "channel-layout/b.mp4", audio=faults / "channel-layout" / "gen" / "b.wav")


def test_constant_luminance_is_taken_for_the_usual_matrix_of_bt2020(faults):
    """As ffmpeg 5 does; the file without the tag is converted with BT.601, which is near but not the same."""
    clip, gt = given(faults, "colour-tag/bt2020c.mp4"), right(faults, "colour-tag/bt2020c.mp4")
    assert any("colour matrix 10" in note for note in clip.notes)
    worst = max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(clip.frames(), gt.frames(), strict=True))
    assert 0 < worst <= 10


def test_joined_recordings_are_refused(faults):
    with pytest.raises(MediaError, match=r"'a.ts': time runs backwards or stands still at frame 30 of 60 .* joined"):
        given(faults, "ts-joined/a.ts")
