"""The plan of real and awkward tables: what each column is, what is ignored and why, what the label decides."""

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.errors import ConfigError, DataError
from penstock.core.labels import Label
from penstock.trainer.plan.features import KINDS, Categorical, Date, Numeric, Sparse, Text
from tests.trainer.plan.plans import by_output, plan, plan_with

Tables = Callable[..., Any]


def test_penguins(table: Tables, penguins_csv: Path) -> None:
    made = plan(table(pd.read_csv(penguins_csv)), "species")
    assert made.label == Label("species", "species_xf", "multiclass", ("Adelie", "Chinstrap", "Gentoo"))
    assert by_output(made) == {
        "island_xf": Categorical("island", "island_xf"),
        "bill_length_mm_xf": Numeric("bill_length_mm", "bill_length_mm_xf"),
        "bill_depth_mm_xf": Numeric("bill_depth_mm", "bill_depth_mm_xf"),
        "flipper_length_mm_xf": Numeric("flipper_length_mm", "flipper_length_mm_xf"),
        "body_mass_g_xf": Numeric("body_mass_g", "body_mass_g_xf"),
        "sex_xf": Categorical("sex", "sex_xf"),
        "year_xf": Numeric("year", "year_xf"),
        "year_xf_ids": Categorical("year", "year_xf_ids"),
    }
    assert not made.ignored
    assert json.loads(json.dumps(made.to_json()))["features"][0]["kind"] in KINDS


def test_what_tells_nothing_is_ignored(table: Tables, caplog: pytest.LogCaptureFixture) -> None:
    rows = 60
    columns = {
        "key": [f"a{row}" for row in range(rows)],
        "constant": ["x"] * rows,
        "one": [1] * rows,
        "empty": [None] * rows,
        "hollow": [[]] * rows,
        "sometimes": [7 if row % 3 else None for row in range(rows)],
        "useful": [row % 7 for row in range(rows)],
        "label": [row % 2 for row in range(rows)],
    }
    caplog.set_level("INFO")
    made = plan(table(columns), "label")
    assert {feature.name for feature in made.features} == {"sometimes", "useful"}
    assert made.ignored == {
        "key": "60 of its 60 values differ, as keys do",
        "constant": "it is 'x' in every row",
        "one": "it is 1 in every row",
        "empty": "it has no value in any row",
        "hollow": "it has no value in any row",
    }
    made.log()
    assert "numeric: sometimes, useful" in caplog.text
    assert "feature key is ignored: 60 of its 60 values differ, as keys do" in caplog.text
    assert by_output(plan(made_table := table(columns), "label", key={"kind": "categorical"}))["key_xf"].name == "key"
    assert plan(made_table, "label", useful={"ignore": True}).ignored["useful"] == "as the configuration says"


