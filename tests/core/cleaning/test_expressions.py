"""Expressions: what they mean, and that they can do nothing else."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from penstock.core.cleaning.expressions import checks
from penstock.core.cleaning.expressions.syntax import Expression
from penstock.core.cleaning.rows import Rows
from penstock.core.errors import ConfigError, DataError

COLUMNS = {
    "x": pa.array([[1.0], [2.5], None, [float("nan")], [-4.0]], pa.large_list(pa.float32())),
    "n": pa.array([[1], [2], [3], None, [0]], pa.large_list(pa.int64())),
    "t": pa.array([[b"a"], [b"B"], None, ["ü".encode()], [b""]], pa.large_list(pa.large_binary())),
    "two words": pa.array([[1], [1], [1], [1], [2]], pa.large_list(pa.int64())),
    "nothing": pa.nulls(5),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("x > 0", [1, 1, 1, 1, 0]),
        ("-x < 0", [1, 1, 1, 1, 0]),
        ("x >= n", [1, 1, 1, 1, 0]),
        ("x == 2.5 or n == 1", [1, 1, 1, 1, 0]),
        ("not x > 0", [0, 0, 1, 1, 1]),
        ("missing(x) or missing(n)", [0, 0, 1, 1, 0]),
        ("not missing(t)", [1, 1, 0, 1, 1]),
        ("t in ['a', 'B']", [1, 1, 1, 0, 0]),
        ("n not in [1, 2]", [0, 0, 1, 1, 1]),
        ("n in [1, 2.5, 99999999999999999999]", [1, 0, 0, 1, 0]),
        ("lower(t) == 'b'", [0, 1, 1, 0, 0]),
        ("length(t) <= 1 and t != 'ü'", [1, 1, 1, 0, 1]),
        ("0 <= n < 3", [1, 1, 0, 1, 1]),
        ("(x + 1) * 2 - n / 2 > 3", [1, 1, 1, 1, 0]),
        ("1 / n > 0.4", [1, 1, 0, 1, 1]),  # by zero it is infinite
        ("abs(x) < 3", [1, 1, 1, 1, 0]),
        ("column('two words') == 1", [1, 1, 1, 1, 0]),
        ("nothing > 1", [1, 1, 1, 1, 1]),
        ("length(nothing) > 1 and -nothing + abs(nothing) < n", [1, 1, 1, 1, 1]),
        ("nothing in [1, 2] or n > 0", [1, 1, 1, 1, 1]),
        ("1 > 2", [0, 0, 0, 0, 0]),
        ("n * 9223372036854775807 >= n", [1, 1, 1, 1, 1]),
    ],
)
def test_what_they_mean(text: str, holds: list[int]) -> None:
    expression = pickle.loads(pickle.dumps(Expression(text)))
    failing = checks.fails(expression, Rows(COLUMNS, 5))
    assert (~failing).astype(int).tolist() == holds
    assert failing.dtype == np.bool_


def test_the_columns_that_they_name() -> None:
    assert Expression("b > a and column('c d') == 1 and lower(a) != 'x'").columns == ("b", "a", "c d")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected a condition such as trip_seconds > 0, received nothing"),
        ("x >", "invalid syntax"),
        ("x", "expected a condition, which is true or false"),
        ("x + 1", "expected a condition, which is true or false"),
        ("x = 1", "invalid syntax"),
        ("x and n > 1", "`and`, `or` and `not` take conditions: expected a comparison in place of x"),
        ("x > True", "columns hold 0 and 1 for false and true"),
        ("x.real > 1", "x.real is no part of an expression"),
        ("x[0] > 1", "x[0] is no part of an expression"),
        ("__import__('os').system('true') == 0", "is no part of an expression"),
        ("eval('1') > 0", "eval(): "),
        ("lowr(t) == 'a'", "lowr(): did you mean 'lower'?"),
        ("abs(x, n) > 1", "abs(): one argument for abs"),
        ("abs(x, key=1) > 1", "abs(): one argument for abs"),
        ("x ** 9 > 1", "x ** 9 is no part of an expression"),
        ("x is None", "x is None is no part of an expression"),
        ("(lambda: 1)() > 0", "is no part of an expression"),
        ("[n for n in x] == 1", "is no part of an expression"),
        ("f'{x}' == 'a'", "is no part of an expression"),
        ("x in n", "after `in` expected a list such as ['a', 'b']"),
        ("x in [n]", "after `in` expected a list of numbers or of texts"),
        ("not " * 60 + "x > 1", "expected 50 levels of parentheses at most"),
        ("(" * 300 + "x > 1" + ")" * 300, "expression"),
        ("x > 1 and " * 300 + "x > 1", "expected 2,000 characters at most, received 3,005"),
    ],
)
def test_what_is_no_expression_is_told_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Expression(text)
    assert sentence in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("text", ["t > 1", "t + 1 > 2", "n in ['a']", "lower(n) == 'a'", "abs(t) > 1", "t == 1"])
def test_types_that_do_not_fit(text: str) -> None:
    with pytest.raises(DataError, match=r"column '[nt]' holds (text|whole numbers)"):
        checks.fails(Expression(text), Rows(COLUMNS, 5))
