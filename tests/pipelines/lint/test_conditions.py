"""Conditions: what is found, and what kfp.local makes of it. The day that it gets one right, its rule can go."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kfp import dsl

from tests.pipelines.lint.steps import act, acts, count, facts, found, is_ok, same, score

ONLY_HERE = "is always False in a local run"
TEXT = "a text with a single quote, a backslash, a line end or `pipelinechannel--` in it is compared wrongly"


def named_output() -> None:
    with dsl.If(facts().outputs["ok"] == True):  # noqa: E712
        act()


def named_output_inside() -> None:
    ok = facts().outputs["ok"]
    with dsl.If(is_ok().output == True), dsl.If(ok == True):  # noqa: E712
        act()


def own_output() -> None:
    with dsl.If(is_ok().output == True):  # noqa: E712
        act()


def float_and_whole_number() -> None:
    with dsl.If(score().output > 1):
        act()


def float_and_fraction() -> None:
    with dsl.If(score().output > 1.0):
        act()


def int_and_fraction() -> None:
    with dsl.If(count().output > 1.5):
        act()


def int_parameter_and_fraction(rounds: int = 2) -> None:
    with dsl.If(rounds > 1.5):
        act()


def float_and_int() -> None:
    with dsl.If(score().output > count().output):
        act()


def int_and_float() -> None:
    with dsl.If(count().output < score().output):
        act()


def ints(rounds: int = 1) -> None:
    with dsl.If(count().output > rounds), dsl.If(count().output >= 2):
        act()


def not_less() -> None:
    with dsl.If(score().output < 1):
        same(text="")
    with dsl.Else():
        act()


def otherwise(kind: str = "c") -> None:
    with dsl.If(kind == "a"):
        same(text="")
    with dsl.Elif(kind == "b (b)"):
        same(text="")
    with dsl.Elif(kind == "c"), dsl.If(kind != "d && e"):
        act()


def int_and_text() -> None:
    with dsl.If(count().output == "2"):
        act()


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (named_output, f"condition-1: the output facts.ok in a condition {ONLY_HERE}"),
        (float_and_whole_number, f"condition-1: a float compared with the int 1 {ONLY_HERE}: write 1.0"),
        (int_and_fraction, f"condition-1: an int, count.output, compared with a float {ONLY_HERE}"),
        (int_parameter_and_fraction, f"condition-1: an int, rounds, compared with a float {ONLY_HERE}"),
        (float_and_int, f"condition-1: an int, count.output, compared with a float {ONLY_HERE}"),
        (int_and_float, f"condition-1: an int, count.output, compared with a float {ONLY_HERE}"),
        (not_less, f"condition-2: a float compared with the int 1 {ONLY_HERE}"),
        (int_and_text, "condition-1: a number or bool, count.output, compared with a text is never equal"),
    ],
)
def test_what_is_false_in_a_local_run_is_told(function: Callable[..., None], sentence: str, tmp_path: Path) -> None:
    told = found(function)
    assert sentence in "\n".join(told)
    assert not acts(function, tmp_path)


@pytest.mark.parametrize("function", [own_output, named_output_inside, float_and_fraction, ints, otherwise])
def test_what_is_true_passes(function: Callable[..., None], tmp_path: Path) -> None:
    assert found(function) == []
    assert acts(function, tmp_path)


def equal_to(text: str) -> Callable[[], None]:
    def pipeline() -> None:
        with dsl.If(same(text=text).output == text):
            act()

    return pipeline


@pytest.mark.parametrize("text", ["it's", "a' && b", "a' && 'b' ==", "a\nb", "a\r", "a\\", "pipelinechannel--a"])
def test_a_text_that_is_not_equal_to_itself_is_told(text: str, tmp_path: Path) -> None:
    (told,) = found(equal_to(text))
    assert TEXT in told
    assert not acts(equal_to(text), tmp_path)


@pytest.mark.parametrize("text", ["", "it is", 'a "b" c', "a && b || (c) == d", "!(a)", "double(1)", "é\t"])
def test_a_text_that_is_equal_to_itself_passes(text: str, tmp_path: Path) -> None:
    assert found(equal_to(text)) == []
    assert acts(equal_to(text), tmp_path)


def test_an_escape_that_servers_read_as_another_character_is_told() -> None:
    """CEL, which servers evaluate, makes a line end of this text; kfp.local takes it as it stands."""
    assert TEXT in found(equal_to(r"a\nb"))[0]
