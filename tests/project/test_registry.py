"""Things found by name: built-in ones, plug-ins, and what is said when there is none."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from lipsync_eval import registry
from lipsync_eval.errors import UsageError
from lipsync_eval.registry import Registry

GROUP = "lipsync_eval.test_shapes"
BUILT_IN = {"pi": "math:pi", "e": "math:e"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Plug-ins of other distributions: fill it."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == GROUP else [])
    return points


def test_built_in_ones_come_first_in_their_order(installed: list[EntryPoint]) -> None:
    installed += [EntryPoint("tau", "math:tau", GROUP), EntryPoint("inf", "math:inf", GROUP)]
    numbers = Registry[float]("number", BUILT_IN, GROUP)
    assert numbers.names() == ("pi", "e", "inf", "tau")
    assert numbers.get("tau") == pytest.approx(2 * numbers.get("pi"))
    assert list(numbers.load()) == ["pi", "e", "inf", "tau"]


def test_an_unknown_name_ends_with_near_ones_the_list_and_what_else_there_is(installed: list[EntryPoint]) -> None:
    numbers = Registry[float]("number", BUILT_IN, GROUP, also="or write digits")
    with pytest.raises(
        UsageError, match=r"^there is no number 'pii'\. Did you mean pi\? There are: pi, e; or write dig"
    ):
        numbers.get("pii")
    with pytest.raises(UsageError, match=r"^there is no number 'x'\. There are: pi, e; or write digits$"):
        numbers.get("x")


@pytest.mark.parametrize("taken", ["pi", "tau"])
def test_a_name_belongs_to_one(installed: list[EntryPoint], taken: str) -> None:
    installed += [EntryPoint("tau", "math:tau", GROUP), EntryPoint(taken, "cmath:tau", GROUP)]
    numbers = Registry[float]("number", BUILT_IN, GROUP)
    with pytest.raises(
        UsageError, match=rf"two numbers are called '{taken}' \((math|cmath):\w+ and (math|cmath):tau\)"
    ):
        numbers.names()


def test_a_broken_plug_in_breaks_only_itself(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("tau", "no_such_module:tau", GROUP))
    numbers = Registry[float]("number", BUILT_IN, GROUP)
    assert numbers.names() == ("pi", "e", "tau")
    assert numbers.get("pi") > 3
    for use in (lambda: numbers.get("tau"), numbers.load):
        with pytest.raises(UsageError, match=r"number plug-in 'tau' \(no_such_module:tau\) cannot be loaded: Module"):
            use()


def test_objects_may_have_names_of_their_own(installed: list[EntryPoint]) -> None:
    installed.append(EntryPoint("any label", "statistics:mean", GROUP))
    functions = Registry[type]("function", {"x": "math:sqrt"}, GROUP, names_of=lambda f: [f.__name__, f.__name__ + "2"])
    assert functions.names() == ("sqrt", "sqrt2", "mean", "mean2")
    assert functions.get("mean2") is functions.get("mean")
    installed.append(EntryPoint("another", "statistics:mean", GROUP))
    with pytest.raises(UsageError, match="two functions are called 'mean'"):
        functions.get("sqrt")


def test_a_bug_of_ours_is_no_plug_in(installed: list[EntryPoint]) -> None:
    with pytest.raises(AttributeError):
        Registry[float]("number", {"x": "math:no_such"}, GROUP).get("x")
