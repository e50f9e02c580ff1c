"""Alignment files of every form give the same words; broken ones are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipsync_eval.engine.figure.words import Word, read_words, word_at
from lipsync_eval.errors import ParseError

WORDS = [Word(0.0, 0.5, ""), Word(0.5, 0.9, 'say "hi"'), Word(0.9, 2.0, "$x^2$")]
LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.0
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 2.0
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 2.0
            text = "AH0"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 2.0
        points: size = 1
        points [1]:
            number = 0.3
            mark = "x"
    item [3]:
        class = "IntervalTier"
        name = "Words"
        xmin = 0
        xmax = 2.0
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 0.9
            text = "say ""hi"""
        intervals [3]:
            xmin = 0.9
            xmax = 2.0
            text = "$x^2$"
'''
SHORT = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2.0\n<exists>\n1\n"IntervalTier"\n"words"\n0\n2.0\n3\n'
)
SHORT += '0\n0.5\n""\n0.5\n0.9\n"say ""hi"""\n0.9\n2.0\n"$x^2$"\n'
ROWS = [{"word": w.text, "start": w.start, "end": w.end} for w in WORDS]
FORMS = {
    "long.TextGrid": LONG,
    "short.textgrid": SHORT,
    "list.json": json.dumps(ROWS),
    "gentle.json": json.dumps({"words": [*ROWS, {"word": "lost", "case": "not-found-in-audio"}]}),
    "whisperx.json": json.dumps({"segments": [{"words": ROWS[:2]}, {"words": ROWS[2:]}]}),
    "mfa.json": json.dumps(
        {
            "tiers": {
                "phones": {"entries": [[0, 2, "p"]]},
                "words": {"entries": [[w.start, w.end, w.text] for w in WORDS]},
            }
        }
    ),
    "a.csv": 'start,end,word\n0,0.5,\n0.5,0.9,"say ""hi"""\n0.9,2.0,$x^2$\n',
    "mfa.csv": 'Begin,End,Label,Type\n0,0.5,,words\n0.5,0.9,"say ""hi""",words\n0.9,2.0,$x^2$,words\n0,2,p,phones\n',
    "a.tsv": 'Start\tEnd\tText\n0\t0.5\t\n0.5\t0.9\t"say ""hi"""\n0.9\t2.0\t$x^2$\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_words(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name], "utf-8")
    assert read_words(tmp_path / name) == WORDS


def test_praats_own_encoding_and_a_named_tier(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(LONG.encode("utf-16"))
    assert read_words(path) == WORDS
    assert read_words(path, "phones") == [Word(0.0, 2.0, "AH0")]
    with pytest.raises(ParseError, match=r"no tier 'x'; there are: phones, Words"):
        read_words(path, "x")


def test_grid_and_lrs(tmp_path: Path) -> None:
    (tmp_path / "a.align").write_text("0 23750 sil\n23750 29500 bin\n")
    assert read_words(tmp_path / "a.align") == [Word(0, 0.95, "sil"), Word(0.95, 1.18, "bin")]
    (tmp_path / "a.txt").write_text("Text:  GO\nConf:  4\n\nWORD START END ASDSCORE\nGO 0.1 0.3 4.2\n")
    assert read_words(tmp_path / "a.txt") == [Word(0.1, 0.3, "GO")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.srt", "1"), ("a.json", "{"), ("a.json", "[" * 100_000), ("a.json", "[]"), ("a.json", "3"),
        ("a.json", '[{"word": "x", "start": 2, "end": 1}]'), ("a.json", '[{"word": "x", "start": NaN, "end": 1}]'),
        ("a.json", '[{"word": 3, "start": 0, "end": 1}]'), ("a.csv", "a,b\n1,2\n"), ("a.csv", ""),
        ("a.csv", "start,end,word\nx,1,y\n"), ("a.TextGrid", SHORT[:-9]), ("a.TextGrid", "hello"),
        ("a.align", "0 1\n"), ("a.align", "a b c\n"), ("a.txt", "no table"),
    ],
)  # fmt: skip
def test_broken_files_are_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ParseError):
        read_words(tmp_path / name)


def test_what_is_spoken_at_a_moment() -> None:
    assert [word_at(WORDS, t) for t in (0.2, 0.5, 0.9, 2.0)] == ["", 'say "hi"', "$x^2$", ""]
    assert word_at([Word(0, 9, "long"), Word(1, 2, "short")], 1.5) == "short"
