"""Options are declared once: what is checked, printed, written down and signed comes from there."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_eval import protocols
from lipsync_eval.cli import run
from lipsync_eval.cli.options import HEADINGS, Headed, declared
from lipsync_eval.cli.score import score
from lipsync_eval.errors import UsageError
from lipsync_eval.metrics.base import Family
from lipsync_eval.metrics.checks.rules import option_faults
from lipsync_eval.metrics.psnr import PSNR
from lipsync_eval.metrics.registry import declared_options, families
from lipsync_eval.options import Kind, Option, checked, clean, signature_part, united
from lipsync_eval.protocols.layout import CROP_FROM_OPTION, RADIUS_OPTION
from lipsync_eval.settings import RUN_OPTIONS, Settings

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def option(kind: Kind = "text", **more: Any) -> Option:
    return replace(Option(name="blur", heading="Toy", help="How much.", kind=kind, moves=True), **more)


# what is given


@pytest.mark.parametrize(
    ("kind", "texts", "kept"),
    [
        ("int", ["5", "05", " 5", 5], "5"), ("float", ["1.50", "1.5", 1.5], "1.5"), ("float", ["2", 2], "2.0"),
        ("flag", ["1", "true", "Yes", True], "1"), ("flag", ["0", "false", "no", False], "0"),
        ("path", ["a.npz", Path("a.npz")], "a.npz"), ("text", ["mobilefacenet"], "mobilefacenet"),
    ],
)  # fmt: skip
def test_a_value_has_one_spelling(kind: Kind, texts: list[Any], kept: str) -> None:
    assert {clean(option(kind), text) for text in texts} == {kept}
    assert clean(option(kind), kept) == kept


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("int", "five", "expected a whole number"), ("int", "1.5", "expected a whole number"), ("float", "nan", "expected a number"),
        ("flag", "maybe", "expected 1 or 0"), ("path", "", "expected a path"), ("text", " ", "expected a text"),
        ("text", "a|b", "may not hold"), ("text", "a:b", "may not hold"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(kind: Kind, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        clean(option(kind), text)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_nothing_but_the_choices_passes(text: str) -> None:
    chosen = option("choice", choices=("align", "center88"))
    if text.strip() in chosen.choices:
        assert clean(chosen, text) == text.strip()
    else:
        with pytest.raises(UsageError, match="expected one of align, center88"):
            clean(chosen, text)


def test_an_unknown_name_lists_near_ones_and_all() -> None:
    declared = [option(), option(name="gain")]
    with pytest.raises(UsageError, match=r"toy has no option 'blurr'\. Did you mean blur\? There are: blur, gain"):
        checked(declared, {"blurr": "1"}, "toy")
    with pytest.raises(UsageError, match="blur_size is given twice"):
        checked([option(name="blur_size")], {"blur_size": "1", "blur-size": "2"}, "toy")
    assert checked(declared, {"gain": "1"}, "toy") == {"gain": "1"}


# signatures


def test_what_moves_a_number_is_in_the_signature_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"a")
    (tmp_path / "b.bin").write_bytes(b"a")
    assert signature_part([option()], {}) == {}
    assert (
        signature_part([option(default="2")], {})
        == signature_part([option(default="2")], {"blur": "2"})
        == {"blur": "2"}
    )
    assert signature_part([option(key="b")], {"blur": "2"}) == {"b": "2"}
    assert signature_part([option(key="")], {"blur": "2"}) == signature_part([option(moves=False)], {"blur": "2"}) == {}
    by_content = [signature_part([option("path")], {"blur": str(tmp_path / name)}) for name in ("a.bin", "b.bin")]
    assert by_content[0] == by_content[1] and len(by_content[0]["blur"]) == 8
    with pytest.raises(UsageError, match="there is no such file"):
        signature_part([option("path")], {"blur": str(tmp_path / "none")})


class Blurred(PSNR):
    """A third party's family with an option."""

    options = (option("float", default="1.5"),)


