"""Columns of numbers, as text as well: what a number is, what is told of it, and which are no keys."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from penstock.trainer import preprocessing
from penstock.trainer.plan import numbers
from penstock.trainer.plan.features import Categorical, Numeric
from tests.trainer.plan.plans import by_output, plan

Tables = Callable[..., Any]
ROWS = 300
RANDOM = random.Random(7)
MEASURES = {
    "decimals": [f"{RANDOM.gauss(50, 10):.2f}" for _ in range(ROWS)],
    "exponents": [f"{RANDOM.random() * 1e9:.6e}" for _ in range(ROWS)],
    "integers": [str(RANDOM.randrange(10**6)) for _ in range(ROWS)],
    "below zero": [f"-{RANDOM.random():.5f}" for _ in range(ROWS)],
    "repeating": [str(RANDOM.randrange(100)) for _ in range(ROWS)],
}
YES = ["1", "-1", "+1", "1.5", ".5", "5.", " 7 ", "1e9", "-1.5E-3", "007"]
NO = ["", " ", "n/a", "nan", "inf", "1,5", "1_000", "0x1F", "1 2", "12a", "--1", "1e", "٣"]


@pytest.mark.parametrize(("text", "is_number"), [*((text, True) for text in YES), *((text, False) for text in NO)])
def test_python_and_tensorflow_read_the_same_numbers(text: str, is_number: bool) -> None:
    assert numbers.is_number(text) is is_number
    read = preprocessing._read(tf.constant([text]), 0).numpy()
    assert read.tolist() == [float(text)] if is_number else np.isnan(read).all()


def test_large_integers_are_read_relative_to_an_origin() -> None:
    texts = ["9007199254740993", " 9007199254740992", "-5", "9007199254740992.5", "n/a", "9" * 30]
    read = preprocessing._read(tf.constant(texts), 2**53).numpy()
    assert read[:3].tolist() == [1, 0, float(-5 - 2**53)]
    assert np.isnan(read).tolist() == [False, False, False, False, True, False]


def test_numbers_beside_words_are_no_key(table: Tables) -> None:
    picked, columns = random.Random(1), {}
    for name, cells in MEASURES.items():
        for words in (["n/a"], ["n/a", "-"], ["NA", "unknown", "?"]):
            for share in (0.01, 0.08, 0.3):
                mixed = [picked.choice(words) if picked.random() < share else number for number in cells]
                columns[f"{name} {len(words)} {share}"] = mixed
    made = plan(table(columns | {"y": [row % 2 for row in range(ROWS)]}), "y")
    assert not made.ignored
    assert {feature.name: feature.kind for feature in made.features} == dict.fromkeys(columns, "numeric")
    assert all("it is read as numbers" in made.notes[name] for name in columns)


def test_numbers_declared_as_text_are_read_where_they_would_be_a_key(table: Tables) -> None:
    columns = {**MEASURES, "zip": [f"{row % 70:05}" for row in range(ROWS)], "y": [row % 2 for row in range(ROWS)]}
    kinds = {feature.name: feature.kind for feature in plan(table(text(columns)), "y").features}
    assert kinds == dict.fromkeys(("decimals", "exponents", "integers", "below zero"), "numeric") | {
        "repeating": "categorical",
        "zip": "categorical",
    }


def text(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: [str(cell) if name != "y" else cell for cell in cells] for name, cells in columns.items()}


def test_words_that_differ_too_leave_numbers_in(table: Tables) -> None:
    """Most values are numbers; of the others no two are equal."""
    cells = [f"~{row}" if row % 4 == 0 else f"{row * 7 % 300}.25" for row in range(ROWS)]
    made = plan(table({"x": cells, "y": [row % 2 for row in range(ROWS)]}), "y")
    assert by_output(made) == {"x_xf": Numeric("x", "x_xf")}


def test_more_values_than_the_statistics_list(table: Tables) -> None:
    rows = 4000
    cells = ["n/a" if row % 12 == 0 else f"{row * 7919 % 100_003}.5" for row in range(rows)]
    made = plan(table({"x": cells, "y": [row % 2 for row in range(rows)]}), "y")
    assert by_output(made) == {"x_xf": Numeric("x", "x_xf")}


def test_keys_with_words_are_keys(table: Tables) -> None:
    order = [row * 77 % ROWS for row in range(ROWS)]
    columns = {
        "number": [str(1000 + row) if row % 12 else "n/a" for row in order],
        "order_id": [str(7919 * row * row + 13) if row % 12 else "n/a" for row in order],
        "code": [f"{row:06}" for row in order],
        "hash": [f"{row * 2654435761 % 2**32:08x}" for row in order],
        "x": [row % 7 for row in range(ROWS)],
        "y": [row % 2 for row in range(ROWS)],
    }
    made = plan(table(columns), "y")
    assert set(made.ignored) == {"number", "order_id", "code", "hash"}
    assert made.ignored["number"] == "its 275 integers all differ, as keys do"


@pytest.mark.parametrize("form", ["${:.2f}", "{:.1f}%", "1,{:03.0f}", "{:.2f} €", "1.{:03.0f},50"])
def test_numbers_as_people_write_them_are_no_key(table: Tables, form: str) -> None:
    cells = [form.format(row * 7 % 300 + row / 1000) for row in range(ROWS)]
    made = plan(table({"x": cells, "y": [row % 2 for row in range(ROWS)]}), "y")
    assert not made.ignored


@pytest.mark.parametrize(
    ("values", "noted"),
    [
        (["$12.50", "$1,200.00", "- $3.00"], True),
        (["1.234,56 €", "7,20 €", "n/a"], False),  # a third of them says otherwise
        ([f"{price} €" for price in range(20)] + ["n/a"], True),
        (["45%", "3.5 %"], True),
        (["1,234", "12"], False),  # which ExampleGen tells
        (["$1.2.3", "$4"], False),
        (["A4", "12b"], False),
    ],
)
def test_numbers_that_are_written_for_people_are_noted(table: Tables, values: list[str], noted: bool) -> None:
    columns = {"x": [values[row % len(values)] for row in range(63)], "y": [row // 3 % 2 for row in range(63)]}
    data = table(columns)
    assert ("look like numbers and are taken for strings" in plan(data, "y").notes.get("x", "")) == noted
    assert not plan(data, "y", x={"kind": "categorical"}).notes


def test_floats_that_lose_their_digits_are_noted(table: Tables) -> None:
    columns = {
        "time": [1362683700.5 + row for row in range(200)],
        "amount": [1e6 + row * 1.5 for row in range(200)],
        "y": [row % 2 for row in range(200)],
    }
    assert plan(table(columns), "y").notes == {
        "time": "it holds numbers from 1.36268365e+09 to 1.3626839e+09, of which examples keep 32 bits: steps of 128 "
        "and more; whole numbers keep all digits, and numbers less a constant more of them"
    }
    assert plan(table(columns), "time").notes == {
        "time": "it holds numbers from 1.36268365e+09 to 1.3626839e+09, of which a model learns 32 bits: steps of 128 "
        "and more; numbers less a constant keep more of their digits",
    }


def test_a_person_decides(table: Tables) -> None:
    cells = [f"{row % 20}.5" if row % 9 else "n/a" for row in range(ROWS)]
    data = table({"x": cells, "y": [row % 2 for row in range(ROWS)]})
    assert by_output(plan(data, "y", x={"kind": "categorical"})) == {"x_xf": Categorical("x", "x_xf")}
    assert by_output(plan(data, "y", x={"kind": "numeric", "bins": 5})) == {"x_xf": Numeric("x", "x_xf", bins=5)}


@pytest.mark.slow
def test_words_are_missing_in_what_transform_makes(table: Tables) -> None:
    columns = {"x": ["n/a" if row % 10 == 0 else f"{row}.5" for row in range(ROWS)], "y": [0, 1] * (ROWS // 2)}
    rows = table(columns).transform({"label": "y"}).transformed()["x_xf"]
    assert rows[::10].tolist() == [[0, 1]] * 30
    assert (np.diff(rows[np.arange(ROWS) % 10 != 0, 0]) > 0).all()
    assert not rows[np.arange(ROWS) % 10 != 0, 1].any()
