"""The page of the data: what its table and charts say of generated columns."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from penstock.components.statistics_gen import distributions, groups, report
from penstock.components.statistics_gen.sample import Sample

ROWS = 400


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
    assert _sizes(years) == {"up to 2,007": 21, "up to 2,014": 21, "above 2,014": 18}
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
    ]
    assert re.findall(r"<option>(.*?)</option>", text) == ["split", "label (late)"]
    assert len(re.findall(r'<script type="application/json">', text)) == 10, "five columns by split and by label"
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
