from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipsync_eval.errors import ParseError, SignatureMismatch
from lipsync_eval.results.signature import difference, format_signature, parse_signature, require_same, short_hash

WORD = st.text(st.characters(blacklist_characters="|:\n\r", blacklist_categories=["Cs"]), min_size=1, max_size=12)


@given(st.dictionaries(WORD, WORD, min_size=1, max_size=6))
def test_it_reads_back(parts: dict[str, str]) -> None:
    assert parse_signature(format_signature(parts)) == parts


def test_keys_are_sorted() -> None:
    assert format_signature({"v": "1", "agg": "clip-mean", "n": "2of3"}) == "agg:clip-mean|n:2of3|v:1"


@pytest.mark.parametrize("value", ["a|b", "a:b", "", "a\nb"])
def test_separators_never_stand_in_a_value(value: str) -> None:
    with pytest.raises(ParseError, match="may not"):
        format_signature({"proto": value})


@pytest.mark.parametrize("text", ["", "a", "a:", ":b", "a:b||c:d", "a:b|a:c"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="no signature"):
        parse_signature(text)


def test_n_and_v_are_not_compared() -> None:
    assert difference("a:1|n:1of2|v:1", "a:1|n:2of2|v:2") == {}
    assert difference("a:1|b:2", "a:2") == {"a": ("1", "2"), "b": ("2", None)}
    assert difference("a:1|b:2", "a:2", ignore=["a", "b"]) == {}


def test_no_clip_is_cropped_from_nobodys_landmarks() -> None:
    assert difference("a:1|crop_from:gt|n:2of2", "a:1|n:0of2") == {}
    assert difference("a:1|crop_from:gt|n:2of2", "a:1|n:1of2") == {"crop_from": ("gt", None)}
    assert difference("a:1|crop_from:gt|n:2of2", "a:1|crop_from:own|n:0of2") == {"crop_from": ("gt", "own")}
    assert short_hash("a:1|n:1of2") == short_hash("a:1|n:9of9|v:3") != short_hash("a:2")


def test_the_refusal_names_the_keys() -> None:
    with pytest.raises(SignatureMismatch, match=r"proto: radio.1 in A, raw.1 in B"):
        require_same("proto:radio.1", "proto:raw.1", names=("A", "B"))
    require_same("proto:radio.1", "proto:raw.1", names=("A", "B"), ignore=["proto"])
