"""The plan through Transform, value for value, and the same from the graph when it serves."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from penstock.core.errors import ConfigError, DataError
from penstock.trainer import preprocessing
from penstock.trainer.plan import dates
from tests.trainer import tables

Tables = Callable[..., Any]
ROWS = 60
LABEL = [row % 2 for row in range(ROWS)]


def transformed(table: Tables, columns: dict[str, Any], label: str = "label", **config: Any) -> dict[str, np.ndarray]:
    columns = {"label": LABEL, **columns}
    return dict(table(columns).transform({"label": label, **config}).transformed())


@pytest.mark.slow
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


@pytest.mark.slow
def test_numbers_with_few_values_have_a_place_each(table: Tables) -> None:
    rows = transformed(table, {"x": [0] * 50 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]})
    places = sorted(set(rows["x_xf"][:, 0].tolist()))
    assert places[0] == 0
    assert places[-1] == 1
    assert len(places) == 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy, of the infinite ones' mean in the statistics
def test_nan_is_missing_and_infinity_the_end(table: Tables) -> None:
    values = [row / 7 for row in range(ROWS - 2)] + [float("inf"), float("-inf")]
    rows = transformed(table, {"x": values, "pair": [[1.5, float("nan")]] * 5 + [[row / 3, 0.5] for row in range(55)]})
    assert rows["x_xf"][-2:].tolist() == [[1, 0], [0, 0]]
    assert rows["pair_xf_1"][:5].tolist() == [[0, 1]] * 5
    assert (rows["pair_xf_1"][5:, 1] == 0).all()


@pytest.mark.slow
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


@pytest.mark.slow
def test_vocabularies(table: Tables) -> None:
    words = ["a"] * 30 + ["b"] * 20 + ["once", "twice", "twice", "", None] + ["a"] * 5
    columns = {
        "word": words,
        "hour": [row % 24 for row in range(ROWS)],
        "lines": [("a\nb", "a\r\nc", "\xff\xfe", "d")[row % 4] for row in range(ROWS)],
        "label": LABEL,
    }
    made = table(columns).transform({"label": "label"})
    rows = made.transformed()
    assert made.transform_output.vocabulary_by_name("word_xf") == [b"a", b"b", b"twice"]
    assert rows["word_xf"][:, 0].tolist() == [1] * 30 + [2] * 20 + [4, 3, 3, 0, 0] + [1] * 5
    assert len(set(rows["hour_xf_ids"][:24, 0].tolist())) == 24
    assert sorted(rows["lines_xf"][:4, 0].tolist()) == [1, 2, 3, 4], "none of several lines is among the others"
    rows = transformed(
        table, {"word": words}, features={"word": {"vocabulary_size": 1, "oov_buckets": 3, "frequency_threshold": 1}}
    )
    assert set(rows["word_xf"][:, 0].tolist()) <= {0, 1, 2, 3, 4}
    assert rows["word_xf"][0, 0] == 1
    assert len(set(rows["word_xf"][30:53, 0].tolist())) > 1


@pytest.mark.slow
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


FIRST = (1362683700123, 10**15, -(10**18), 2**62)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Columns by the number in their names: that element of FIRST and those after it, and one that is far off."""
    columns: dict[str, Any] = {"label": LABEL, "ends": [-(2**63), 2**63 - 1] * 30}
    for number, first in enumerate(FIRST):
        values = [first + row for row in range(ROWS - 1)] + [5]
        columns |= {f"x{number}": values, f"list{number}": [[value] * 2 for value in values]}
    return tables.write(tmp_path_factory.mktemp("large"), columns).transform({"label": "label"}).transformed()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(FIRST)))
def test_large_integers_keep_their_last_digits(large: dict[str, np.ndarray], number: int) -> None:
    """Also beside one that is far off, whose distance no float of 32 bits holds with them."""
    order = np.argsort([FIRST[number] + row for row in range(ROWS - 1)] + [5])
    for name in (f"x{number}_xf", f"list{number}_xf_1"):
        assert (np.diff(large[name][order, 0]) > 0).all(), name
    assert large["ends_xf"][:, 0].tolist() == [0, 1] * 30


