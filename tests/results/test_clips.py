"""Clips are compared like with like: two runs that mix own and real crops leave out what they cropped otherwise."""

from __future__ import annotations

import pytest
from support.runs import run

from lipsync_eval.errors import SignatureMismatch
from lipsync_eval.reports.gate import compare
from lipsync_eval.reports.table import build
from lipsync_eval.reports.unlike import unlike
from lipsync_eval.results.clips import common_clips, cropped_otherwise
from lipsync_eval.results.schema import Result


def cropped(name: str, kinds: str, value: float = 30.0) -> Result:
    """A run of PSNR whose clips were cropped from the real video's landmarks (g) or their own (o)."""
    base = run(name, {"psnr": [value + i for i in range(len(kinds))]})
    words = {"g": "gt", "o": "own"}
    whose = "+".join(sorted({words[k] for k in kinds}))
    score = base["psnr"].model_copy(update={"signature": f"crop_from:{whose}|" + base["psnr"].signature})
    clips = [
        c.model_copy(update={"details": {**c.details, "crop_from": words[k]}})
        for c, k in zip(base.clips, kinds, strict=True)
    ]
    return base.model_copy(update={"scores": [score], "clips": clips})


def test_mixed_runs_are_compared_over_clips_that_were_cropped_alike() -> None:
    a, b = cropped("a", "ggoo"), cropped("b", "gogo", 31.0)
    assert cropped_otherwise([a, b], "psnr") == {"clip001", "clip002"}
    assert common_clips([a, b], "psnr") == ["clip000", "clip003"]
    assert cropped_otherwise([a, a], "psnr") == frozenset()
    gate = compare(b, a)
    assert gate.rows[0].n == 2
    assert sum("cropped from other landmarks" in note for note in gate.notes) == 2
    assert any("clip001 (cropped otherwise)" in note for note in build([a, b]).footnotes)


def test_a_mixed_run_and_a_plain_one_are_refused_unless_allowed() -> None:
    mixed, plain = cropped("a", "ggoo"), cropped("b", "gggg")
    with pytest.raises(SignatureMismatch, match=r"crop_from: gt\+own in the baseline, gt in"):
        compare(plain, mixed)
    assert compare(plain, mixed, ignore=["crop_from"]).rows[0].n == 4


def test_a_run_without_any_clip_fails_the_gate_and_is_not_refused() -> None:
    before = cropped("before", "gg")
    now = run("now", {"psnr": [None, None]})
    gate = compare(now, before)
    assert not gate.passed and gate.newly_failing == ("clip000: psnr", "clip001: psnr")


def test_an_old_run_is_not_equated_with_a_new_one() -> None:
    old, new = run("old", {"lmd": [1.0, 2.0]}), run("new", {"lmd": [1.0, 2.0]})
    score = new["lmd"].model_copy(update={"signature": "media:2|" + new["lmd"].signature.replace("proto:radio.1|", "")})
    new = new.model_copy(update={"scores": [score]})
    with pytest.raises(
        SignatureMismatch, match=r"media: \(absent\) in the baseline, 2 .*proto: radio\.1 in the baseline, \(absent\)"
    ):
        compare(new, old)
    assert compare(new, old, ignore=["media", "proto"]).passed


def nothing_scored(name: str) -> Result:
    """Two clips without PSNR: nothing was cropped, so the signature does not say from whose landmarks."""
    found = run(name, {"psnr": [None, None]})
    assert "n:0of2" in found["psnr"].signature and "crop_from" not in found["psnr"].signature
    return found


def test_a_run_without_any_value_stands_beside_the_others() -> None:
    lost, real, own = nothing_scored("lost"), cropped("real", "gg"), cropped("own", "oo")
    for runs in ([lost, real], [real, lost]):
        table = build(runs)
        assert not any("/" in note for note in table.footnotes if note.startswith("Signatures"))
        assert any("lost: 0 of 2 clips" in note for note in table.footnotes)
        assert unlike(runs) == []
    gate = compare(lost, real)
    assert not gate.passed and set(gate.newly_failing) == {"clip000: psnr", "clip001: psnr"}
    for runs in ([lost, real, own], [real, lost, own], [real, own, lost]):
        with pytest.raises(SignatureMismatch, match="crop_from"):
            build(runs)
        assert any("crop_from: gt | own" in text for text in unlike(runs))


def test_columns_follow_the_clips_of_a_copy() -> None:
    first = run("a", {"psnr": [1.0, None, 3.0]})
    assert dict(first.column("psnr")) == {c.id: v for c in first.clips if (v := c.values["psnr"]) is not None}
    assert first.column("nothing") == {} and first.column("psnr", real=True) == {}
    fewer = first.model_copy(update={"clips": first.clips[:1]})
    assert list(fewer.column("psnr")) == [first.clips[0].id] and len(first.column("psnr")) == 2
