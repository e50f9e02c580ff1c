"""Who is compared with whom."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from lipsync_eval.errors import PairingError
from lipsync_eval.media import find_pairs
from lipsync_eval.media.tree import find_clips


@pytest.fixture
def sides(tmp_path):
    """make(gen names, gt names) -> the two folders."""

    def make(gen, gt):
        for side, names in (("gen", gen), ("gt", gt)):
            (tmp_path / side).mkdir(exist_ok=True)
            for name in names:
                path = tmp_path / side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x")
        return tmp_path / "gen", tmp_path / "gt"

    return make


def ids(pairing):
    return [pair.id for pair in pairing.pairs]


def test_by_stem_whatever_the_container_sorted(sides):
    gen, gt = sides(["b.mp4", "a.MP4", "x/c.mkv", "x.y/d.e.webm"], ["a.avi", "b.mov", "x/c.mpg", "x.y/d.e.mp4"])
    found = find_pairs(gen, gt)
    assert ids(found) == ["a", "b", "x.y/d.e", "x/c"]
    assert found.pairs[0].gen == gen / "a.MP4" and found.pairs[0].gt == gt / "a.avi"
    assert found.unmatched == ""


def test_unmatched_are_kept_and_listed(sides):
    found = find_pairs(*sides(["a.mp4", "only gen.mp4"], ["a.mp4", "x/only gt.mp4", "z.mp4"]))
    assert ids(found) == ["a", "only gen", "x/only gt", "z"]
    assert [(p.gen is None, p.gt is None) for p in found.pairs] == [
        (False, False),
        (False, True),
        (True, False),
        (True, False),
    ]
    assert found.unmatched == (
        "1 generated video(s) without a real one: 'only gen'; 2 real video(s) without a generated one: 'x/only gt', 'z'"
    )


def test_all_doubles_of_both_sides_are_in_one_message(sides):
    with pytest.raises(PairingError) as caught:
        find_pairs(*sides(["a.mp4", "a.avi", "b.mp4", "c.mp4", "c/1.png"], ["a.mp4", "x/b.mp4", "x/b.mkv", "x/b.mov"]))
    text = str(caught.value)
    assert "GEN has 2 videos called 'a'" in text and "a.avi" in text and "a.mp4" in text
    assert "GEN has 2 videos called 'c'" in text
    assert "GT has 3 videos called 'x/b'" in text
    assert "--pairs" in text


def test_missing_empty_and_strange_folders(sides, tmp_path):
    gen, gt = sides(["a.txt", "b.wav", "notes"], ["a.mp4"])
    with pytest.raises(PairingError, match=r"GEN .* holds no video \(found: 1 .txt, 1 .wav, 1 no suffix\)"):
        find_pairs(gen, gt)
    with pytest.raises(PairingError, match=r"GEN .*nowhere' does not exist"):
        find_pairs(tmp_path / "nowhere", gt)
    with pytest.raises(PairingError, match=r"GT .*nowhere' does not exist"):
        find_pairs(gen, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PairingError, match=r"GT .*empty' holds no video \(found: nothing\).*numbered images$"):
        find_pairs(gt, tmp_path / "empty")
    with pytest.raises(PairingError, match=r"is a folder and GT .* a file; give two folders, or two files"):
        find_pairs(gt, gt / "a.mp4")


def test_no_name_in_common(sides):
    with pytest.raises(PairingError, match=r"no generated video has the name of a real one.*'a'.*'b'"):
        find_pairs(*sides(["a.mp4"], ["b.mp4"]))


def test_two_files_are_one_pair_called_by_gen(sides):
    gen, gt = sides(["one.mp4"], ["other.avi"])
    (pair,) = find_pairs(gen / "one.mp4", gt / "other.avi").pairs
    assert (pair.id, pair.gen, pair.gt) == ("one", gen / "one.mp4", gt / "other.avi")


def test_hidden_audio_and_other_files_are_no_clips(sides):
    gen, gt = sides(
        ["a.mp4", ".b.mp4", "._a.mp4", ".hidden/c.mp4", "a.wav", "d.wav", "thumbnail.png", "frame_1.png", "readme.txt"],
        ["a.mp4"],
    )
    assert ids(find_pairs(gen, gt)) == ["a"]


def test_audio_beside_a_video(sides):
    gen, gt = sides(
        ["a.mp4", "a.WAV", "b.mp4", "c.mp4", "x/d.mp4", "d.wav"], ["a.mp4", "b.mp4", "b.flac", "c.mp4", "x/d.mp4"]
    )
    pairs = {p.id: p for p in find_pairs(gen, gt).pairs}
    assert pairs["a"].audio == gen / "a.WAV" and pairs["a"].gt_audio is None
    assert pairs["b"].audio is None and pairs["b"].gt_audio == gt / "b.flac"
    assert pairs["c"].audio is None and pairs["x/d"].audio is None


def test_two_audio_for_one_video_are_all_listed(sides):
    with pytest.raises(PairingError) as caught:
        find_pairs(*sides(["a.mp4", "a.wav", "a.mp3", "b.mp4"], ["a.mp4", "b.mp4", "b.wav", "b.m4a"]))
    text = str(caught.value)
    assert all(name in text for name in ("gen/a.mp3", "gen/a.wav", "gt/b.m4a", "gt/b.wav"))


@pytest.mark.parametrize(
    "stem",
    [
        "with space",
        'quo"te',
        "it's",
        "new\nline",
        "tab\there",
        "Ünïcødé 顔",
        "a,b;c",
        "x" * 200,
        "-rf",
        "%03d",
        "a|b:c",
        "trailing.",
    ],
)
def test_names_of_any_kind(sides, stem):
    found = find_pairs(*sides([f"{stem}.mp4"], [f"{stem}.avi"]))
    assert ids(found) == [unicodedata.normalize("NFC", stem)]
    assert found.pairs[0].gen is not None and found.pairs[0].gt is not None


def test_composed_and_decomposed_names_are_the_same(sides):
    composed, decomposed = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    gen, gt = sides([f"{composed}.mp4", f"{composed}.wav"], [f"{decomposed}.mp4"])
    (pair,) = find_pairs(gen, gt).pairs
    assert pair.id == composed and pair.audio is not None
    (gen / f"{decomposed}.mp4").write_bytes(b"x")
    with pytest.raises(PairingError, match="2 videos called"):
        find_pairs(gen, gt)


@pytest.fixture
def raw(tmp_path):
    """raw(name) -> an empty file of that name of bytes, below tmp_path."""

    def make(name):
        path = tmp_path / os.fsdecode(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        return path

    return make


def test_names_that_are_no_utf8_are_refused_before_any_work(raw, tmp_path):
    """results.json could not hold them: the whole run would be lost at its end."""
    for name in (b"gen/caf\xe9.mp4", b"gt/caf\xe9.mp4", b"gen/b.mp4", b"gt/b.mp4", b"gt/c\xff.mp4"):
        raw(name)
    with pytest.raises(
        PairingError, match=r"3 path\(s\) hold bytes that are not UTF-8.*gen/caf\\udce9.mp4.*rename"
    ) as caught:
        find_pairs(tmp_path / "gen", tmp_path / "gt")
    str(caught.value).encode()


@pytest.mark.parametrize(
    "names",
    [
        (b"g\xe9n/a.mp4", b"gt/a.mp4"),
        (b"gen/x\xe9/a.mp4", b"gt/x\xe9/a.mp4"),
        (b"gen/\xe9/1.png", b"gt/\xe9/1.png"),
    ],
)
def test_folders_that_are_no_utf8_are_refused(raw, tmp_path, names):
    gen, gt = (raw(name) for name in names)
    root = gen.relative_to(tmp_path).parts[0]
    with pytest.raises(PairingError, match="not UTF-8"):
        find_pairs(tmp_path / root, tmp_path / "gt")
    with pytest.raises(PairingError, match="not UTF-8"):
        find_pairs(gen, gt)


def test_an_audio_file_that_is_no_utf8_is_refused(raw, tmp_path):
    for name in (b"gen/a/1.png", b"gen/a/speech\xe9.wav", b"gt/a.mp4"):
        raw(name)
    with pytest.raises(PairingError, match=r"1 path\(s\).*speech"):
        find_pairs(tmp_path / "gen", tmp_path / "gt")


def test_upper_and_lower_case_differ(sides):
    found = find_pairs(*sides(["A.mp4", "b.mp4"], ["a.mp4", "b.mp4"]))
    assert ids(found) == ["A", "a", "b"]


def test_links_are_followed_and_loops_are_not(sides):
    gen, gt = sides(["x/a.mp4", "b.mp4"], ["x/a.mp4", "b.mp4", "link/a.mp4"])
    (gen / "x" / "up").symlink_to(gen)
    (gen / "x" / "self").symlink_to(gen / "x")
    (gen / "link").symlink_to(gen / "x")
    (gen / "broken.mp4").symlink_to(gen / "nothing.mp4")
    (gen / "x" / "above").symlink_to("../..")
    assert ids(find_pairs(gen, gt)) == ["b", "broken", "link/a", "x/a"]


def test_a_folder_with_images_and_clips_below_is_no_clip(sides):
    gen, _ = sides(["1.png", "2.png", "c/1.png", "c/2.png", "d/e/0001.jpg", "f/cover.png"], [])
    assert sorted(find_clips(gen).clips) == ["c", "d/e"]


def test_endless_trees_are_refused(sides, monkeypatch):
    from lipsync_eval.media import tree

    monkeypatch.setattr(tree, "MAX_ENTRIES", 5)
    gen, gt = sides([f"{i}.mp4" for i in range(6)], ["0.mp4"])
    with pytest.raises(PairingError, match="holds more than 5 files"):
        find_pairs(gen, gt)


def test_relative_roots(sides, monkeypatch):
    gen, _ = sides(["one/0001.png", "one/0002.png"], ["two/0001.png"])
    monkeypatch.chdir(gen / "one")
    (pair,) = find_pairs(Path(), Path("../../gt/two")).pairs
    assert pair.id == "one"