@pytest.mark.slow
def test_days_within_a_minute(table: Tables) -> None:
    start = datetime.datetime(2024, 3, 17, 8, 5)
    texts = [f"{start + datetime.timedelta(seconds=row)}" for row in range(ROWS)]
    rows = transformed(table, {"when": texts, "time": [1710662700 + row for row in range(ROWS)]})
    assert (np.diff(rows["when_xf_days"][:, 0]) > 0).all()
    assert np.array_equal(rows["time_xf_days"], rows["when_xf_days"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "written",
    [
        "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M", "%Y%m%d", "%d.%m.%Y", "%d.%m.%Y, %H:%M", "%d/%m/%Y %H:%M:%S",
        "%m/%d/%Y", "%m/%d/%Y %I:%M %p", "%m/%d/%y %H:%M", "%d-%b-%Y", "%B %d, %Y", "%d %b %Y %I:%M:%S %p",
    ],
)  # fmt: skip
def test_the_graph_reads_dates_as_python_does(written: str) -> None:
    """Thousands of moments, the ends of all Februaries and the days before and after them among them, to the second."""
    rng = np.random.default_rng(0)
    day = datetime.timedelta(days=1)
    first = datetime.datetime(1970, 1, 1) if "%y" in written else datetime.datetime(1583, 1, 1)
    moments = [first + day * (365.2425 * 98 if "%y" in written else 365.2425 * 700) * part for part in rng.random(3000)]
    moments += [datetime.datetime(year, 3, 1) + day * days for year in (1972, 2000, 2023) for days in (-2, -1, 0)]
    texts = [moment.strftime(written) for moment in moments]
    found = dates.written(texts)
    assert found is not None
    assert not found.other
    assert not found.unread
    read = tf.function(lambda rows: preprocessing.seconds(rows, found.format, timed=True))
    seconds, valid = read(tf.RaggedTensor.from_tensor(tf.constant(texts)[:, tf.newaxis]))
    assert valid.numpy().all()
    actual = [datetime.datetime.strptime(text, written) for text in texts]
    assert seconds.numpy().tolist() == [
        int((moment - datetime.datetime(1970, 1, 1)).total_seconds()) for moment in actual
    ]


def test_days_that_there_are_not_are_missing() -> None:
    texts = [
        "30.02.2024",
        "29.02.2024",
        "29.02.1900",
        "31.04.2024",
        "0.1.2024",
        "1.13.2024",
        "1.1.2024 8:60",
        "x",
        "31.12.2024 8:05",
    ]
    read = tf.function(lambda rows: preprocessing.seconds(rows, "%d.%m.%Y", timed=True))
    seconds, valid = read(tf.RaggedTensor.from_tensor(tf.constant(texts)[:, tf.newaxis]))
    moments = [dates.read(text, "%d.%m.%Y") for text in texts]
    assert [moment is not None for moment in moments] == valid.numpy().tolist()
    assert [dates.seconds(moment) for moment in moments if moment] == seconds.numpy()[valid.numpy()].tolist()
    assert valid.numpy().sum() == 2


# How a column of dates is written, and what its configuration says of it.
DATES: list[tuple[str, dict[str, str]]] = [
    ("%Y-%m-%d", {}),
    ("%Y-%m-%dT%H:%M:%S.5+02:00", {}),
    ("%d/%m/%Y", {"format": "%d/%m/%Y"}),
    ("%m/%d/%Y %I:%M:%S %p", {}),
    ("unix", {"format": "unix"}),
    ("unix", {}),
    ("unix_ms", {}),
]
UNITS = {"unix": 1, "unix_ms": 1000}  # of a second
START = datetime.datetime(1999, 12, 30, 5, 6, 7)
MOMENTS = [START + datetime.timedelta(days=61 * row, hours=row) for row in range(ROWS)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """A column `when` with its number for each of DATES; in row 7 it is missing, or no date."""
    columns: dict[str, Any] = {"label": LABEL}
    for number, (values, _) in enumerate(DATES):
        per = UNITS.get(values)
        column: list[Any] = [moment.strftime(values) for moment in MOMENTS]
        if per:
            column = [int(moment.replace(tzinfo=datetime.UTC).timestamp() * per) for moment in MOMENTS]
        column[7] = None if per else "2001-13-45"
        columns[f"when{number}"] = column
    features = {f"when{number}": {"kind": "date", **options} for number, (_, options) in enumerate(DATES)}
    table = tables.write(tmp_path_factory.mktemp("dates"), columns)
    return table.transform({"label": "label", "features": features}).transformed()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(DATES)))
def test_dates(written: dict[str, np.ndarray], number: int) -> None:
    values, _ = DATES[number]
    rows = {name: column for name, column in written.items() if name.startswith(f"when{number}_")}
    timed = "%M" in values or values in UNITS
    assert (f"when{number}_xf_day_sin" in rows) == timed
    for row, moment in enumerate(MOMENTS):
        if row == 7:
            assert all(column[row].tolist() == [0, 1] for column in rows.values())
            continue
        days = (datetime.date(moment.year, moment.month, moment.day) - datetime.date(1970, 1, 1)).days
        turns = {"year": days / 365.2425, "week": moment.weekday() / 7}
        if timed:
            turns["day"] = (moment.hour * 3600 + moment.minute * 60 + moment.second) / 86400
        for part, turn in turns.items():
            circle = [rows[f"when{number}_xf_{part}_{way}"][row, 0] for way in ("sin", "cos")]
            assert circle == pytest.approx([(f(2 * np.pi * turn) + 1) / 2 for f in (np.sin, np.cos)], abs=1e-5)
    there = [row for row in range(ROWS) if row != 7]
    assert (np.diff(rows[f"when{number}_xf_days"][there, 0]) > 0).all()


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


@pytest.mark.slow
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
        ConfigError, match="preprocessing_fn has a parameter statistics: expected the input statistics of Transform"
    ):
        made.transform({"label": "label"}, statistics=None)


@pytest.mark.slow
def test_vocabularies_of_columns_with_long_or_similar_names(table: Tables) -> None:
    """Each has a file of its own, which the graph that serves finds too."""
    long = "c" * 250
    values = {f"{long}1": ["red", "blue"], f"{long}2": ["cat", "dog"], "a.b": ["oak", "elm"], "a_b": ["tea", "milk"]}
    columns = {name: [pair[row % 2] for row in range(ROWS)] for name, pair in values.items()}
    made = table({"label": LABEL, **columns}).transform({"label": "label"})
    output = made.transform_output
    found = [sorted(output.vocabulary_by_name(name)) for name in sorted(made.transformed()) if name != "label_xf"]
    assert sorted(found) == sorted(sorted(value.encode() for value in pair) for pair in values.values())
    assert all(len(set(ids[:, 0].tolist())) == 2 for name, ids in made.transformed().items() if name != "label_xf")
