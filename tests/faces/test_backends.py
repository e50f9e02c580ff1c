import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.face_clips import clip_of, head

from lipsync_eval.errors import MissingWeights, UsageError, WeightsError
from lipsync_eval.faces import backends, signature, track_faces


def test_names_are_unique_and_fit_into_a_signature():
    table = backends()
    assert len({(b.name, b.kind) for b in table}) == len(table)
    for b in table:
        assert not set(b.name) & set("|:,@")
        assert b.citation and b.licence and b.summary
        assert bool(b.package) == bool(b.install)
        if b.kind == "landmarks":
            assert any(d.kind == "detector" and d.name == b.detector for d in table)


def test_signature_names_what_moves_a_point(tmp_path):
    model = tmp_path / "m.onnx"
    model.write_bytes(b"weights")
    assert signature("dlib68", None) == signature("dlib68", "hog") == signature() == "dlib68.1"
    assert signature("dlib68", "yunet") == "dlib68.1,yunet.1"
    assert signature("dlib68", "yunet", lambda name: model) == "dlib68.1,yunet.1@9a129038"
    model.write_bytes(b"other weights")
    assert signature("dlib68", "yunet", lambda name: model) != "dlib68.1,yunet.1@9a129038"


def test_unknown_names_list_the_known():
    with pytest.raises(UsageError, match=r"'openface' is not known\. Give one of: dlib68, mediapipe, fan"):
        signature("openface", None)
    with pytest.raises(UsageError, match=r"--detector 'dlib68' is not known\. Give one of: hog, yunet"):
        track_faces(clip_of([head(64)]), detector="dlib68")
    with pytest.raises(UsageError, match="--face 'biggest' is not known; give one of: largest, single"):
        track_faces(clip_of([head(64)]), face="biggest")


def test_weights_that_are_not_there(tmp_path):
    def locate(name):
        raise MissingWeights(f"lipsync-eval weights pull {name}")

    with pytest.raises(MissingWeights, match="weights pull yunet"):
        track_faces(clip_of([head(64)]), detector="yunet", weights=locate)
    with pytest.raises(UsageError, match="yunet needs the weights 'yunet'; pass weights="):
        track_faces(clip_of([head(64)]), detector="yunet")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match=r"bad\.onnx is no YuNet model"):
        track_faces(clip_of([head(64)]), detector="yunet", weights=lambda name: bad)


@pytest.mark.parametrize(("name", "package"), [("mediapipe", "mediapipe"), ("fan", "face_alignment")])
def test_a_missing_package_is_named_with_the_pip_line(name, package):
    if find_spec(package):
        pytest.skip(f"{package} is installed here")
    with pytest.raises(UsageError, match=f"{name} needs the package {package}.*pip install --no-deps"):
        signature(name, None)
    with pytest.raises(UsageError, match="pip install --no-deps"):
        track_faces(clip_of([head(64)]), landmarks=name, weights=Path)


def test_rows_are_in_the_weights_registry():
    from lipsync_eval.weights.registry import get_row

    for b in backends():
        if b.weights:
            assert get_row(b.weights).name == b.weights


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; import lipsync_eval.faces as f; f.backends(); f.signature('dlib68', 'yunet');"
        "print(sorted({'dlib', 'cv2', 'torch', 'scipy', 'skimage', 'mediapipe'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
