"""benchmarks/check_adapters.py on a made-up repository: it passes a right one and names what is wrong in others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lipsync_eval.baselines import all_adapters

_PARSER = """
import argparse
import nowhere_to_be_found
parser = argparse.ArgumentParser()
parser.add_argument("--video_path", required=True, type=str)
parser.add_argument("--wav_path", required=True, type=str)
parser.add_argument("--save_path", default="tmp", type=str)
parser.add_argument("--ckpt_path", required=True, type=str)
parser.add_argument("--avhubert_root", required=True, type=str)
parser.add_argument("--device", default=0, type=int)
args = parser.parse_args()
out = '{}.mp4'.format(args.save_path)
"""


@pytest.fixture
def checker() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "check_adapters.py"
    spec = importlib.util.spec_from_file_location("check_adapters", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["check_adapters"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "", ""),
        ('"--wav_path"', '"--audio_path"', "required: --audio_path"),
        ("default=0, type=int", "default=0, choices=[3], type=int", "invalid choice"),
        ('"--save_path", default="tmp", type=str', '"--save_path", type=int', "invalid int value"),
        ('parser.add_argument("--device", default=0, type=int)\n', "", "unrecognized arguments: --device"),
        ("args = ", 'parser.add_argument("folder")\nargs = ', "required: folder"),
        ("'{}.mp4'", "'{}.avi'", "in inf_demo.py"),
    ],
)
def test_what_it_finds(checker: ModuleType, tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "Sxjdwang+TalkLip").mkdir()
    (tmp_path / "Sxjdwang+TalkLip" / "inf_demo.py").write_text(_PARSER.replace(old, new) if old else _PARSER)
    _, bad = checker.check(all_adapters()["talklip"], tmp_path)
    assert (not bad) if not says else any(says in b for b in bad), bad


def test_patches_that_do_not_fit_are_named(checker: ModuleType, tmp_path: Path) -> None:
    from dataclasses import replace

    from lipsync_eval.baselines.base import Patch

    (tmp_path / "Sxjdwang+TalkLip").mkdir()
    (tmp_path / "Sxjdwang+TalkLip" / "inf_demo.py").write_text(_PARSER)
    adapter = all_adapters()["talklip"]
    fits, twice = (
        Patch("inf_demo.py", "import argparse", "import sys", "why"),
        Patch("inf_demo.py", "add_argument", "add", "why"),
    )
    good, bad = checker.check(replace(adapter, record=replace(adapter.record, patches=(fits,))), tmp_path)
    assert "its patch fits" in good
    assert not bad
    good, bad = checker.check(replace(adapter, record=replace(adapter.record, patches=(fits, twice))), tmp_path)
    assert bad == ["patch of inf_demo.py"]
    assert not any("fit" in g for g in good)
