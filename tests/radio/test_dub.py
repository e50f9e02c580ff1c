"""Dubbing: rate, size, audio and everything around the mouth stay; bad input is told."""

import json
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from support.radio import talking_video

from lipsync_eval.baselines.kit.data.alignment import one_crop
from lipsync_eval.baselines.kit.dubbing.dub import dub as radio_dub
from lipsync_eval.baselines.kit.dubbing.dub import frames_to_make
from lipsync_eval.baselines.kit.dubbing.own_rate import audio_for, audio_rate, open_frames, standard_rate
from lipsync_eval.baselines.kit.dubbing.pasting import lower_mask
from lipsync_eval.baselines.kit.dubbing.side_video import SideVideo
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
from lipsync_eval.baselines.radio.dubbing.attention import attention_figure as radio_attention
from lipsync_eval.baselines.radio.dubbing.generator import load_generator
from lipsync_eval.cache import Cache
from lipsync_eval.errors import AlignmentError, FaceError, InputError, MediaError, UsageError
from lipsync_eval.faces import track_faces
from lipsync_eval.media import open_clip, write_video


@pytest.fixture(scope="module")
def generator(micro_run):
    """The micro generator."""
    return load_generator(micro_run, "cpu")


@pytest.fixture(scope="module", autouse=True)
def tracks(tmp_path_factory):
    """Faces of a video are followed once for all tests of this file."""
    KEPT["cache"] = Cache(tmp_path_factory.mktemp("tracks"))


KEPT = {}


def dub(*paths, **options):
    return radio_dub(*paths, **KEPT, **options)


def attention_figure(*paths, **options):
    return radio_attention(*paths, **KEPT, **options)


@pytest.fixture(scope="module")
def dubbed(generator, talking_clip, tmp_path_factory):
    """talking_clip dubbed with its own audio, lossless, with crops."""
    folder = tmp_path_factory.mktemp("dub")
    report = dub(talking_clip, talking_clip, folder / "out.mkv", generator, crops=folder / "crops", batch=7)
    return folder, report


def frames_of(path):
    return np.stack(list(open_clip(path).frames()))


def test_size_length_and_sound_stay(talking_clip, dubbed):
    folder, report = dubbed
    before, after = open_clip(talking_clip), open_clip(folder / "out.mkv")
    assert (after.n_frames, after.size, after.source_fps) == (before.n_frames, before.size, before.source_fps)
    np.testing.assert_array_equal(after.audio.samples, before.audio.samples)
    assert report.frames == 40 and report.frames_without_face == 0 and report.reference == "frame 0"
    assert 0 < report.network_share < 1 and report.frames_per_second > 0
    assert json.loads((folder / "out.mkv.json").read_text())["synthetic"] is True


def test_pixels_outside_the_mouth_square_are_the_sources_own(talking_clip, dubbed):
    folder, _ = dubbed
    clip = open_clip(talking_clip)
    track = track_faces(clip)
    before, after = frames_of(talking_clip), frames_of(folder / "out.mkv")
    changed = 0
    for i in range(40):
        matrix = ALIGNMENT.matrices(track.points[i], 32)
        y, x = np.mgrid[: clip.height, : clip.width]
        v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
        u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
        outside = (v < 15) | (v > 32) | (u < -1) | (u > 32)
        np.testing.assert_array_equal(after[i][outside], before[i][outside])
        changed += (after[i] != before[i]).any()
    assert changed == 40


def test_crops_are_the_aligned_pictures_generated_and_real(talking_clip, dubbed):
    folder, _ = dubbed
    gen, gt = frames_of(folder / "crops" / "gen" / "out.mkv"), frames_of(folder / "crops" / "gt" / "out.mkv")
    clip = open_clip(talking_clip)
    track = track_faces(clip)
    expected = np.stack([one_crop(ALIGNMENT, f, p, 32) for f, p in zip(clip.frames(), track.points, strict=True)])
    np.testing.assert_array_equal(gt, expected)
    assert gen.shape == gt.shape == (40, 32, 32, 3) and (gen != gt).any()


def test_the_batch_does_not_matter(talking_clip, generator, dubbed, tmp_path):
    dub(talking_clip, talking_clip, tmp_path / "one.mkv", generator, batch=1)
    a, b = frames_of(dubbed[0] / "out.mkv"), frames_of(tmp_path / "one.mkv")
    assert np.abs(a.astype(int) - b).max() <= 1


