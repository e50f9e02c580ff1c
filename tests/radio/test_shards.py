"""Shards and manifest: what comes back, and what a damaged file says."""

import json

import numpy as np
import pytest
from support.radio import segment, write_data

from lipsync_eval.baselines.kit.data.shards import (
    MANIFEST,
    ShardError,
    ShardReader,
    check_shards,
    load_manifest,
)
from lipsync_eval.errors import ParseError


def test_everything_comes_back(tmp_path):
    import cv2

    segments = [segment("a", frames=6, seed=1), segment("b", frames=9, seed=2, group="person", split="val")]
    write_data(tmp_path, segments)
    manifest = load_manifest(tmp_path)
    (shard,) = manifest.shards
    assert list(shard.entries) == [s.entry for s in segments]
    reader = ShardReader(tmp_path)
    for k, s in enumerate(segments):
        for i in (0, s.entry.frames - 1):
            expected = cv2.imdecode(np.frombuffer(s.png[i], np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
            np.testing.assert_array_equal(reader.crop(shard, k, i), expected)
        np.testing.assert_array_equal(reader.array(shard, f"{k}/mel"), s.arrays["mel"])
        np.testing.assert_array_equal(reader.array(shard, f"{k}/mel", 4, 24), s.arrays["mel"][4:24])
        np.testing.assert_array_equal(reader.array(shard, f"{k}/audio"), s.audio)
        np.testing.assert_array_equal(reader.array(shard, f"{k}/landmarks", 2, 3), s.landmarks[2:3])


@pytest.mark.parametrize(
    ("damage", "how", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-7]), "size", r"has \d+ bytes where the manifest says \d+; delete it"),
        (lambda p: p.write_bytes(b"x" + p.read_bytes()[1:]), "sha256", "has been changed"),
        (lambda p: p.unlink(), "size", "is missing from"),
    ],
)
def test_a_damaged_shard_is_named(tmp_path, damage, how, message):
    write_data(tmp_path, [segment("a")])
    manifest = load_manifest(tmp_path)
    check_shards(tmp_path, manifest, how)
    damage(tmp_path / manifest.shards[0].file)
    with pytest.raises(ShardError, match=message):
        check_shards(tmp_path, manifest, how)


def test_damage_that_the_size_check_misses_is_met_when_reading(tmp_path):
    write_data(tmp_path, [segment("a")])
    manifest = load_manifest(tmp_path)
    path = tmp_path / manifest.shards[0].file
    data = bytearray(path.read_bytes())
    data[0:8] = (2**62).to_bytes(8, "little")  # an absurd header length
    path.write_bytes(bytes(data))
    check_shards(tmp_path, manifest, "size")
    with pytest.raises(ShardError, match="cannot be read"):
        ShardReader(tmp_path).array(manifest.shards[0], "0/mel")


def test_a_damaged_picture_is_named(tmp_path):
    bad = segment("a")
    bad.png[3] = b"not a frame"
    write_data(tmp_path, [bad])
    shard = load_manifest(tmp_path).shards[0]
    with pytest.raises(ShardError, match=r"crop 3 of a#0 .* is damaged"):
        ShardReader(tmp_path).crop(shard, 0, 3)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path):
    write_data(tmp_path, [segment("a")])
    raw = json.loads((tmp_path / MANIFEST).read_text())
    raw["shards"][0]["file"] = "../outside.safetensors"
    (tmp_path / MANIFEST).write_text(json.dumps(raw))
    with pytest.raises(ParseError, match="not a plain file name"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ('{"schema": 9}', "schema 9, this version reads 1"),
        ('{"schema": 1}', "is malformed"),
    ],
)
def test_malformed_manifests(tmp_path, text, message):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ParseError, match=message):
        load_manifest(tmp_path)
    with pytest.raises(ParseError, match="radio prepare VIDEOS"):
        load_manifest(tmp_path / "none")
