from __future__ import annotations

import pytest

from lipsync_eval.align import parse_align
from lipsync_eval.engine.align import common_length
from lipsync_eval.errors import AlignmentError, UsageError


def test_policies() -> None:
    assert common_length(100, 100, parse_align("strict")) == (100, None)
    n, note = common_length(103, 100, parse_align("trim:5"))
    assert n == 100
    assert note is not None and "generated video was 3 frames longer" in note and "trim:5" in note
    n, note = common_length(10, 500, parse_align("shortest"))
    assert n == 10
    assert note is not None and "real video was 490 frames longer" in note


@pytest.mark.parametrize(("policy", "gen", "gt"), [("strict", 100, 101), ("trim:5", 100, 106), ("trim:0", 2, 1)])
def test_too_far_apart(policy: str, gen: int, gt: int) -> None:
    with pytest.raises(AlignmentError, match=f"{abs(gen - gt)} apart"):
        common_length(gen, gt, parse_align(policy))


@pytest.mark.parametrize("text", ["", "trim", "trim:", "trim:-1", "trim:x", "trim:1.5", "pad", "STRICT", "trim:²"])
def test_unknown_policies(text: str) -> None:
    with pytest.raises(UsageError, match="trim:N"):
        parse_align(text)


def test_signature_value_has_no_separator() -> None:
    assert parse_align("trim:05").signature == "trim5"
    assert parse_align("shortest").signature == "shortest"
