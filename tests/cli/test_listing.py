"""`lipsync-eval list` and `show`."""

from __future__ import annotations

import re

import pytest

from lipsync_eval.cli import run as cli


@pytest.mark.parametrize("kind", ["metrics", "protocols", "weights", "baselines", "published"])
def test_what_is_listed_can_be_shown_in_plain_words(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = {re.split(r"[ /]", line)[0] for line in lines} - {"name"}
    assert len(names) >= 4
    for name in names:
        assert cli(["show", name]) == 0, name
        told = capsys.readouterr().out
        assert re.search(r"\b(Weights|Patch)\(|\{'", told) is None, f"{name}: {told}"


def test_records_in_a_record_are_told_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["show", "ip_lap"]) == 0
    told = capsys.readouterr().out
    assert "- file: test/checkpoints/renderer_checkpoint.pth; where: " in told
    assert "file: models/audio.py; old: import lws; new: lws = None; why: " in " ".join(told.split())


def test_a_wrong_name_ends_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["show", "psnrr"]) == 2
    assert "Did you mean psnr" in capsys.readouterr().err
    assert cli(["show", "radioo"]) == 2
    assert "Did you mean radio" in capsys.readouterr().err
