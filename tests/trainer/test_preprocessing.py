"""The plan through Transform, value for value, and the same from the graph when it serves."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from penstock.components.errors import ConfigError, DataError

Tables = Callable[..., Any]
ROWS = 60
LABEL = [row % 2 for row in range(ROWS)]


def transformed(table: Tables, columns: dict[str, Any], label: str = "label", **config: Any) -> dict[str, np.ndarray]:
    columns = {"label": LABEL, **columns}
    return dict(table(columns).transform({"label": label, **config}).transformed())


def test_numbers_lie_between_the_quantiles(table: Tables) -> None:
    rng = np.random.default_rng(0)
    skewed = np.exp(rng.normal(size=2000) * 2).astype(np.float32)
    values = [None if row % 10 == 0 else float(value) for row, value in enumerate(skewed)]
    columns = {"skewed": values, "whole": [row % 60 * 10**9 for row in range(2000)], "label": [0, 1] * 1000}
    rows = transformed(table, columns)
    value, missing = rows["skewed_xf"].T
    there = np.arange(2000) % 10 != 0
    assert (missing == ~there).all()
    assert (value[~there] == 0).all()
    # Of values that are all different the place among the quantiles is the share of those below.
    share = pd.Series(skewed[there]).rank().to_numpy() / there.sum()
    assert np.abs(value[there] - share).max() < 0.03
    assert value[there].min() == 0
    assert value[there].max() == 1
    order = np.argsort(skewed[there])
    assert (np.diff(value[there][order]) >= 0).all()
    whole = rows["whole_xf"][:60, 0]
    assert (np.diff(whole) > 0).all()
    assert whole[30] == pytest.approx(0.5, abs=0.03)


def test_numbers_with_few_values_have_a_place_each(table: Tables) -> None:
    rows = transformed(table, {"x": [0] * 50 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]})
    places = sorted(set(rows["x_xf"][:, 0].tolist()))
    assert places[0] == 0
    assert places[-1] == 1
    assert len(places) == 10


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy, of the infinite ones' mean in the statistics
def test_nan_is_missing_and_infinity_the_end(table: Tables) -> None:
    values = [row / 7 for row in range(ROWS - 2)] + [float("inf"), float("-inf")]
    rows = transformed(table, {"x": values, "pair": [[1.5, float("nan")]] * 5 + [[row / 3, 0.5] for row in range(55)]})
    assert rows["x_xf"][-2:].tolist() == [[1, 0], [0, 0]]
    assert rows["pair_xf_1"][:5].tolist() == [[0, 1]] * 5
    assert (rows["pair_xf_1"][5:, 1] == 0).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_both_infinities_have_no_mean_and_are_no_date(table: Tables) -> None:
    bag = [[row / 7] * (row % 3) for row in range(ROWS - 1)] + [[float("inf"), float("-inf")]]
    when = [1.5e9 + row for row in range(ROWS - 1)] + [float("inf")]
    rows = transformed(table, {"bag": bag, "when": when}, features={"when": {"kind": "date", "format": "unix"}})
    assert rows["bag_xf_mean"][-1].tolist() == [0, 1]
    assert rows["bag_xf_max"][-1].tolist() == [1, 0]
    assert rows["when_xf_days"][-1].tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_infinite_label_is_missing(table: Tables) -> None:
    label = [row / 7 for row in range(ROWS - 2)] + [float("inf"), float("-inf")]
    rows = transformed(table, {"x": range(ROWS), "label": label})
    assert np.isnan(rows["label_xf"][:, 0]).tolist() == [False] * (ROWS - 2) + [True] * 2


def test_z_score(table: Tables) -> None:
    values = np.arange(ROWS) / 4
    rows = transformed(table, {"x": values.tolist()}, features={"x": {"transform": "z_score"}})
    assert np.allclose(rows["x_xf"][:, 0], 0.5 + (values - values.mean()) / values.std() / 8, atol=1e-5)


def test_vocabularies(table: Tables) -> None:
    words = ["a"] * 30 + ["b"] * 20 + ["once", "twice", "twice", "", None] + ["a"] * 5
    made = table({"word": words, "hour": [row % 24 for row in range(ROWS)], "label": LABEL}).transform(
        {"label": "label"}
    )
    rows = made.transformed()
    assert made.transform_output.vocabulary_by_name("word_xf") == [b"a", b"b", b"twice"]
    assert rows["word_xf"][:, 0].tolist() == [1] * 30 + [2] * 20 + [4, 3, 3, 0, 0] + [1] * 5
    assert len(set(rows["hour_xf_ids"][:24, 0].tolist())) == 24
    rows = transformed(
        table, {"word": words}, features={"word": {"vocabulary_size": 1, "oov_buckets": 3, "frequency_threshold": 1}}
    )
    assert set(rows["word_xf"][:, 0].tolist()) <= {0, 1, 2, 3, 4}
    assert rows["word_xf"][0, 0] == 1
    assert len(set(rows["word_xf"][30:53, 0].tolist())) > 1


def test_several_values_and_text(table: Tables) -> None:
    tags = [["a", "b", "c"][: row % 4] or None for row in range(ROWS)]
    text = [f"The {'dog' if row % 2 else 'CAT'} sat, here." if row % 5 else None for row in range(ROWS)]
    config = {"text": {"kind": "text", "width": 6, "hash_buckets": 1000}, "tags": {"width": 2}}
    rows = transformed(table, {"tags": tags, "text": text}, features=config)
    assert rows["tags_xf"][:4].tolist() == [[0, 0], [1, 0], [1, 2], [1, 2]]
    words = rows["text_xf"]
    assert words.shape == (ROWS, 6)
    assert (words[::5] == 0).all()
    assert (words[1] == words[3]).all()
    assert (words[1, [0, 2, 3]] == words[2, [0, 2, 3]]).all()  # the, sat, here
    assert words[1, 1] != words[2, 1]
    expected = tf.strings.to_hash_bucket_fast(["the", "dog", "sat", "here", "the dog", "dog sat"], 1000).numpy() + 1
    assert words[1].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ("%Y-%m-%d", {}),
        ("%Y-%m-%dT%H:%M:%S.5+02:00", {}),
        ("%d/%m/%Y", {"format": "%d/%m/%Y"}),
        ("unix", {"format": "unix"}),
    ],
)
def test_dates(table: Tables, values: str, options: dict[str, str]) -> None:
    start = datetime.datetime(1999, 12, 30, 5, 6, 7)
    moments = [start + datetime.timedelta(days=61 * row, hours=row) for row in range(ROWS)]
    written: list[Any] = [int(m.replace(tzinfo=datetime.UTC).timestamp()) for m in moments]
    if values != "unix":
        written = [moment.strftime(values) for moment in moments]
    written[7] = None if values == "unix" else "2001-13-45"
    rows = transformed(table, {"when": written}, features={"when": {"kind": "date", **options}})
    timed = "%H" in values or values == "unix"
    assert ("when_xf_day_sin" in rows) == timed
    for row, moment in enumerate(moments):
        if row == 7:
            assert all(rows[name][row].tolist() == [0, 1] for name in rows if name.startswith("when"))
            continue
        days = (datetime.date(moment.year, moment.month, moment.day) - datetime.date(1970, 1, 1)).days
        turns = {"year": days / 365.2425, "week": moment.weekday() / 7}
        if timed:
            turns["day"] = (moment.hour * 3600 + moment.minute * 60 + moment.second) / 86400
        for part, turn in turns.items():
            circle = [rows[f"when_xf_{part}_{way}"][row, 0] for way in ("sin", "cos")]
            assert circle == pytest.approx([(f(2 * np.pi * turn) + 1) / 2 for f in (np.sin, np.cos)], abs=1e-5)
    there = [row for row in range(ROWS) if row != 7]
    assert (np.diff(rows["when_xf_days"][there, 0]) > 0).all()


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (["no", "yes", None], [0, 1, np.nan], np.float32),
        ([2, 5, None], [0, 1, np.nan], np.float32),
        (["b", "a", "c", None], [1, 0, 2, -1], np.int64),
        ([0.5, 1.25, 7.5, None], [0.5, 1.25, 7.5, np.nan], np.float32),
    ],
)
def test_labels(table: Tables, values: list[Any], expected: list[float], kind: type) -> None:
    label = [values[row % len(values)] for row in range(ROWS)]
    made = table({"x": range(ROWS), "label": label}, eval_rows=len(values)).transform({"label": "label"})
    assert made.transformed("eval")["label_xf"].dtype == kind
    assert np.array_equal(made.transformed("eval")["label_xf"][:, 0], expected, equal_nan=True)


def test_serves_what_it_trains_on(table: Tables, penguins_csv: Path) -> None:
    """The graph on raw examples without their label, as a model server has them, gives the same bytes."""
    made = table(pd.read_csv(penguins_csv), eval_rows=100).transform({"label": "species"})
    output = made.transform_output
    spec = output.raw_feature_spec()
    spec.pop("species")
    served = output.transform_features_layer()(tf.io.parse_example(made.examples("eval"), spec))
    trained = made.transformed("eval")
    assert set(served) == set(trained) - {"species_xf"}
    for name, values in served.items():
        assert np.array_equal(values.numpy(), trained[name]), name


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"label": "late"}, "label: the data has no column 'late'; did you mean 'label'"),
        ({"label": "label", "features": {"day": {"kind": "date", "format": "%d.%b.%Y"}}}, "features.day.format: expe"),
    ],
)  # fmt: skip
def test_mistakes_are_told_as_they_are(table: Tables, config: dict[str, Any], sentence: str) -> None:
    columns = {"day": [f"{row % 28 + 1}.1.2013" for row in range(ROWS)], "label": LABEL}
    with pytest.raises((ConfigError, DataError), match=sentence):
        table(columns).transform(config)


def test_statistics_have_to_be_there(table: Tables) -> None:
    made = table({"x": range(ROWS), "label": LABEL})
    with pytest.raises(
        ConfigError, match="preprocessing_fn has a parameter statistics: expected Transform to be given"
    ):
        made.transform({"label": "label"}, statistics=None)
