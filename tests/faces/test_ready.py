"""dlib's models as ready-made files in the cache: the same points, whatever lies there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from lipsync_eval.cache import NO_CACHE, Cache, inspect, remove
from lipsync_eval.cli import run as cli
from lipsync_eval.errors import WeightsError
from lipsync_eval.faces import dlib68, ready
from lipsync_eval.faces.shape_predictor import Predictor, read_predictor
from lipsync_eval.types import Float

BOX = np.array([170.0, 70, 280, 180])


@pytest.fixture(scope="module")
def model() -> Predictor:
    return read_predictor(dlib68.model_path())


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As in a process that has loaded nothing; the large file goes with the test."""
    monkeypatch.setattr(dlib68, "_held", {})
    yield
    remove(inspect(tmp_path))


def found(model: Predictor) -> Float:
    image = dlib68.gray(astronaut())
    return model.points([image], [0, 0], np.array([[170, 70, 280, 180], [-40, 300, 90, 430]]))


def kept(folder: Path) -> Path:
    """The 68-point model's file."""
    return max(inspect(folder), key=lambda entry: entry.size).path


def refuse() -> Predictor:
    raise AssertionError("the model was read although the cache has it")


def test_the_second_reader_takes_it_from_the_cache(model: Predictor, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = ready.points(cache, lambda: model)
    second = ready.points(cache, refuse)
    before = kept(tmp_path).read_bytes()
    for one in (first, second):
        np.testing.assert_array_equal(found(one), found(model))
        np.testing.assert_array_equal(one.mean_shape, model.mean_shape)
        for a, b in zip(one.levels, model.levels, strict=True):
            for name in ("anchors", "offsets", "first", "second", "thresholds"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert kept(tmp_path).read_bytes() == before, "what is computed goes into the file"


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(30_000_001)
        byte = file.read(1)[0]
        file.seek(30_000_001)
        file.write(bytes([byte ^ 1]))


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1_000_000)


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def another(path: Path) -> None:
    path.write_bytes(np.zeros(1, ready.LAYOUT).tobytes())


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flip, cut, longer, another, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_file_that_is_damaged_or_foreign_is_made_anew(
    damage: Callable[[Path], None], model: Predictor, tmp_path: Path
) -> None:
    cache = Cache(tmp_path)
    ready.points(cache, lambda: model)
    path = kept(tmp_path)
    damage(path)
    asked = []
    again = ready.points(cache, lambda: asked.append(1) or model)  # type: ignore[func-returns-value]
    assert asked, "a file that is not whole was used"
    np.testing.assert_array_equal(found(again), found(model))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == ready.POINTS_SHA256
    ready.points(cache, refuse)


def test_what_cannot_be_kept_is_used_all_the_same(model: Predictor, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    ready.points(cache, lambda: model)
    folder(kept(tmp_path))
    np.testing.assert_array_equal(found(ready.points(cache, lambda: model)), found(model))
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    np.testing.assert_array_equal(found(ready.points(Cache(blocked), lambda: model)), found(model))
    assert ready.points(NO_CACHE, lambda: model) is model


def test_several_processes_at_once_for_the_first_time(tmp_path: Path) -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; import numpy as np\n"
        "from lipsync_eval.cache import Cache; from lipsync_eval.faces import dlib68\n"
        "cache = Cache(Path(sys.argv[1])); frame = np.load(sys.argv[2])\n"
        "face = dlib68.HogDetector(cache).detect(frame)[0]\n"
        "points = dlib68.ShapePredictor(cache=cache).points(frame, face.box)\n"
        "print(hashlib.sha256(points.tobytes()).hexdigest())"
    )
    np.save(tmp_path / "frame.npy", astronaut())
    line = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "frame.npy")]
    running = [subprocess.Popen(line, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {process.communicate()[0] for process in running} | {subprocess.check_output(line, text=True)}
    assert len(told) == 1 and len(told.pop()) == 65
    assert {hashlib.sha256(e.path.read_bytes()).hexdigest() for e in inspect(tmp_path)} == {
        ready.POINTS_SHA256,
        ready.HOG_SHA256,
    }


def test_the_detector_sees_the_same_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dlib

    image = dlib68.gray(astronaut())
    expected = dlib.get_frontal_face_detector().run(image, 0, -1.0)
    cache = Cache(tmp_path)
    ready.hog(cache)
    with monkeypatch.context() as patched:
        patched.setattr(dlib, "get_frontal_face_detector", refuse)
        seen = ready.hog(cache).run(image, 0, -1.0)
    assert [list(part) for part in seen] == [list(part) for part in expected] and len(expected[0]) > 3
    assert len(inspect(tmp_path)) == 1
    path = inspect(tmp_path)[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert list(ready.hog(cache).run(image, 0, -1.0)[1]) == list(expected[1])


def test_a_dlib_whose_bytes_are_others_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "HOG_SHA256", "0" * 64)
    assert ready.hog(Cache(tmp_path)).run(dlib68.gray(astronaut()), 0, 0.0)[0]
    assert inspect(tmp_path) == []


def test_a_model_file_that_is_not_dlibs_is_refused_without_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sha256 is looked at whenever it is read; what is in the cache was made of the right one."""
    other = tmp_path / dlib68.MODEL
    other.write_bytes(b"\x01\x01")
    monkeypatch.setattr(dlib68, "model_path", lambda: other)
    for cache in (NO_CACHE, Cache(tmp_path / "cache")):
        with pytest.raises(WeightsError, match="sha256 differs"):
            dlib68.ShapePredictor(cache=cache).points(astronaut(), BOX)
    assert inspect(tmp_path / "cache") == []


def test_the_cache_commands_know_the_files(
    model: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = Cache(tmp_path)
    ready.points(cache, lambda: model)
    ready.hog(cache)
    assert cli(["cache", "list", "--cache", str(tmp_path)]) == 0
    assert "files    2" in capsys.readouterr().out
    assert cli(["cache", "clear", "--cache", str(tmp_path)]) == 0
    assert "67.6 MB" in capsys.readouterr().out
    assert inspect(tmp_path) == []
