import numpy as np
import pytest

from lipsync_eval.errors import InputError
from lipsync_eval.faces import points as p

MEAN = np.zeros((68, 2))
MEAN[:, 0] = np.arange(68)
MEAN[:, 1] = np.arange(68) % 7


def test_groups_cover_all_68_points_once():
    parts = (p.JAW, p.BROWS, p.NOSE, p.EYES, p.MOUTH)
    assert [i for part in parts for i in range(68)[part]] == list(range(68))
    assert list(range(68)[p.MOUTH]) == list(range(48, 68))
    assert [i for part in (p.OUTER_LIP, p.INNER_LIP) for i in range(68)[part]] == list(range(48, 68))
    assert [i for part in (p.NOSE_BRIDGE, p.NOSE_BASE) for i in range(68)[part]] == list(range(27, 36))
    assert [i for part in (p.RIGHT_BROW, p.LEFT_BROW) for i in range(68)[part]] == list(range(17, 27))
    assert [i for part in (p.RIGHT_EYE, p.LEFT_EYE) for i in range(68)[part]] == list(range(36, 48))


def test_interocular_is_between_the_outer_corners():
    points = np.zeros((3, 68, 2))
    points[:, 36], points[:, 45] = (10, 20), (13, 24)
    points[2, 45] = np.nan
    got = p.interocular(points)
    assert got[:2] == pytest.approx([5, 5])
    assert np.isnan(got[2])


def test_mouth_opening_is_between_the_inner_lips():
    points = np.zeros((68, 2))
    points[62], points[66] = (5, 5), (5, 17)
    assert p.mouth_opening(points) == pytest.approx(12)


def test_face_box_is_tight():
    assert p.face_box(MEAN).tolist() == [0, 0, 67, 6]
    assert p.face_box(MEAN[None] + 2).tolist() == [[2, 2, 69, 8]]


def test_face_square_moves_and_grows_with_the_face_but_not_with_the_jaw():
    square = p.face_square(MEAN)
    assert square[2] - square[0] == pytest.approx(square[3] - square[1])
    assert p.face_square(3 * MEAN + [5, -7]) == pytest.approx(3 * square + [5, -7, 5, -7])
    chin = MEAN.copy()
    chin[p.JAW] += 50
    assert p.face_square(chin) == pytest.approx(square)


def test_other_shapes_are_refused():
    with pytest.raises(InputError, match=r"68 landmarks.*\(5, 2\)"):
        p.interocular(np.zeros((5, 2)))
