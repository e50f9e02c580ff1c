"""From videos to shards: what is kept, what is left out, going on after a stop."""

import json

import numpy as np
import pytest
from support.radio import talking_video

from lipsync_eval.baselines.kit.data import cutting
from lipsync_eval.baselines.kit.data import preparation as prepared
from lipsync_eval.baselines.kit.data.mel import mel_spectrogram
from lipsync_eval.baselines.kit.data.preparation import prepare, summary
from lipsync_eval.baselines.kit.data.shards import MANIFEST, ShardReader, load_manifest
from lipsync_eval.baselines.radio.data.alignment import ALIGNMENT
from lipsync_eval.baselines.radio.data.inputs import options
from lipsync_eval.errors import OutputError
from lipsync_eval.media import open_clip
from lipsync_eval.warp import render

OPTIONS = options(size=96)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two talking videos, one without audio, one without a face, one that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    talking_video(folder / "a.mkv", frames=30, seed=0)
    (folder / "deep").mkdir()
    talking_video(folder / "deep" / "b.mkv", frames=34, seed=1, sound_frames=30)
    talking_video(folder / "mute.mkv", frames=6, with_sound=False)
    from lipsync_eval.media import write_video

    write_video(
        folder / "wall.mkv", (np.full((96, 96, 3), 90, np.uint8) for _ in range(5)), audio=np.zeros(3200, np.float32)
    )
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture(scope="module")
def out(videos, tmp_path_factory):
    """The folder prepared from them."""
    folder = tmp_path_factory.mktemp("data")
    prepare(videos, folder, OPTIONS)
    return folder


def test_what_is_kept_and_what_failed(out):
    manifest = load_manifest(out)
    entries = {e.id: e for _, _, e in manifest.entries()}
    assert {i: e.frames for i, e in entries.items()} == {"a#0": 30, "deep/b#0": 30}
    assert any("4 frames after the end of the audio left out" in note for note in entries["deep/b#0"].notes)
    assert set(manifest.sources) == {"a.mkv", "deep/b.mkv"}
    failed = {f.source: f.error for f in manifest.failures}
    assert failed == {"broken.mp4": "MediaError", "mute.mkv": "MediaError", "wall.mkv": "FaceError"}
    found = summary(manifest)
    assert (found["videos"], found["frames"], len(found["failures"])) == (2, 60, 3)


def test_pictures_sound_and_landmarks_belong_together(videos, out):
    from lipsync_eval.faces import track_faces

    clip = open_clip(videos / "a.mkv")
    track = track_faces(clip)
    reader, manifest = ShardReader(out), load_manifest(out)
    shard, number = next((s, k) for s, k, e in manifest.entries() if e.id == "a#0")
    frames = list(clip.frames())
    mel = mel_spectrogram(clip.audio.samples)
    for i in (0, 17, 29):
        matrix = ALIGNMENT.matrices(track.points[i], 96)
        stored = reader.crop(shard, number, i).astype(float)
        assert np.abs(stored - render(frames[i], matrix, (96, 96)))[8:-8, 8:-8].mean() < 3  # two ways to sample
        points = reader.array(shard, f"{number}/landmarks", i, i + 1)[0]
        np.testing.assert_allclose(points, track.points[i] @ matrix[:, :2].T + matrix[:, 2], atol=1e-3)
        assert 0.4 * 96 < points[:, 1].mean() < 0.9 * 96
    window = reader.array(shard, f"{number}/mel", 4 * 17, 4 * 17 + 20)
    np.testing.assert_allclose(window, mel[4 * 17 - 8 : 4 * 17 + 12], atol=1e-6)
    assert (reader.array(shard, f"{number}/mel", 0, 8) == -1).all()
    audio = reader.array(shard, f"{number}/audio")
    np.testing.assert_array_equal(audio, clip.audio.int16()[: 30 * 640])


def test_a_second_call_does_only_what_is_missing(videos, out, monkeypatch):
    before = (out / MANIFEST).read_text()
    asked = []
    real = prepared.segments
    monkeypatch.setattr(
        prepared, "segments", lambda source, options: asked.append(source.name) or real(source, options)
    )
    prepare(videos, out, OPTIONS)
    assert sorted(asked) == ["broken.mp4", "mute.mkv", "wall.mkv"]  # only those that failed are tried again
    assert json.loads((out / MANIFEST).read_text()) == json.loads(before)


def test_a_damaged_shard_and_leftovers_are_made_again(videos, tmp_path):
    prepare(videos / "a.mkv", tmp_path, OPTIONS)
    (shard,) = load_manifest(tmp_path).shards
    good = (tmp_path / shard.file).read_bytes()
    (tmp_path / shard.file).write_bytes(good[:-5])
    (tmp_path / "shard-000009-0000.safetensors").write_bytes(b"left by a killed run")
    manifest = prepare(videos / "a.mkv", tmp_path, OPTIONS)
    (again,) = manifest.shards
    assert again.sha256 == shard.sha256 and (tmp_path / again.file).read_bytes() == good
    assert sorted(p.name for p in tmp_path.glob("shard-*")) == [again.file]


def test_a_killed_run_loses_only_its_group(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "GROUP_BYTES", 1)  # every video is a group
    real = prepared.segments

    def stops(source, options):
        if source.name == "deep/b.mkv":
            raise KeyboardInterrupt
        return real(source, options)

    monkeypatch.setattr(prepared, "segments", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare(videos, tmp_path, OPTIONS)
    assert set(load_manifest(tmp_path).sources) == {"a.mkv"}
    monkeypatch.setattr(prepared, "segments", real)
    assert set(prepare(videos, tmp_path, OPTIONS).sources) == {"a.mkv", "deep/b.mkv"}


def test_workers_give_the_same_shards(videos, tmp_path, out, monkeypatch):
    monkeypatch.setattr(prepared, "GROUP_BYTES", 1)
    manifest = prepare(videos, tmp_path, OPTIONS, workers=2)
    reader, whole = ShardReader(tmp_path), ShardReader(out)
    here = {e.id: (s, k) for s, k, e in manifest.entries()}
    for shard, number, entry in load_manifest(out).entries():
        other, k = here[entry.id]
        for name in ("pictures", "offsets", "mel", "landmarks", "audio"):
            np.testing.assert_array_equal(reader.array(other, f"{k}/{name}"), whole.array(shard, f"{number}/{name}"))


def test_long_videos_are_cut_into_entries_and_shards(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(cutting, "SEGMENT", 12)
    monkeypatch.setattr(prepared, "SHARD_BYTES", 1)
    manifest = prepare(videos / "a.mkv", tmp_path, OPTIONS)
    entries = [e for _, _, e in manifest.entries()]
    assert [(e.id, e.first, e.frames) for e in entries] == [("a#0", 0, 10), ("a#1", 10, 10), ("a#2", 20, 10)]
    assert len(manifest.shards) == 3


def test_runs_without_a_face_split_a_video():
    valid = np.array([1] * 8 + [0] * 3 + [1] * 4 + [0] + [1] * 9, bool)
    assert list(cutting._runs(valid, 5)) == [(0, 8), (16, 25)]
    assert list(cutting._runs(np.zeros(5, bool), 1)) == []


def test_folders_that_are_taken(videos, out, tmp_path):
    with pytest.raises(OutputError, match=r"was prepared with \{'size': 96\}, not \{'size': 48\}"):
        prepare(videos, out, options(size=48))
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match="holds other files"):
        prepare(videos, tmp_path, OPTIONS)