def test_a_familys_options_reach_it_and_the_signature() -> None:
    assert Blurred(Settings(), frozenset({"psnr"})).option("blur") == "1.5"
    assert Blurred(Settings(), frozenset({"psnr"})).keys("psnr") == {"blur": "1.5"}


# declarations


def test_two_owners_may_share_an_option_but_not_a_name() -> None:
    assert list(united([("A", [option()]), ("B", [option()])])) == ["blur"]
    with pytest.raises(UsageError, match="A and B declare the option 'blur' in two ways"):
        united([("A", [option()]), ("B", [option(help="Otherwise.")])])


@pytest.mark.parametrize("family", families())
def test_declarations_are_sound(family: type[Family]) -> None:
    assert list(option_faults(family.options)) == []


def test_unsound_declarations_are_found() -> None:
    bad = [
        option(name="Blur"), option(name="protocol.x"), option(help=""), option(help="a\nb"), option("choice"),
        option(choices=("a",)), option("int", default="x"),
    ]  # fmt: skip
    assert all(len(list(option_faults([one]))) == 1 for one in bad)
    assert list(option_faults([option(), option()])) == ["two options have one name"]


# settings


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"audio": "gne"}, r"audio='gne': expected one of gen, gt\. Did you mean gen"),
        ({"face": "bigest"}, r"face='bigest': expected one of largest, single, speaking\. Did you mean largest"),
        ({"align": "trim"}, "expected trim:N"),
        ({"align": 5}, "align=5: expected a text"),
        ({"protocol": "radoi"}, r"no protocol 'radoi'\. Did you mean radio"),
        ({"protocol": None}, "protocol=None: expected a text"),
        ({"protocol_options": {"crop": "gt"}}, r"no option 'crop'\. Did you mean crop_from"),
        ({"protocol_options": {"crop_from": "both"}}, "expected one of auto, gt, own"),
        ({"protocol_options": "crop_from=gt"}, "expected a mapping"),
        ({"landmarks": "dlib"}, r"'dlib' is not known\. Did you mean dlib68"),
        ({"detector": "hgo"}, r"'hgo' is not known\. Did you mean hog"),
        ({"device": "gpu"}, "'gpu' is no device"),
        ({"device": "cuda:x"}, "'cuda:x' is no device"),
        ({"seed": "1"}, "seed='1': expected a whole number"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": True}, "seed=True"),
        ({"offline": 1}, "offline=1: expected True or False"),
        ({"weights": {"syncnet": 3}}, r"weights\['syncnet'\]=3: expected a path"),
        ({"weights": "a.pth"}, "expected a mapping"),
        ({"reference": 3}, "reference=3: expected a path"),
        ({"options": {"roii": "align"}}, r"no option 'roii'\. Did you mean roi\? There are: .*sync_detector"),
        ({"options": {"roi": "left"}}, "roi='left': expected one of align, center88, resize"),
        ({"options": {"lpips_net": "resnet"}}, "lpips_net='resnet': expected one of alex, vgg, squeeze"),
        ({"options": {"compat": "png"}}, "compat='png': expected one of jpeg"),
        ({"options": {3: "x"}}, "expected a mapping"),
    ],
)
def test_settings_check_themselves(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Settings(**wrong)
    with pytest.raises(UsageError, match=words):
        replace(Settings(), **wrong)


def test_settings_keep_what_is_right() -> None:
    made = Settings(
        protocol_options={"crop-from": "gt"}, options={"roi": "resize", "fid_stats": Path("a.npz")},
        reference="face.png", weights={"syncnet": "a.pth"}, device="cuda:1", detector="yunet",
    )  # fmt: skip
    assert made.protocol_options == {"crop_from": "gt"}
    assert made.options == {"roi": "resize", "fid_stats": "a.npz"}
    assert (made.reference, made.weights) == (Path("face.png"), {"syncnet": Path("a.pth")})
    assert pickle.loads(pickle.dumps(made)) == made


def test_options_of_other_metrics_may_be_set() -> None:
    """Several runs can share their settings: an option of a metric that a run does not compute does nothing."""
    assert Settings(options={"roi": "resize"}).options == {"roi": "resize"}
    assert PSNR(Settings(options={"roi": "resize"}), frozenset({"psnr"})).keys("psnr") == {}


# the command line and the page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--option", "roii=x"], "no option 'roii'. Did you mean roi? There are: "),
        (["--option", "roi=x"], "roi='x': expected one of align, center88, resize"),
        (["--option", "protocol.crop_frm=gt"], "no option 'crop_frm'. Did you mean crop_from?"),
        (["--protocol", "raw", "--crop-from", "gt"], "no option 'crop_from'. It has none"),
        (["--roi", "align", "--option", "roi=resize"], "roi is given twice"),
        (["--radius", "per-frame", "--option", "protocol.radius=clip-median"], "protocol.radius is given twice"),
        (["--landmarks", "dlib86"], "Did you mean dlib68?"),
        (["--seed", "-1"], "expected a whole number"),
    ],
)
def test_the_command_line_refuses(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["score", str(tmp_path), str(tmp_path), "--metrics", "psnr", "--out", str(tmp_path / "out"), *arguments])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert words in captured.err
    assert not (tmp_path / "out").exists()