def test_integers_that_all_differ_are_keys(table: Tables) -> None:
    """Where chance would not have it so, or the name says so; not what tells when, or which comes first."""
    rows = 300
    order = [row * 77 % rows for row in range(rows)]
    far = [7919 * row * row + 13 for row in range(rows)]
    columns = {
        "PassengerNumber": [1000 + row for row in order],
        "tenth": [10 * row for row in order],
        "customer_id": far,
        "orderId": far,
        "area": far,
        "paid": far,
        "day_of_trial": order,
        "pair": [row // 2 for row in order],
        "label": [row % 2 for row in range(rows)],
    }
    made = plan(data := table(columns), "label")
    reason = "its 300 integers all differ, as keys do"
    assert made.ignored == dict.fromkeys(["PassengerNumber", "tenth", "customer_id", "orderId"], reason)
    assert {feature.name for feature in made.features} == {"area", "paid", "day_of_trial", "pair"}
    assert "orderId" not in plan(data, "label", orderId={"kind": "numeric"}).ignored


@pytest.mark.parametrize("rows", [900, 12_000])
def test_keys_with_gaps_are_keys_and_measures_are_none(table: Tables, rows: int) -> None:
    """Keys of a sample of a larger table; amounts, counts and moments differ too, and no more than chance has it."""
    rng = np.random.default_rng(0)
    start = 1_700_000_000
    keys = rng.choice(40 * rows, rows, replace=False)
    measures = {
        "salary_in_cents": (100 * rng.lognormal(10.5, 0.4, rows)).astype(np.int64),
        "population": rng.lognormal(12, 1.5, rows).astype(np.int64),
        "turnover": rng.integers(10**9, 10**12, rows),
        "pressure": rng.integers(0, 40 * rows, rows),
        "sec": start + np.cumsum(rng.integers(20, 40, rows)),  # moments without a name that says so
        "elapsed": np.cumsum(rng.integers(1, 9, rows)),
        "visits": rng.poisson(300, rows),
    }
    with_repeats = rng.choice(5 * rows, rows, replace=False)
    with_repeats[:5] = with_repeats[5:10]
    columns = {
        "ticket": keys,
        "every_seventh": 7 * rng.permutation(rows) + 3,
        "entered": with_repeats,
        "customer_id": np.r_[keys[: rows // 20], keys[: rows - rows // 20]],  # of 5 % there are two rows
    }
    made = plan(table({**columns, **measures, "label": [row % 2 for row in range(rows)]}), "label")
    assert set(made.ignored) == set(columns)
    assert made.ignored["ticket"] == f"its {rows} integers all differ, as keys do"
    assert made.ignored["customer_id"] == f"its {rows} integers nearly all differ, as keys do"
    assert {feature.name for feature in made.features} == set(measures)


def test_integers_that_are_codes_are_categories_as_well(table: Tables) -> None:
    rows = 600
    postcodes = [10115, 20095, 50667, 80331, 99084]
    columns = {
        "postcode": [postcodes[row * row % 5] for row in range(rows)],
        "area": [row * 7 % 24 * 1000 for row in range(rows)],
        "amount": [row * 7 % 30 * 1000 for row in range(rows)],  # each 20 times: too few to learn of each
        "label": [row % 2 for row in range(rows)],
    }
    found = by_output(plan(data := table(columns), "label"))
    assert sorted(found) == ["amount_xf", "area_xf", "area_xf_ids", "postcode_xf", "postcode_xf_ids"]
    ages = {"age": [18 + row * 7 % 60 for row in range(3000)], "label": [row % 2 for row in range(3000)]}
    assert list(by_output(plan(table(ages), "label"))) == ["age_xf"], "they lie close, as measures do"
    assert found["postcode_xf_ids"] == Categorical("postcode", "postcode_xf_ids")
    assert list(by_output(plan(data, "label", postcode={"kind": "categorical"}, area={"kind": "numeric"}))) == [
        "amount_xf", "area_xf", "postcode_xf",
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [60, 300])
def test_free_text_that_is_in_every_row_another_one_is_no_key(table: Tables, rows: int) -> None:
    columns = {
        "name": [f"{'abcdefghij'[row % 10]}ert {'klmnopqrst'[row // 10 % 10]}son{row}" for row in range(rows)],
        "comment": [f"the {row} dogs came late" for row in range(rows)],
        "uuid": [str(uuid.uuid5(uuid.NAMESPACE_OID, str(row))) for row in range(rows)],
        "hash": [hashlib.sha256(str(row).encode()).hexdigest() for row in range(rows)],
        "label": [row % 2 for row in range(rows)],
    }
    made = plan(table(columns), "label")
    assert {feature.name: feature.kind for feature in made.features} == {"name": "text", "comment": "text"}
    assert made.ignored == dict.fromkeys(["uuid", "hash"], f"{rows} of its {rows} values differ, as keys do")


def test_numbers_beside_text_are_noted(table: Tables) -> None:
    mass = [str(3000 + row) if row % 20 else "NA" for row in range(200)]
    made = plan(table({"mass": mass, "code": ["1", "B", "C", "2"] * 50, "y": [0, 1] * 100}), "y", code={})
    assert list(made.notes) == ["mass"]
    assert made.notes["mass"].startswith(
        "it holds numbers beside 'NA', so it is text; it is read as numbers, and those "
    )


def test_text_dates_and_several_values(table: Tables) -> None:
    rows = 300
    columns = {
        "review": [f"the {row} dogs were as good as the {row * 7} cats" for row in range(rows)],
        "day": [f"2013-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in range(rows)],
        "moment": [f"2013-01-01T{row % 24:02}:15:00Z" for row in range(rows)],
        "midnight": [f"2013-01-{row % 28 + 1:02} 00:00:00" for row in range(rows)],
        "tags": [["a", "b", "c"][: row % 4] for row in range(rows)],
        "pair": [[row / 3, row * 1.5] for row in range(rows)],
        "some": [[row / 7] * (row % 3) for row in range(rows)],
        "label": [row % 2 for row in range(rows)],
    }
    made = plan(table(columns), "label")
    found = by_output(made)
    assert isinstance(found["review_xf"], Text)
    day = 86400
    january = 15706 * day  # 2013-01-01
    assert found["day_xf"] == Date("day", "day_xf", parts=("days", "year", "week"), origin=january + 183 * day)
    assert found["moment_xf"] == Date("moment", "moment_xf", origin=january + 12 * 3600 + 900)
    midnight = Date("midnight", "midnight_xf", parts=("days", "year", "week"), origin=january + 14 * day)
    assert found["midnight_xf"] == midnight
    assert found["tags_xf"] == Categorical("tags", "tags_xf", width=3)
    assert [found[f"pair_xf_{i}"] for i in (0, 1)] == [Numeric("pair", f"pair_xf_{i}", of=i) for i in (0, 1)]
    assert [f.of for f in made.features if f.name == "some"] == ["mean", "min", "max", "count"]  # type: ignore[union-attr]


def test_sparse_features_and_what_the_schema_declares(table: Tables) -> None:
    schema = schema_pb2.Schema()
    for name, kind in (("index", schema_pb2.INT), ("value", schema_pb2.FLOAT), ("code", schema_pb2.INT)):
        schema.feature.add(name=name, type=kind)
    schema.feature[0].int_domain.max = 9
    schema.feature[2].int_domain.is_categorical = True
    label = schema.feature.add(name="label", type=schema_pb2.INT)
    label.shape.dim.add(size=1)
    sparse = schema.sparse_feature.add(name="words")
    sparse.index_feature.add(name="index")
    sparse.value_feature.name = "value"
    rows = 40
    columns = {
        "index": [[row % 5, row % 5 + 3] for row in range(rows)],
        "value": [[0.5, 1.5]] * rows,
        "code": [1000 * (row % 4) for row in range(rows)],
        "label": [row % 2 for row in range(rows)],
    }
    made = plan(table(columns, schema=schema), "label")
    assert made.features == (Categorical("code", "code_xf"), Sparse("words", "words_xf", 10))


@pytest.mark.parametrize(
    ("values", "problem", "classes"),
    [
        ([0, 1], "binary", (0, 1)),
        ([-1, 1], "binary", (-1, 1)),
        ([0.25, 0.75], "binary", (0.25, 0.75)),
        (["no", "yes"], "binary", ("no", "yes")),
        (["b", "c", "a"], "multiclass", ("a", "b", "c")),
        ([1, 2, 3], "multiclass", (1, 2, 3)),
        ([0, 5, 400], "regression", ()),
        ([0.5, 1.5, 2.5], "regression", ()),
    ],
)
def test_label_decides_the_problem(table: Tables, values: list[Any], problem: str, classes: tuple[Any, ...]) -> None:
    columns = {"x": range(60), "y": [values[row % len(values)] for row in range(60)]}
    label = plan(table(columns), "y").label
    assert (label.problem, label.classes) == (problem, classes)


def test_problem_overrides(table: Tables) -> None:
    data = table({"x": range(60), "y": [row % 3 for row in range(60)], "s": [f"s{row % 3}" for row in range(60)]})
    assert plan(data, "y", "regression").label.problem == "regression"
    with pytest.raises(DataError, match=r"label y: problem: expected two values for binary, found more, 0 to 2"):
        plan(data, "y", "binary")
    with pytest.raises(DataError, match=r"label s: problem: expected numbers for regression, found strings such as 's"):
        plan(data, "s", "regression")
    with pytest.raises(ConfigError, match="unknown 'multi-class'; did you mean 'multiclass'"):
        plan(data, "y", "multi-class")


@pytest.mark.parametrize(
    ("label", "overrides", "sentence"),
    [
        ("lable", {}, "label: the data has no column 'lable'; did you mean 'label'?"),
        ("one", {}, "label one is 1 in every row of the training data: expected two"),
        ("mass", {}, "label mass: 57 different strings in 60 rows: expected classes that occur again; it holds numbers"
            " beside '?': if those mean a missing value, data.csv.null_values tells it"),
        ("tags", {}, "label tags: expected one value in a row, found several"),
        ("key", {}, "label key: 60 different strings in 60 rows: expected classes that occur again"),
        ("tip", {}, "label tip: 26 classes, nearly all of them numbers: expected a regression's numbers alone, or"
            " training.problem: multiclass; it holds numbers beside 'NA': if those mean a missing value, data"),
        ("label", {"fair": {"ignore": True}}, "features.fair: the data has no column 'fair'; did you mean 'fare'?"),
        ("label", {"label": {"kind": "numeric"}}, "features.label: it is the label"),
        ("label", {"fare": {"kind": "numerical"}}, "features.fare.kind: unknown kind 'numerical'; did you"),
        ("label", {"fare": {"bin": 3}}, "features.fare: unknown key 'bin'; did you mean 'bins'?"),
        ("label", {"fare": {"width": 3}}, "features.fare.width: the feature is numeric: expected some of bins"),
        ("label", {"tags": {"kind": "numeric"}}, "features.tags.kind: expected numbers for numeric, found strings"
            " such as 'b'"),
        ("label", {"key": {"kind": "numeric"}}, "features.key.kind: expected numbers for numeric, found strings"
            " such as 'a9'"),
        ("label", {"fare": {"kind": "text"}}, "features.fare.kind: expected strings for text, found numbers, 0 to"),
        ("label", {"fare": {"kind": "date"}}, "features.fare.format: the column holds numbers: expected what they"
            " count, unix (seconds since 1970), unix_ms"),
        ("label", {"fare": {"kind": "date", "format": "iso"}}, "features.fare.format: expected unix for numbers,"
            " received 'iso'"),
        ("label", {"day": {"kind": "date", "format": "%Y/%m/%d"}}, "features.day.format: expected how dates are written"
            " here, such as '17.03.2024', received '%Y/%m/%d', which reads none of the most frequent values"),
    ],
)  # fmt: skip
def test_mistakes(table: Tables, label: str, overrides: dict[str, Any], sentence: str) -> None:
    columns = {
        "fare": [row * 0.5 for row in range(60)],
        "one": [1] * 60,
        "mass": [f"{row}.5" if row % 15 else "?" for row in range(60)],
        "tags": [["a", "b"]] * 60,
        "tip": [f"{row % 26}.5" if row % 26 else "NA" for row in range(60)],
        "key": [f"a{row}" for row in range(60)],
        "day": ["17.03.2024", "17.03.2024", "18.03.2024"] * 20,
        "label": [row % 2 for row in range(60)],
    }
    data = table(columns)
    with pytest.raises((ConfigError, DataError), match=re.escape(sentence)):
        plan_with(data, label, overrides)


def test_without_features_nothing_is_learnt(table: Tables) -> None:
    with pytest.raises(DataError, match=r"no feature is left to learn y from: x \(it is 1 in every row\)"):
        plan(table({"x": [1] * 20, "y": [row % 2 for row in range(20)]}), "y")


def test_outputs_have_names_that_keras_and_files_take(table: Tables) -> None:
    columns = {"a b/c": range(60), "a_b-c": range(60), "a_b_c": range(60), "y": [row % 2 for row in range(60)]}
    outputs = [feature.output for feature in plan(table(columns), "y").features]
    assert set(outputs) == {"a_b_c_xf", "a_b-c_xf", "a_b_c-1_xf"}