def test_other_rates_are_kept(generator, tmp_path):
    video = talking_video(tmp_path / "ntsc.mp4", frames=24, fps=Fraction(30000, 1001))
    report = dub(video, video, tmp_path / "out.mp4", generator)
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(30000, 1001) and stream.frames == 24
    assert report.fps == pytest.approx(29.97, abs=0.01) and report.frames == 24


def test_own_sound_keeps_its_rate(generator, talking_clip, tmp_path):
    from support.videos import make_sound

    t = np.arange(round(1.6 * 44100)) / 44100
    speech = np.stack([0.4 * np.sin(2 * np.pi * 200 * t), 0.2 * np.sin(2 * np.pi * 200 * t)])
    make_sound(tmp_path / "new.wav", speech, rate=44100)
    dub(talking_clip, tmp_path / "new.wav", tmp_path / "out.mkv", generator)
    rate = audio_rate(tmp_path / "out.mkv")
    audio = audio_for(tmp_path / "out.mkv", open_frames(tmp_path / "out.mkv"), rate).samples
    assert rate == 44100 and len(audio) == len(t)
    np.testing.assert_allclose(audio, speech.mean(0), atol=1e-3)


@pytest.mark.parametrize(("own", "written"), [(192000, 96000), (10000, 11025), (4000, 7350), (48000, 48000)])
def test_a_rate_that_aac_has_not_is_changed_and_named(generator, talking_clip, tmp_path, own, written):
    from support.videos import make_sound

    audio = 0.4 * np.sin(2 * np.pi * 200 * np.arange(round(1.6 * own)) / own)
    make_sound(tmp_path / "new.wav", audio[None], rate=own)
    report = dub(talking_clip, tmp_path / "new.wav", tmp_path / "out.mp4", generator)
    assert audio_rate(tmp_path / "out.mp4") == written
    named = f"audio of {own} Hz written at {written} Hz, since AAC has no {own}; .mkv keeps every rate"
    assert [note for note in report.notes if "AAC" in note] == [named] * (own != written)
    heard = open_clip(tmp_path / "out.mp4").audio.samples
    assert len(heard) == pytest.approx(1.6 * 16000, abs=0.1 * 16000)
    assert np.abs(heard).max() == pytest.approx(0.4, abs=0.1)


def test_a_videos_own_sound_keeps_its_rate_and_place(generator, tmp_path):
    t = np.arange(round(1.6 * 44100)) / 44100
    tone = (0.4 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    frames = frames_of(talking_video(tmp_path / "a.mkv"))
    write_video(tmp_path / "v.mkv", iter(frames), audio=tone, rate=44100)
    dub(tmp_path / "v.mkv", tmp_path / "v.mkv", tmp_path / "out.mkv", generator)
    assert audio_rate(tmp_path / "out.mkv") == 44100
    made = audio_for(tmp_path / "out.mkv", open_frames(tmp_path / "out.mkv"), 44100).samples
    np.testing.assert_allclose(made, tone, atol=1 / 32768)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_uneven_times_are_kept(generator, tmp_path, suffix):
    from support.videos import make_video

    times = [0, 33, 67, 133, 200, 233, 267, 333, 367, 433, 467, 500, 567, 600]  # ms; 30 fps with frames left out
    frames = list(frames_of(talking_video(tmp_path / "a.mkv", frames=len(times))))
    path = make_video(tmp_path / "v.mkv", frames, times=times, tick=Fraction(1, 1000))
    found = open_frames(path)
    assert found.uneven and found.clip.n_frames == len(times) and any("variable rate" in note for note in found.notes)
    from support.videos import make_sound

    make_sound(tmp_path / "s.wav", 0.1 * np.sin(np.arange(round(found.length * 16000)) / 20)[None], rate=16000)
    out = tmp_path / f"out{suffix}"
    report = dub(path, tmp_path / "s.wav", out, generator)
    made = open_frames(out)
    assert report.frames == len(times) and made.uneven
    np.testing.assert_allclose(made.seconds, np.array(times) / 1000, atol=1e-3)
    short = dub(path, tmp_path / "s.wav", out, generator, length="shortest", batch=3)
    assert short.frames == len(times)


def test_pictures_before_a_time():
    from lipsync_eval.baselines.kit.dubbing.own_rate import TimedFrames

    even = TimedFrames(None, np.arange(40) / 25, Fraction(25), False, None, ())
    assert [even.before(s) for s in (0.0, 0.03, 0.061, 0.5, 1.6, 9.0)] == [1, 1, 2, 13, 40, 40]
    assert even.until(10) == pytest.approx(0.4) and even.length == pytest.approx(1.6)
    uneven = TimedFrames(None, np.array([0.0, 0.04, 0.2, 0.24]), Fraction(3, 1) / Fraction(6, 25), True, None, ())
    assert uneven.before(0.2) == 2 and uneven.until(2) == pytest.approx(0.2) and uneven.length == pytest.approx(0.32)


@pytest.mark.parametrize("rate", [24, 25, 30, Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)])
def test_rates_are_recovered_from_rounded_timestamps(rate):
    tick = Fraction(1, 1000)
    stamps = [round(k / Fraction(rate) / tick) for k in range(100)]
    measured = 99 / ((stamps[-1] - stamps[0]) * tick)
    assert standard_rate(measured, 100, tick) == rate


