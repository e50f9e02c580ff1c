"""Folders of videos: layouts, persons, splits."""

import pytest

from lipsync_eval.baselines.kit.data.layouts import find
from lipsync_eval.errors import UsageError


def tree(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def facts(sources):
    return [(s.name, s.group, s.split) for s in sources]


def test_lrw(tmp_path):
    tree(
        tmp_path,
        "ABOUT/train/ABOUT_00001.mp4",
        "ABOUT/val/ABOUT_00001.mp4",
        "YEARS/test/YEARS_00002.mp4",
        "ABOUT/train/ABOUT_00001.txt",
    )
    layout, sources = find(tmp_path)
    assert layout == "lrw"
    assert [s.split for s in sources] == ["train", "val", "test"]
    assert [s.group for s in sources] == [s.name for s in sources]


def test_voxceleb2(tmp_path):
    tree(
        tmp_path,
        "dev/mp4/id00012/21Uxsk56VDQ/00001.mp4",
        "dev/mp4/id00012/2DLq_Kkc1r8/00016.mp4",
        "test/mp4/id00017/01dfn2spqyE/00001.mp4",
    )
    layout, sources = find(tmp_path)
    assert layout == "voxceleb2"
    assert [(s.group, s.split) for s in sources] == [("id00012", "train"), ("id00012", "train"), ("id00017", "test")]


def test_hdtf(tmp_path):
    tree(
        tmp_path,
        "RD_Radio1_000.mp4",
        "RD_Radio34_001.mp4",
        "WDA_BarackObama_000.mp4",
        "WDA_BarackObama_001.mp4",
        "WRA_AllenWest_000_3.mp4",
    )
    layout, sources = find(tmp_path)
    assert layout == "hdtf"
    assert [s.group for s in sources] == ["Radio", "Radio", "BarackObama", "BarackObama", "AllenWest"]


@pytest.mark.parametrize("above", ["", "mvlrs_v1/"])
def test_lrs2(tmp_path, above):
    """Splits come from the official lists; pretrain is training data; what no list names has none."""
    tree(
        tmp_path,
        *(f"{above}main/{clip}.mp4" for clip in ("5535415699068794046/00001", "5535415699068794046/00002")),
        *(f"{above}main/{clip}.mp4" for clip in ("6330311066473698535/00011", "6330311066473698535/00012")),
        f"{above}pretrain/5535496873950688380/00021.mp4",
        f"{above}pretrain/5535496873950688380/00021.txt",
    )
    for split, text in (("train", "5535415699068794046/00001\n"), ("val", "5535415699068794046/00002\n\n")):
        (tmp_path / above / f"{split}.txt").write_text(text)
    (tmp_path / above / "test.txt").write_text("6330311066473698535/00011 NF\n")
    layout, sources = find(tmp_path)
    assert layout == "lrs2"
    assert [(s.group, s.split) for s in sources] == [
        ("5535415699068794046", "train"),
        ("5535415699068794046", "val"),
        ("6330311066473698535", "test"),
        ("6330311066473698535", None),
        ("5535496873950688380", "train"),
    ]


def test_celebvhq(tmp_path):
    tree(tmp_path, "35666/v4U2mAwO6-4_0.mp4", "35666/v4U2mAwO6-4_1_2.mp4", "35666/_sPYDzoLA_c_6.mp4")
    layout, sources = find(tmp_path)
    assert layout == "celebvhq" and find(tmp_path / "35666")[0] == "celebvhq"
    assert [(s.group, s.split) for s in sources] == [
        ("_sPYDzoLA_c", None),
        ("v4U2mAwO6-4", None),
        ("v4U2mAwO6-4", None),
    ]


def test_celebvhqs_names_alone_are_a_plain_folder(tmp_path):
    tree(tmp_path, "interview_a_1.mp4", "interview_a_2.mp4")
    assert find(tmp_path)[0] == "flat"
    assert {s.group for s in find(tmp_path, "celebvhq")[1]} == {"interview_a"}
    tree(tmp_path, "celebvhq_info.json")
    assert find(tmp_path)[0] == "celebvhq"


def test_vfhq(tmp_path):
    tree(
        tmp_path,
        "train/Clip+_0EO7mnEgQs+P0+C1+F3113-3337.mp4",
        "train/Clip+_0EO7mnEgQs+P1+C0+F10-210.mp4",
        "test/Clip+HCAeoSgEmlE+P0+C0+F1-200.mp4",
    )
    layout, sources = find(tmp_path)
    assert layout == "vfhq"
    assert [(s.group, s.split) for s in sources] == [
        ("HCAeoSgEmlE", "test"),
        ("_0EO7mnEgQs", "train"),
        ("_0EO7mnEgQs", "train"),
    ]


@pytest.mark.parametrize("layout", ["lrs2", "celebvhq", "vfhq", "voxceleb2"])
def test_names_that_do_not_fit_are_refused(tmp_path, layout):
    tree(tmp_path, "a.mp4")
    with pytest.raises(UsageError, match=f"a.mp4 does not fit the layout '{layout}'; use --layout flat"):
        find(tmp_path, layout)


def test_flat_and_sound_beside(tmp_path):
    tree(tmp_path, "b.MP4", "a.avi", "a.wav", "deep/c.mkv", ".hidden.mp4", "notes.txt")
    layout, sources = find(tmp_path)
    assert layout == "flat"
    assert facts(sources) == [("a.avi", "a.avi", None), ("b.MP4", "b.MP4", None), ("deep/c.mkv", "deep/c.mkv", None)]
    assert [s.audio.name if s.audio else None for s in sources] == ["a.wav", None, None]


def test_one_video(tmp_path):
    tree(tmp_path, "a.mp4", "b.mp4")
    assert facts(find(tmp_path / "b.mp4")[1]) == [("b.mp4", "b.mp4", None)]


def test_linked_folders_are_not_followed(tmp_path):
    tree(tmp_path / "real", "a.mp4")
    (tmp_path / "videos").mkdir()
    tree(tmp_path / "videos", "b.mp4")
    (tmp_path / "videos" / "loop").symlink_to(tmp_path / "videos", target_is_directory=True)
    assert [s.name for s in find(tmp_path / "videos")[1]] == ["b.mp4"]


def test_what_cannot_be_used(tmp_path):
    with pytest.raises(UsageError, match="holds no video"):
        find(tmp_path)
    with pytest.raises(UsageError, match="holds no video"):
        find(tmp_path / "none")
    tree(tmp_path, "a.mp4")
    with pytest.raises(
        UsageError, match="unknown layout 'grid'; there are auto, flat, lrw, lrs2, voxceleb2, hdtf, celebvhq, vfhq"
    ):
        find(tmp_path, "grid")
    with pytest.raises(UsageError, match=r"a\.mp4 does not fit the layout 'voxceleb2'"):
        find(tmp_path, "voxceleb2")