def test_help_lists_ten_options_first_and_every_option_once() -> None:
    text = CliRunner().invoke(score, ["--help"], terminal_width=200, max_content_width=200).output
    sections = text.split("Options that most runs need:\n")[1].split("\n\n")
    assert sections[0].count("\n  --") + 1 == 10
    for one in (*RUN_OPTIONS, CROP_FROM_OPTION, RADIUS_OPTION, *declared_options().values()):
        flag = f"--{one.name.replace('_', '-')}" if one.flag else f"--option {one.name}="
        (section,) = [s for s in sections if f"  {flag} " in s or f"  {flag}..." in s]
        assert section.startswith(f"{one.heading}:\n") or one.heading == "First", flag
        assert one.help in text


def test_a_switch_that_is_not_given_leaves_the_default() -> None:
    @click.command()
    @declared(option("flag", default="1", flag=True))
    def command(blur: bool | None) -> None:
        click.echo(f"{blur}")

    assert CliRunner().invoke(command, []).output == "None\n"
    assert CliRunner().invoke(command, ["--blur"]).output == "True\n"


def test_two_flags_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two options are called --out"):
        Headed("score", params=[click.Option(["--out"]), click.Option(["--out"])])


def tables() -> str:
    """The tables that docs/options.md must hold."""
    declared = [*RUN_OPTIONS, CROP_FROM_OPTION, RADIUS_OPTION, *declared_options().values()]
    headings = dict.fromkeys([*HEADINGS, *(one.heading for one in declared)])
    parts = []
    for heading in headings:
        rows = [
            f"| {_given(one)} | {_values(one)} | {one.default} | {'yes' if one.moves else 'no'} | {_cell(one.help)} |"
            for one in declared
            if one.heading == heading
        ]
        if rows:
            title = "Most runs" if heading == "First" else heading
            head = "| option | values | default | moves | what it does |\n|---|---|---|---|---|\n"
            parts.append(f"### {title}\n\n{head}" + "\n".join(rows) + "\n")
    rows = []
    for name in protocols.names():
        rows.append(f"| `{name}` | {', '.join(f'`{o.name}`' for o in protocols.spec(name).options) or 'none'} |")
    parts.append("### Which protocol has which\n\n| protocol | options |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _given(one: Option) -> str:
    return f"`--{one.name.replace('_', '-')}`" if one.flag else f"`{one.name}`"


def _values(one: Option) -> str:
    return "" if one.flag and one.kind == "flag" else _cell(one.values)


def _cell(text: str) -> str:
    return text.replace("|", "/")


def test_the_page_says_what_is_declared() -> None:
    page = PAGE.read_text("utf-8")
    wanted = tables()
    assert wanted in page, f"docs/options.md should hold these tables:\n{wanted}"