def test_frames_without_a_face_pass_through(generator, tmp_path):
    good = frames_of(talking_video(tmp_path / "a.mkv", frames=12))
    wall = np.full_like(good[:1], 90)
    frames = np.concatenate([good, np.repeat(wall, 14, 0), good])  # too long a gap to be filled
    audio = np.zeros(len(frames) * 640, np.float32)
    write_video(tmp_path / "v.mkv", iter(frames), audio=audio)
    report = dub(tmp_path / "v.mkv", tmp_path / "v.mkv", tmp_path / "out.mkv", generator)
    assert report.frames == 38 and report.frames_without_face >= 14
    np.testing.assert_array_equal(frames_of(tmp_path / "out.mkv")[14:22], frames[14:22])
    assert any("frame(s) without a face are the source's own" in note for note in report.notes)


def test_a_dub_that_would_dub_nothing_is_refused(generator, tmp_path):
    """The face comes after the audio's end."""
    good = frames_of(talking_video(tmp_path / "a.mkv", frames=12))
    wall = np.full_like(good[:1], 90)
    write_video(tmp_path / "v.mkv", iter(np.concatenate([np.repeat(wall, 25, 0), good])))
    write_video(tmp_path / "s.mkv", iter(wall), audio=np.zeros(8000, np.float32))
    with pytest.raises(FaceError, match=r"none of the first 1[23] frames of 'v\.mkv'.*give longer audio"):
        dub(tmp_path / "v.mkv", tmp_path / "s.mkv", tmp_path / "out.mkv", generator, length="shortest")
    assert not (tmp_path / "out.mkv").exists()


def test_sound_that_is_too_short_or_too_long(generator, talking_clip, tmp_path):
    write_video(tmp_path / "short.mkv", iter(frames_of(talking_clip)[:1]), audio=np.zeros(16000, np.float32))
    with pytest.raises(AlignmentError, match=r"the audio 'short.mkv' \(1.00 s\) is shorter than the video \(1.60 s\)"):
        dub(talking_clip, tmp_path / "short.mkv", tmp_path / "out.mkv", generator)
    assert not (tmp_path / "out.mkv").exists()
    report = dub(talking_clip, tmp_path / "short.mkv", tmp_path / "out.mkv", generator, length="shortest")
    assert report.frames == 25 and open_clip(tmp_path / "out.mkv").n_frames == 25
    assert any("stops with the audio: 15 frame(s) left out" in note for note in report.notes)
    frames = open_frames(talking_clip)
    with pytest.raises(AlignmentError, match="is longer than the video"):
        frames_to_make(frames, 2.0, "strict", "long.wav")
    assert frames_to_make(frames, 2.0, "shortest", "long.wav") == 40
    for length in ("strict", "shortest"):  # within 1.5 frames both are called equally long
        assert frames_to_make(frames, 1.55, length, "a.wav") == 40
    assert frames_to_make(frames, 1.53, "shortest", "a.wav") == 38


def test_references(generator, talking_clip, tmp_path):
    frame = frames_of(talking_clip)[20]
    cv2.imwrite(str(tmp_path / "face.png"), frame[:, :, ::-1])
    by_image = dub(talking_clip, talking_clip, tmp_path / "a.mkv", generator, reference=str(tmp_path / "face.png"))
    by_number = dub(talking_clip, talking_clip, tmp_path / "b.mkv", generator, reference="20")
    assert (by_image.reference, by_number.reference) == ("face.png", "frame 20")
    assert np.abs(frames_of(tmp_path / "a.mkv").astype(int) - frames_of(tmp_path / "b.mkv")).mean() < 1


