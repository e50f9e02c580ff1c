"""The image of the crops of many clips."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lipsync_eval.engine import contact_sheet as module
from lipsync_eval.engine.contact_sheet import TILE, contact_sheet


def tile(level, size=(64, 64)):
    return np.full((*size, 3), level, np.uint8)


def opened(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image)


def test_generated_crops_lie_above_real_ones(tmp_path):
    path = tmp_path / "sheet.png"
    assert contact_sheet([("a", [tile(10), tile(20)], [tile(30), tile(40)])], path) == 1
    sheet = opened(path)
    left = sheet.shape[1] - 2 * (TILE + 2)
    middle = TILE // 2
    levels = [[int(sheet[middle + TILE * r, left + middle + (TILE + 2) * c, 0]) for c in (0, 1)] for r in (0, 1)]
    assert levels == [[10, 20], [30, 40]]
    assert (sheet[:TILE, :left] < 128).any()


@pytest.mark.parametrize(
    "name", ["", "a\nb\x00c\x1b[31m", "Zoë – 唇語 👄", "\u202ertl", "../../etc/passwd", "x" * 5000, "a|b:c,\"d'"]
)
def test_hostile_names(tmp_path, name):
    path = tmp_path / "sheet.png"
    contact_sheet([(name, [tile(10)], [tile(30)])], path)
    assert opened(path).shape[0] < 3 * TILE
    assert [found.name for found in tmp_path.iterdir()] == ["sheet.png"]


def test_clips_without_crops_are_there_by_name(tmp_path):
    with_name, without = tmp_path / "a.png", tmp_path / "b.png"
    assert contact_sheet([("failed clip", [], [])], with_name) == 1
    assert contact_sheet([("", [], [])], without) == 1
    assert (opened(with_name) < 128).sum() > (opened(without) < 128).sum() == 0


def test_no_clips(tmp_path):
    assert contact_sheet([], tmp_path / "sheet.png") == 0
    assert (opened(tmp_path / "sheet.png") == 255).all()


def test_crops_of_any_size_keep_their_shape(tmp_path):
    path = tmp_path / "sheet.png"
    contact_sheet([("wide", [tile(0, (10, 400))], [tile(0, (1, 1))])], path)
    body = opened(path)[:TILE, -(TILE + 2) :]
    assert (body[..., 0] < 128).sum() == pytest.approx(TILE * TILE * 10 / 400, rel=0.4)


def test_many_clips_stop_with_a_line_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TALLEST", 1000)
    taken = []

    def rows():
        for i in range(10_000):
            taken.append(i)
            yield f"clip {i}", [tile(i % 256)], [tile(0)]

    shown = contact_sheet(rows(), tmp_path / "sheet.png")
    assert 3 <= shown < 8
    assert len(taken) < 10
    assert opened(tmp_path / "sheet.png").shape[0] < 1000 + 3 * TILE


def test_a_sheet_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(OSError):
        contact_sheet([("a", [tile(1)], [])], tmp_path / "none" / "sheet.png")
    assert list(tmp_path.iterdir()) == []


def test_rows_say_which_side_they_are(tmp_path: Path) -> None:
    """Beside the middle of each row there is text: 'generated', then 'real'."""
    contact_sheet([("a", [tile(10)], [tile(30)])], tmp_path / "s.png")
    sheet = np.asarray(Image.open(tmp_path / "s.png"))
    for row in (0, 1):
        middle = row * TILE + TILE // 2
        assert (sheet[middle - 8 : middle + 8, 130:195] < 128).any(), ("generated", "real")[row]
