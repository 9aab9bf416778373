"""Rules that are right in themselves, and do not fit the columns: told by their types, before a row is looked at."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from penstock.core.cleaning import fitting, parsing
from penstock.core.cleaning.expressions import checks, kinds
from penstock.core.cleaning.expressions.syntax import Expression
from penstock.core.cleaning.rows import Rows
from penstock.core.cleaning.rules import Type
from penstock.core.errors import ConfigError, DataError

TYPES: dict[str, Type | None] = {"fare": "float", "n": "integer", "island": "text", "unit": "text", "empty": None}


def check(*rules: dict[str, Any]) -> None:
    fitting.check(parsing.rules(rules), TYPES)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        (
            "island > 3",
            "column 'island' holds text, and 3 is a number: write '3', or {rule: type, columns: [island], to: float} "
            "before this rule makes numbers of it",
        ),
        ("1 < n < '5'", "column 'n' holds whole numbers, and '5' is a text: write 5, or {rule: type, columns: [n]"),
        ("fare == 'cheap'", "column 'fare' holds numbers, and 'cheap' is a text: write a number, or {rule: type"),
        ("fare > island", "column 'fare' holds numbers, and column 'island' holds text: {rule: type, columns: [fare]"),
        ("island in [1, 2]", "column 'island' holds text, and 1 is a number: write '1', or"),
        ("n not in ['a']", "column 'n' holds whole numbers, and 'a' is a text: write a number, or"),
        ("island + 1 > 2", "island + 1 takes numbers, and column 'island' holds text: {rule: type"),
        ("-island > 2", "-island takes numbers, and column 'island' holds text"),
        ("abs(island) > 2", "abs(island) takes numbers, and column 'island' holds text"),
        ("lower(n) == 'a'", "lower(n) takes texts, and column 'n' holds whole numbers: {rule: type, columns: [n], to:"),
        ("n > 1 or missing(abs(island))", "abs(island) takes numbers"),
        ("not (island > 3)", "column 'island' holds text, and 3 is a number"),
    ],
)
def test_expressions_of_other_types(expression: str, sentence: str) -> None:
    with pytest.raises(DataError) as raised:
        check({"rule": "check", "expression": expression})
    assert raised.value.message.startswith(f"rule {'check ' + expression!r}: {sentence}")


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("'a' > 3", "'a' is a text, and 3 is a number: expected two of a kind"),
        ("x in [1, 'a']", "1 is a number, and 'a' is a text"),
        ("abs(lower(x)) > 1", "abs(lower(x)) takes numbers, and lower(x) is a text"),
        ("length(3) > 1", "length(3) takes texts, and 3 is a number"),
        ("length(x) == 'a'", "length(x) is a number, and 'a' is a text: expected two of a kind"),
        ("(n > 1) == 1", "n > 1 is true or false, and 1 is a number: expected two of a kind"),
    ],
)
def test_expressions_that_no_data_fits(expression: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=r"rules\[0\] \(check\): expression ") as raised:
        parsing.rules([{"rule": "check", "expression": expression}])
    assert sentence in raised.value.message


def test_a_rule_before_may_make_them_fit() -> None:
    convert = {"rule": "type", "columns": ["island"], "to": "float"}
    check(convert, {"rule": "check", "expression": "island > 3"})
    check({"rule": "check", "expression": "empty > 3 or empty == 'a'"})
    with pytest.raises(DataError, match="column 'island' holds numbers, and 'a' is a text"):
        check(convert, {"rule": "check", "expression": "island == 'a'"})


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"rule": "unit", "columns": ["fare"], "by": "n", "to": "g", "units": {"kg": {"factor": 1000}}},
            "column 'n' holds whole numbers, which name no unit: expected in `by` a column of text such as kg, g",
        ),
        (
            {"rule": "range", "columns": ["n"], "min": 0.2, "max": 0.8},
            "whole numbers, and there is none from 0.2 to 0.8",
        ),
    ],
)
def test_rules_that_would_do_nothing_or_leave_nothing(rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as raised:
        check(rule)
    assert sentence in raised.value.message
    check(rule | {"by": "unit"} if "by" in rule else rule | {"columns": ["fare"]})


COLUMNS = {
    "fare": pa.array([[1.5], None, [float("nan")]], pa.large_list(pa.float32())),
    "n": pa.array([[1], [2], None], pa.large_list(pa.int64())),
    "island": pa.array([[b"a"], None, [b""]], pa.large_list(pa.large_binary())),
    "empty": pa.nulls(3),
}


def some(chosen: random.Random, depth: int) -> str:
    """Returns a part of an expression of any kind."""
    if depth == 0 or chosen.random() < 0.2:
        return chosen.choice(["fare", "n", "island", "empty", "1", "2.5", "'a'", "99999999999999999999"])
    one, two = some(chosen, depth - 1), some(chosen, depth - 1)
    of_one = [
        "-({})",
        "abs({})",
        "length({})",
        "lower({})",
        "missing({})",
        "({}) in [1, 2.5]",
        "({}) not in ['a', 'b']",
    ]
    of_two = ["({}) + ({})", "({}) / ({})", "({}) > ({})", "({}) == ({})", "(1 > ({})) or (2 < ({}))"]
    return chosen.choice([form.format(one) for form in of_one] + [form.format(one, two) for form in of_two])


def test_what_fits_is_computed() -> None:
    chosen = random.Random(3)
    rows, types = Rows(COLUMNS, 3), TYPES
    fitting_ones = 0
    for _ in range(2000):
        try:
            expression = Expression(some(chosen, 3))
        except ConfigError:
            continue
        if not kinds.misfit(expression, types):
            assert checks.fails(expression, rows).dtype == np.bool_
            fitting_ones += 1
    assert fitting_ones > 100