def test_references_that_cannot_be_used(generator, talking_clip, tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((128, 128, 3), 90, np.uint8))
    (tmp_path / "text.png").write_bytes(b"text")

    def attempt(reference):
        dub(talking_clip, talking_clip, tmp_path / "out.mkv", generator, reference=reference)

    with pytest.raises(FaceError, match=r"reference 'wall\.png' shows no face; give an image"):
        attempt(str(tmp_path / "wall.png"))
    with pytest.raises(MediaError, match=r"reference 'text\.png' is no image"):
        attempt(str(tmp_path / "text.png"))
    for name in (str(tmp_path / "none.png"), "--5", "\N{SUPERSCRIPT TWO}"):
        with pytest.raises(UsageError, match="is neither a file nor a number"):
            attempt(name)
    with pytest.raises(UsageError, match="reference 40: the video has the frames 0 to 39"):
        attempt("40")


def test_a_video_without_a_face_or_sound(generator, talking_clip, tmp_path):
    write_video(tmp_path / "wall.mkv", (np.full((96, 96, 3), 90, np.uint8) for _ in range(40)))
    with pytest.raises(FaceError):
        dub(tmp_path / "wall.mkv", talking_clip, tmp_path / "out.mkv", generator)
    with pytest.raises(MediaError, match=r"'wall\.mkv' has no audio"):
        dub(talking_clip, tmp_path / "wall.mkv", tmp_path / "out.mkv", generator)


def test_masks_of_the_callers_own(generator, talking_clip, tmp_path):
    shapes = []

    def nothing(aligned, points):
        shapes.append((aligned.shape, points.shape))
        return np.zeros((32, 32), np.float32)

    dub(talking_clip, talking_clip, tmp_path / "out.mkv", generator, mask=nothing)
    np.testing.assert_array_equal(frames_of(tmp_path / "out.mkv"), frames_of(talking_clip))
    assert shapes[0] == ((32, 32, 3), (68, 2))
    dub(talking_clip, talking_clip, tmp_path / "face.mkv", generator, mask="face")
    changed = (frames_of(tmp_path / "face.mkv")[0] != frames_of(talking_clip)[0]).any(2).mean()
    assert 0 < changed < lower_mask(32).mean()


def test_a_side_video_that_fails_stops_the_dub(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError), SideVideo(tmp_path / "file" / "x.mkv", fps=25, audio=np.zeros(10, np.float32)) as tap:
        for _ in range(100):
            tap.put(np.zeros((8, 8, 3), np.uint8))


def test_a_side_video_is_written_whole_or_not_at_all(tmp_path):
    """A dub that ends early must not leave crops that look finished."""

    def stop():
        raise KeyboardInterrupt

    frame = np.zeros((8, 8, 3), np.uint8)
    path = tmp_path / "gen" / "x.mkv"
    with pytest.raises(KeyboardInterrupt), SideVideo(path, fps=25) as tap:
        tap.put(frame)
        stop()
    assert list(path.parent.iterdir()) == []
    with SideVideo(path, fps=25) as tap:
        tap.put(frame)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), SideVideo(path, fps=25) as tap:
        tap.put(frame + 1)
        tap.put(frame)
        stop()
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_attention_figure(generator, talking_clip):
    made, name = attention_figure(talking_clip, None, generator, frame=5, layer=None, reference=None)
    assert name == "3.2" and made.shape[0] == 2 * 192 and made.shape[1] % 192 == 0 and made.shape[1] >= 3 * 192
    top = made[:192].reshape(192, -1, 192, 3)
    green = (top == (0, 255, 0)).all(-1).any((0, 2))
    assert green.all()  # one framed patch per column
    assert (made[: 192 // 2] != made[192 : 192 + 96]).any()
    with pytest.raises(UsageError, match=r"--layer 9.1: this model has 3.1, 3.2, 4.1, 4.2"):
        attention_figure(talking_clip, None, generator, frame=5, layer="9.1", reference=None)
    with pytest.raises(UsageError, match="--frame 99"):
        attention_figure(talking_clip, None, generator, frame=99, layer=None, reference=None)


def test_attention_needs_vit(generator, talking_clip):
    from lipsync_eval.baselines.radio.dubbing.generator import RadioGenerator
    from lipsync_eval.baselines.radio.network.generator import Radio

    plain = Radio(generator.model.config.model_copy(update={"variant": "B"})).eval()
    with pytest.raises(InputError, match="no ViT block"):
        attention_figure(
            talking_clip,
            None,
            RadioGenerator(plain, generator.checkpoint, generator.device),
            frame=5,
            layer=None,
            reference=None,
        )
