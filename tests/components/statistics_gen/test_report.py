"""The page of the data: what its table and charts say of generated columns."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import vl_convert
from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.components.statistics_gen import distributions, groups, report
from penstock.components.statistics_gen.sample import Sample

ROWS = 400
VERSION = vl_convert.get_vegalite_versions()[-1]


def _table(**columns: list[Any]) -> pa.Table:
    return pa.table(
        {name: [None if value is None else [value] for value in values] for name, values in columns.items()}
    )


def _drawn(column: str, is_number: bool, **rows: pa.Table) -> tuple[list[dict[str, Any]], str]:
    drawn = distributions.chart(column, rows, is_number)
    assert drawn
    spec = drawn[0].to_dict()
    return spec["data"]["values"], drawn[1]


def test_whole_numbers_have_a_bucket_each() -> None:
    shown, left_out = _drawn("hour", True, train=_table(hour=[0, 1, 1, 3]), eval=_table(hour=[3]))
    assert [(row["from"], row["share"]) for row in shown if row["group"] == "train"] == [
        *((-0.5, 0.25), (0.5, 0.5), (1.5, 0.0), (2.5, 0.25), (3.5, 0.0)),
    ]
    assert [row["share"] for row in shown if row["group"] == "eval"] == [0, 0, 0, 1, 0]
    assert left_out == ""


def test_a_few_far_values_do_not_press_the_others() -> None:
    values = [*np.linspace(0.1, 1.1, 999), 1e6]
    shown, left_out = _drawn("fare", True, train=_table(fare=[*values, float("nan"), None]))
    assert max(row["from"] for row in shown) < 2
    assert left_out == "1% lie beyond"


def test_the_most_frequent_values_are_bars_and_the_rest_is_told() -> None:
    colours = [f"colour {index % 9}" for index in range(90)] + ["<red>"] * 110
    shown, left_out = _drawn("colour", False, train=_table(colour=colours))
    assert (shown[0]["value"], shown[0]["share"]) == ("<red>", 0.55)
    assert len(shown) == 7
    assert left_out == "3 more values are 15%"


def test_values_with_the_same_beginning_are_counted_apart() -> None:
    beginning = "https://example.org/a/very/long/path/"
    urls = [f"{beginning}{index % 2}/page.html" for index in range(9)]
    shown, left_out = _drawn("url", False, train=_table(url=urls))
    assert [row["share"] for row in shown] == [pytest.approx(5 / 9), pytest.approx(4 / 9)]
    assert len({row["value"] for row in shown}) == 2
    assert all(len(row["value"]) < 30 for row in shown)
    assert left_out == ""
    every = [f"{beginning}{row}.html" for row in range(ROWS)]
    assert distributions.chart("url", {"train": _table(url=every)}, False) is None


DAYS = [date(2013, 1, 1) + timedelta(days) for days in range(364)]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("day", [f"{day:%Y-%m-%d}" for day in DAYS]),
        ("day", [f"{day:%d.%m.%Y} 00:00".encode() for day in DAYS]),
        ("created_at", [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) for day in DAYS]),
        ("order_date", [int(f"{day:%Y%m%d}") for day in DAYS]),
    ],
)
def test_dates_are_on_an_axis_of_time(column: str, values: list[Any]) -> None:
    train, is_number = _table(**{column: values}), isinstance(values[0], int)
    drawn = distributions.chart(column, {"train": train, "eval": train.slice(0, 16)}, is_number)
    assert drawn
    spec = drawn[0].to_dict()
    encoding, rows = spec["encoding"]["x"], spec["data"]["values"]
    assert (encoding["type"], encoding["scale"]["type"]) == ("temporal", "utc")
    first, *_ = (row for row in rows if row["group"] == "train")
    assert (first["first"], first["last"]) == ("1 January 2013", "17 January 2013"), "buckets of whole days"
    assert first["share"] == pytest.approx(16 / 364)
    assert sum(row["share"] for row in rows if row["group"] == "train") == pytest.approx(1)
    assert next(row["share"] for row in rows if row["group"] == "eval") == 1
    texts = re.findall(">([^<>]+)</text>", vl_convert.vegalite_to_svg(spec, vl_version=VERSION))
    assert {"2013", "April", "July", "October"} <= set(texts)


def test_moments_of_one_day_and_values_that_are_no_dates() -> None:
    minutes = [f"2013-01-01T{minute // 60:02}:{minute % 60:02}" for minute in range(0, 24 * 60, 10)]
    shown, left_out = _drawn("at", False, train=_table(at=["soon", *minutes, "later"]))
    assert [row["first"] for row in shown][:3] == ["1 January 2013", "1 January 2013, 00:59", "1 January 2013, 01:59"]
    assert left_out == "2 are no dates"


def test_the_last_day_of_all_is_drawn_too() -> None:
    """It stands for "never", and the day after it, where its bucket would end, is none."""
    days = [f"2024-01-{day:02}" for day in range(1, 29)]
    shown, _ = _drawn("valid_to", False, train=_table(valid_to=[*days, "9999-12-31"]))
    assert sum(row["share"] for row in shown) == pytest.approx(1)
    assert (shown[0]["first"], shown[-1]["last"]) == ("1 January 2024", "31 December 9999")


@pytest.mark.parametrize(
    ("column", "values", "is_number"),
    [
        ("amount", [20130101, 20131231], True),  # whose name says nothing of a time
        ("code", ["10.4.11", "10.4.12"] * 20, False),
        ("day", ["2013-01-01", *["soon", "late"] * 20], False),
    ],
)
def test_what_is_no_date(column: str, values: list[Any], is_number: bool) -> None:
    drawn = distributions.chart(column, {"train": _table(**{column: values})}, is_number)
    assert drawn
    assert "temporal" not in json.dumps(drawn[0].to_dict()["encoding"])


def test_years_have_no_separators_of_thousands() -> None:
    for years in ([1999, 2000, 2013], list(range(1850, 2013))):
        drawn = distributions.chart("built", {"train": _table(built=years)}, True)
        assert drawn
        svg = vl_convert.vegalite_to_svg(drawn[0].to_dict(), vl_version=VERSION)
        assert ">2000</text>" in svg
        assert "2,000" not in svg


@pytest.mark.parametrize(
    ("values", "is_number"),
    [([1.0] * 5, True), ([None] * 5, True), ([f"key {row}" for row in range(ROWS)], False), ([None], False)],
)
def test_where_there_is_nothing_to_see_there_is_no_chart(values: list[Any], is_number: bool) -> None:
    assert distributions.chart("a", {"train": _table(a=values)}, is_number) is None
    assert distributions.chart("b", {"train": _table(a=values)}, is_number) is None


def _sizes(label: list[Any]) -> dict[str, int]:
    return {name: table.num_rows for name, table in groups.by_label(_table(label=label), "label").items()}


def test_rows_by_label() -> None:
    assert _sizes(["no", "yes", None, "no"]) == {"label = no": 2, "label = yes": 1}
    assert _sizes([0, 1, 1]) == {"label = 0": 1, "label = 1": 2}
    assert _sizes([float(row) for row in range(9)]) == {"up to 2.67": 3, "up to 5.33": 3, "above 5.33": 3}
    assert _sizes([0.0] * 7 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == {"up to 0": 7, "up to 2": 2, "above 2": 4}
    years = [year for year in range(2001, 2021) for _ in range(3)]
    assert _sizes(years) == {"up to 2007": 21, "up to 2014": 21, "above 2014": 18}
    close = [1 + row * 1e-9 for row in range(9)]
    assert list(_sizes(close).values()) == [3, 3, 3]
    assert list(_sizes(["a class with a long name: 1", "a class with a long name: 2"]).values()) == [1, 1]
    assert _sizes([None, None]) == {}
    assert groups.by_label(_table(other=[1]), "label") == {}


def test_the_page(tmp_path: Path, write_examples: Any) -> None:
    """Of real statistics, through the executor."""
    from penstock.components.statistics_gen import executor

    numbers = np.arange(ROWS)
    columns = {
        "late": ["no", "yes", "no", "no"] * (ROWS // 4),
        "fare": [None if row % 4 == 0 else row / 7 for row in range(ROWS)],
        "gaps": [[] if row % 5 == 0 else [row % 2] for row in range(ROWS)],  # as ExampleGen writes empty cells
        "hour": (numbers % 24).tolist(),
        "<b>": ["A", "A", "A", "A", "</script>", "</script>", "</script>", "C"] * (ROWS // 8),
        "one": [17031000000] * ROWS,
        "year": (2010 + numbers % 4).tolist(),
        "no value": [[]] * ROWS,
    }
    examples = write_examples({"train": pa.table(columns), "eval": pa.table(columns).slice(0, 40)})
    written = tmp_path / "page"
    executor.run(
        statistics=str(tmp_path / "statistics"),
        examples=str(examples),
        report=str(written),
        label="late",
        engine="local:1",
    )
    text, _, _ = written.read_text().partition("</main>")
    rows = [
        [unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in re.findall(r"<td.*?</td>", row)]
        for row in re.findall(r"<tr><td.*?</tr>", text)
    ]
    assert rows == [
        ["<b>", "text", "none", "none", "3", "A 50%, </script> 37.5%, C 12.5%"],
        ["fare", "number", "25%", "25%", "", "0.143 to 57, median 28.7, mean 28.6"],
        ["gaps", "integer", "20%", "20%", "2", "0 to 1, median 1, mean 0.5"],
        ["hour", "integer", "none", "none", "24", "0 to 23, median 11, mean 11.3"],
        ["late label", "text", "none", "none", "2", "no 75%, yes 25%"],
        ["no value", "empty", "100%", "100%", "0", ""],
        ["one", "integer", "none", "none", "1", "always 17,031,000,000"],
        ["year", "integer", "none", "none", "4", "2010 to 2013, median 2012, mean 2011.5"],
    ]
    assert re.findall(r"<option>(.*?)</option>", text) == ["split", "label (late)"]
    assert len(re.findall(r'<script type="application/json">', text)) == 12, "six columns by split and by label"
    specs = [json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    assert {row["group"] for row in specs[-1]["data"]["values"]} == {"late = no", "late = yes"}


def test_a_column_of_numbers_in_one_split_and_of_text_in_another(tmp_path: Path, write_examples: Any) -> None:
    from penstock.components.statistics_gen import executor

    examples = write_examples({"train": {"code": [1, 2, 2, 2]}, "eval": {"code": ["2", "x", "x", "x"]}})
    executor.run(
        statistics=str(tmp_path / "statistics"),
        examples=str(examples),
        report=str(tmp_path / "page"),
        label="",
        engine="local:1",
    )
    text, _, _ = (tmp_path / "page").read_text().partition("</main>")
    (spec,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    shares = {(row["group"], row["value"]): row["share"] for row in json.loads(spec)["data"]["values"]}
    assert {key: share for key, share in shares.items() if share} == {
        **{("train", "1"): 0.25, ("train", "2"): 0.75},
        **{("eval", "2"): 0.25, ("eval", "x"): 0.75},
    }


def test_columns_with_long_names_are_told_apart(tmp_path: Path) -> None:
    columns = [f"{'x' * 40}{number}{'y' * 40}" for number in range(2)]
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=0)
    for column in columns:
        dataset.features.add().path.step.append(column)
    text = report.write(tmp_path / "page", {"train": dataset}, {"train": Sample()}, "").read_text()
    assert len(set(re.findall("<code>(.*?)</code>", text))) == 2
