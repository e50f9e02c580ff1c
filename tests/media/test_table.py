"""--pairs CSV."""

from __future__ import annotations

import pytest

from lipsync_eval.errors import PairingError
from lipsync_eval.media import find_pairs


@pytest.fixture
def roots(tmp_path):
    gen, gt = tmp_path / "gen", tmp_path / "gt"
    for path in (gen / "a.mp4", gen / "x" / "b.mp4", gen / "s.wav", gen / "b, c.mp4", gt / "1.avi", gt / "2.avi"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return gen, gt


def pairs(tmp_path, roots, text, encoding="utf-8"):
    table = tmp_path / "pairs.csv"
    table.write_bytes(text.encode(encoding))
    return find_pairs(*roots, pairs_csv=table).pairs


def test_columns_in_any_order_sorted_by_id(tmp_path, roots):
    gen, gt = roots
    found = pairs(tmp_path, roots, "id,audio,gt,gen\nz,s.wav,1.avi,a.mp4\n,,2.avi,x/b.mp4\n")
    assert [(p.id, p.gen, p.gt, p.audio) for p in found] == [
        ("x/b", gen / "x" / "b.mp4", gt / "2.avi", None),
        ("z", gen / "a.mp4", gt / "1.avi", gen / "s.wav"),
    ]


def test_quoting_bom_windows_lines_and_blank_lines(tmp_path, roots):
    gen, _ = roots
    found = pairs(tmp_path, roots, '\ufeffgen,gt\r\n"b, c.mp4",1.avi\r\n\r\na.mp4,2.avi\r\n')
    assert [p.id for p in found] == ["a", "b, c"]
    assert found[1].gen == gen / "b, c.mp4"


def test_empty_audio_means_the_file_beside_the_video(tmp_path, roots):
    gen, _ = roots
    (gen / "a.wav").write_bytes(b"x")
    found = pairs(tmp_path, roots, "gen,gt,audio\na.mp4,1.avi,\nx/b.mp4,2.avi,s.wav\n")
    assert [p.audio for p in found] == [gen / "a.wav", gen / "s.wav"]


def test_absolute_paths_are_taken_as_they_are(tmp_path, roots):
    other = tmp_path / "elsewhere.mp4"
    other.write_bytes(b"x")
    (found,) = pairs(tmp_path, roots, f"gen,gt\n{other},1.avi\n")
    assert (found.id, found.gen) == ("elsewhere", other)


def test_a_missing_video_is_left_to_the_run_unless_all_are_missing(tmp_path, roots):
    found = pairs(tmp_path, roots, "gen,gt\na.mp4,1.avi\ngone.mp4,2.avi\n")
    assert [p.id for p in found] == ["a", "gone"]
    with pytest.raises(PairingError, match=r"no pair exists.*paths are relative to GEN and GT"):
        pairs(tmp_path, roots, "gen,gt\ngone.mp4,1.avi\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns gen,gt"),
        ("gen\na.mp4\n", "line 1: expected the columns gen,gt.*got 'gen'"),
        ("gen,gt,adio\na.mp4,1.avi,s.wav\n", "line 1.*got 'gen,gt,adio'"),
        ("gen,gt,gt\na.mp4,1.avi,2.avi\n", "once each"),
        ("gen,gt\n", "no line below its header"),
        ("gen,gt\na.mp4\n", "line 2: expected 2 cells"),
        ("gen,gt\na.mp4,1.avi,more\n", "line 2: expected 2 cells"),
        ("gen,gt\na.mp4,1.avi\n,2.avi\n", "line 3: the cell gen is empty"),
        ("gen,gt\na.mp4,\n", "line 2: the cell gt is empty"),
        ("gen,gt\n../secret.mp4,1.avi\n", "line 2: '../secret.mp4' leaves the folder"),
        ("gen,gt\nx/../../secret.mp4,1.avi\n", "leaves the folder"),
        ("gen,gt,audio\na.mp4,1.avi,../s.wav\n", "leaves the folder"),
        ("gen,gt,id\na.mp4,1.avi,q\nx/b.mp4,2.avi,q\n", "line 3: the id 'q' is taken by line 2"),
        ("gen,gt,id\na.mp4,1.avi,../../up\n", "line 2: the id '../../up'"),
        ("gen,gt,id\na.mp4,1.avi,/etc/x\n", "line 2: the id '/etc/x'"),
        ('gen,gt\n"a.mp4,1.avi\n', "cannot be read"),
        ("gen,gt\na\0.mp4,1.avi\n", "is not a path|cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, roots, text, message):
    with pytest.raises(PairingError, match=message):
        pairs(tmp_path, roots, text)


def test_all_wrong_lines_are_listed(tmp_path, roots):
    with pytest.raises(PairingError) as caught:
        pairs(tmp_path, roots, "gen,gt\n,1.avi\na.mp4,\n../x.mp4,1.avi\n")
    assert all(f"line {n}:" in str(caught.value) for n in (2, 3, 4))


def test_other_encodings_missing_tables_and_file_roots(tmp_path, roots):
    gen, gt = roots
    with pytest.raises(PairingError, match="must be a CSV file in UTF-8"):
        pairs(tmp_path, roots, "gen,gt\nä.mp4,1.avi\n", encoding="latin-1")
    with pytest.raises(PairingError, match="cannot be read"):
        find_pairs(gen, gt, pairs_csv=tmp_path / "none.csv")
    table = tmp_path / "pairs.csv"
    table.write_text("gen,gt\na.mp4,1.avi\n")
    with pytest.raises(PairingError, match="is a file; with --pairs give the folders"):
        find_pairs(gen / "a.mp4", gt, pairs_csv=table)


@pytest.mark.parametrize("speaker", [" ann", "ann ", "\tann"])
def test_a_speaker_with_spaces_around_it_is_refused(tmp_path, roots, speaker):
    with pytest.raises(PairingError, match=r"line 3.*spaces around it"):
        pairs(tmp_path, roots, f"gen,gt,speaker\na.mp4,1.avi,ann\nx/b.mp4,2.avi,{speaker}\n")
