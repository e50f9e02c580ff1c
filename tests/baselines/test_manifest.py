"""Manifests: what is refused, ids that are no file names, drawing by seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipsync_eval.baselines.manifest import draw_manifest, read_manifest
from lipsync_eval.errors import ParseError, UsageError


def _manifest(folder: Path, text: str | bytes) -> Path:
    for name in ("a.mp4", "b.wav"):
        (folder / name).touch()
    path = folder / "m.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_manifest_is_read(tmp_path: Path) -> None:
    entries = read_manifest(
        _manifest(tmp_path, "\ufeffid,video,audio,reference,real\nx,a.mp4,b.wav,,\ny, a.mp4 ,a.mp4,a.mp4,b.wav\n")
    )
    assert [(e.id, e.video.name, e.audio.name) for e in entries] == [("x", "a.mp4", "b.wav"), ("y", "a.mp4", "a.mp4")]
    assert entries[0].reference is None
    assert entries[0].real == entries[0].video
    assert entries[1].real.name == "b.wav"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,video\nx,a.mp4\n", "expected id,video,audio"),
        ("id,video,audio,speaker\nx,a.mp4,b.wav,s\n", "expected id,video,audio"),
        ("id,video,audio\n", "holds no clip"),
        ("", "columns none"),
        ("id,video,audio\nx,,b.wav\n", "line 2: video is empty"),
        ("id,video,audio\nx,a.mp4\n", "line 2: audio is empty"),
        ("id,video,audio\nx,a.mp4,b.wav\nx,a.mp4,b.wav\n", "line 3: the id 'x' is there twice"),
        ("id,video,audio\nx,c.mp4,b.wav\n", "video 'c.mp4' does not exist"),
        (b"id,video,audio\n\xff,a.mp4,b.wav\n", "cannot be read as CSV"),
        ("id,video,audio\n../x,a.mp4,b.wav\n", "becomes a file name"),
        ("id,video,audio\n/etc/x,a.mp4,b.wav\n", "becomes a file name"),
        ("id,video,audio\n.hidden,a.mp4,b.wav\n", "becomes a file name"),
        ("id,video,audio\n..,a.mp4,b.wav\n", "becomes a file name"),
        ("id,video,audio\na\\b,a.mp4,b.wav\n", "becomes a file name"),
        ('id,video,audio\n"a\nb",a.mp4,b.wav\n', "becomes a file name"),
        ("id,video,audio\n" + "x" * 201 + ",a.mp4,b.wav\n", "becomes a file name"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_manifest(_manifest(tmp_path, text))
    assert says in str(caught.value)


def test_ids_that_a_shell_or_format_would_trip_over(tmp_path: Path) -> None:
    """An id never reaches a command line or a working file's name: only the results' names have it."""
    from support.generators import toy_folder

    from lipsync_eval.cli import run

    name = "$(touch x);'\"{output} %s é.v1"
    paths = toy_folder(tmp_path, {"good": {}}, names=("a",))
    rows = '"' + name.replace('"', '""') + '",real/a.mkv,real/a.mkv'
    paths["data"].write_text(f"id,video,audio\n{rows}\n")
    assert (
        run(
            [
                "baselines",
                "run",
                "good",
                "--data",
                str(paths["data"]),
                "--out",
                str(tmp_path / "gen"),
                "--config",
                str(paths["config"]),
                "--quiet",
            ]
        )
        == 0
    )
    assert [p.name for p in (tmp_path / "gen" / "good").iterdir()] == [name + ".mp4"]
    assert not (tmp_path / "x").exists()


def test_drawing_is_by_seed(tmp_path: Path) -> None:
    for i in range(9):
        path = tmp_path / "vox" / f"id{i}" / "v" / "00001.mp4"
        path.parent.mkdir(parents=True)
        path.touch()
    texts = []
    for seed in (1, 1, 2):
        assert draw_manifest("voxceleb2", tmp_path / "vox", tmp_path / "m.csv", n=4, seed=seed) == 4
        texts.append((tmp_path / "m.csv").read_text())
    assert texts[0] == texts[1] != texts[2]
    assert len(read_manifest(tmp_path / "m.csv")) == 4
    with pytest.raises(UsageError, match="9 clips"):
        draw_manifest("voxceleb2", tmp_path / "vox", tmp_path / "m.csv", n=10)


def test_pairs_with_other_audio(tmp_path: Path) -> None:
    """The same clips as with their own audio, each audio once, none with its own video."""
    for i in range(9):
        (tmp_path / f"v{i}.mp4").touch()
    draw_manifest("hdtf", tmp_path, tmp_path / "self.csv", n=5)
    draw_manifest("hdtf", tmp_path, tmp_path / "other.csv", n=5, pair="other")
    own, other = read_manifest(tmp_path / "self.csv"), read_manifest(tmp_path / "other.csv")
    assert all(e.audio == e.video for e in own)
    assert [(e.id, e.video) for e in own] == [(e.id, e.video) for e in other]
    assert all(e.audio != e.video for e in other)
    assert sorted(e.audio for e in other) == sorted(e.video for e in own)
    for seed in range(20):
        draw_manifest("hdtf", tmp_path, tmp_path / "m.csv", n=2, seed=seed, pair="other")
        assert all(e.audio != e.video for e in read_manifest(tmp_path / "m.csv"))
    with pytest.raises(UsageError, match="draw at least 2"):
        draw_manifest("hdtf", tmp_path, tmp_path / "m.csv", n=1, pair="other")
    with pytest.raises(UsageError, match="expected one of self, other"):
        draw_manifest("hdtf", tmp_path, tmp_path / "m.csv", n=2, pair="cross")


def test_layouts(tmp_path: Path) -> None:
    for name in ("main/5/00001.mp4", "main/5/00002.mp4", "WORD/test/WORD_1.mp4", "WORD/train/WORD_2.mp4", "top.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"official test\.txt"):
        draw_manifest("lrs2", tmp_path, tmp_path / "m.csv", n=1)
    (tmp_path / "test.txt").write_text("5/00002\n../../etc/passwd\n5/00009\n")
    for layout, clip in (("lrs2", "5/00002.mp4"), ("lrw", "WORD_1.mp4"), ("hdtf", "top.mp4")):
        draw_manifest(layout, tmp_path, tmp_path / "m.csv", n=1)
        assert read_manifest(tmp_path / "m.csv")[0].video.as_posix().endswith(clip)
    for name in ("old.mpg", "._top.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert draw_manifest("hdtf", tmp_path, tmp_path / "m.csv", n=2) == 2
    assert [entry.id for entry in read_manifest(tmp_path / "m.csv")] == ["old", "top"]
    with pytest.raises(UsageError, match="expected one of"):
        draw_manifest("grid", tmp_path, tmp_path / "m.csv")
