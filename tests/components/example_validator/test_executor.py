"""ExampleValidator against TFX's executor, and what it adds: drift, skew, the label, the report, the failure."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from penstock.components.example_validator import executor
from penstock.components.schema_gen import executor as schema_gen
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.core import artifacts
from penstock.core.artifacts import GateResult
from penstock.core.errors import ConfigError, DataError, SchemaError

WriteExamples = Callable[..., Path]
METADATA = {"split_names": '["train", "eval"]', "span": 2.0}


class Data:
    """Taxi trips as statistics, by a name for each variant; the schema is that of the variant `good`."""

    def __init__(self, root: Path, write_examples: WriteExamples, taxi: pa.Table):
        self.root, self.taxi, self._write_examples = root, taxi, write_examples
        self.good = self.statistics("good", {"train": taxi.slice(0, 2000), "eval": taxi.slice(2000)})
        schema_gen.run(schema=str(root / "schema"), statistics=str(self.good), statistics_metadata=METADATA)

    def statistics(self, name: str, splits: dict[str, Any]) -> Path:
        examples = self._write_examples(splits, name=f"examples-{name}")
        target = self.root / f"statistics-{name}"
        statistics_gen.run(statistics=str(target), examples=str(examples), engine="local:1")
        return target

    def edit(self, change: Callable[[dict[str, schema_pb2.Feature], schema_pb2.Schema], None]) -> None:
        artifact = artifacts.Schema(self.root / "schema")
        schema = artifact.read()
        change({feature.name: feature for feature in schema.feature}, schema)
        artifact.write(schema)

    def validate(self, statistics: Path, **parameters: Any) -> GateResult:
        return executor.run(
            anomalies=str(self.root / "anomalies"),
            report=str(self.root / "report.html"),
            statistics=str(statistics),
            schema=str(self.root / "schema"),
            **{"statistics_metadata": METADATA, **parameters},
        )

    def anomalies(self, split: str) -> anomalies_pb2.Anomalies:
        return artifacts.ExampleAnomalies(self.root / "anomalies").read(split)

    def report(self) -> str:
        return (self.root / "report.html").read_text()


@pytest.fixture
def data(tmp_path: Path, write_examples: WriteExamples, taxi_csv: Path) -> Data:
    return Data(tmp_path, write_examples, pa.csv.read_csv(taxi_csv).slice(0, 3000))


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values))


@pytest.fixture
def broken(data: Data) -> Path:
    """Statistics of trips with wrong payment types, too large hours, an unknown and a missing column, in `train`."""
    train = data.taxi.slice(0, 2000)
    payments = train["payment_type"].to_pylist()
    payments[0:12] = ["Bitcoin"] * 9 + ["<b>Barter & Co</b>"] * 3
    train = with_column(train, "payment_type", payments)
    train = with_column(train, "trip_start_hour", [hour + 4 for hour in train["trip_start_hour"].to_pylist()])
    train = train.append_column("weather", pa.array(["rain", "sun"] * 1000)).drop_columns(["trip_miles"])
    return data.statistics("broken", {"train": train, "eval": data.taxi.slice(2000)})


def test_data_that_meets_the_schema(data: Data) -> None:
    result = data.validate(data.good, fail_on_anomalies=True)
    assert result.blessed is True
    assert result.metadata["anomalies"] == {
        "tfx_version": "1.21.0",
        "split_names": '["train", "eval"]',
        "blessed": '{"train": 1, "eval": 1}',
        "span": 2,
    }
    assert "No anomalies were found." in data.report()


def test_anomalies_are_those_of_tfx(data: Data, broken: Path, tmp_path: Path) -> None:
    from tfx.components.example_validator.executor import Executor
    from tfx.types import standard_artifacts

    statistics, schema = standard_artifacts.ExampleStatistics(), standard_artifacts.Schema()
    statistics.uri, statistics.split_names, statistics.span = str(broken), METADATA["split_names"], 2
    schema.uri = str(tmp_path / "schema")
    theirs = standard_artifacts.ExampleAnomalies()
    theirs.uri = str(tmp_path / "tfx")
    Executor().Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [theirs]}, {"exclude_splits": json.dumps([])}
    )

    result = data.validate(broken)
    assert result.blessed is False
    assert json.loads(result.metadata["anomalies"]["blessed"]) == theirs.get_json_value_custom_property("blessed")
    assert result.metadata["anomalies"]["split_names"] == theirs.split_names
    for split in ("train", "eval"):
        assert data.anomalies(split) == artifacts.ExampleAnomalies(Path(theirs.uri)).read(split)
    assert set(data.anomalies("train").anomaly_info) == {"payment_type", "trip_miles", "weather"}


def test_without_the_gate_the_features_are_named_all_the_same(
    data: Data, broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = data.validate(broken)
    assert result.blessed is False
    sentences = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(sentences) == 3
    assert sentences[0].startswith("split 'train': feature 'payment_type': unexpected string values: ")
    assert sentences[1].startswith("split 'train': feature 'trip_miles': ")
    assert sentences[2].startswith("split 'train': feature 'weather': new column")
    caplog.clear()
    with pytest.raises(DataError):
        data.validate(broken, fail_on_anomalies=True)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == [], "the error has them"


def test_excluded_split(data: Data, broken: Path) -> None:
    result = data.validate(broken, exclude_splits=["train"], fail_on_anomalies=True)
    assert (result.blessed, result.metadata["anomalies"]["split_names"]) == (True, '["eval"]')
    with pytest.raises(ConfigError, match="no split is left: there are train, eval"):
        data.validate(broken, exclude_splits=["train", "eval", "test"])


def test_failure_names_split_feature_and_values_and_keeps_the_artifacts(data: Data, broken: Path) -> None:
    def bound(features: dict[str, schema_pb2.Feature], schema: schema_pb2.Schema) -> None:
        features["trip_start_hour"].int_domain.max = 23

    data.edit(bound)
    with pytest.raises(DataError) as raised:
        data.validate(broken, fail_on_anomalies=True)
    told = raised.value.message + "\n" + raised.value.details
    assert raised.value.message.startswith("split 'train': feature 'payment_type': unexpected string values")
    assert "'Bitcoin': 9, '<b>Barter & Co</b>': 3" in raised.value.message
    assert "feature 'trip_start_hour': out-of-range values: Unexpectedly large value: 27 (min 4, " in told
    assert "allowed 23 and less" in told
    assert "feature 'weather': new column" in told
    assert "'sun': 1,000" in told
    assert str(data.root / "report.html") in raised.value.message
    assert len(data.anomalies("train").anomaly_info) == 4
    assert not data.anomalies("eval").anomaly_info


class Page(HTMLParser):
    """The text of a page and what it would load."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attributes if name in ("src", "href", "srcset")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.texts.append(text)


def test_report_shows_the_offending_values_and_loads_nothing(data: Data, broken: Path) -> None:
    data.validate(broken)
    page = Page(data.report())
    assert page.open == []
    assert all(load.startswith("a #") for load in page.loads)
    assert {"train", "eval", "payment_type", "Bitcoin", "9", "0.45%", "<b>Barter & Co</b>", "weather"} <= set(
        page.texts
    )
    assert "This split meets the schema." in page.texts
    assert "<script" not in data.report()


def test_wrong_type_is_a_schema_error_with_the_values_that_are_no_numbers(data: Data) -> None:
    fares = [str(fare) for fare in data.taxi["fare"].to_pylist()]
    fares[5:8] = ["n/a"] * 3
    wrong = data.statistics("wrong", {"train": with_column(data.taxi, "fare", fares), "eval": data.taxi})
    with pytest.raises(SchemaError, match=r"'fare': unexpected data type: .*FLOAT but got STRING \('n/a': 3\)"):
        data.validate(wrong, fail_on_anomalies=True)
    assert data.validate(wrong).blessed is False


def test_schema_of_other_data(data: Data) -> None:
    def rename(features: dict[str, schema_pb2.Feature], schema: schema_pb2.Schema) -> None:
        for feature in schema.feature:
            feature.name += "_x"

    data.edit(rename)
    with pytest.raises(SchemaError, match=r"fits no feature of split 'train': it expects company_x, .* has company"):
        data.validate(data.good)


def test_label_may_be_missing_at_serving_only(data: Data) -> None:
    without = data.taxi.drop_columns(["tips"])
    statistics = data.statistics("without", {"train": without, "eval": without})
    schema_gen.run(
        schema=str(data.root / "schema"), statistics=str(data.good), label="tips", statistics_metadata=METADATA
    )
    assert data.validate(data.good).blessed is True
    assert data.validate(statistics).blessed is False
    assert "tips" in data.anomalies("train").anomaly_info


def test_drift_and_skew(data: Data) -> None:
    def compare(features: dict[str, schema_pb2.Feature], schema: schema_pb2.Schema) -> None:
        features["payment_type"].drift_comparator.infinity_norm.threshold = 0.01
        features["trip_seconds"].skew_comparator.jensen_shannon_divergence.threshold = 0.01

    data.edit(compare)
    later = with_column(data.taxi, "payment_type", ["Cash"] * 3000)
    later = with_column(later, "trip_seconds", [value and value * 3 for value in later["trip_seconds"].to_pylist()])
    changed = data.statistics("changed", {"train": later, "eval": later})
    assert data.validate(changed).blessed is True
    assert data.validate(data.good, previous_statistics=str(data.good), serving_statistics=str(data.good)).blessed

    result = data.validate(changed, previous_statistics=str(data.good))
    assert result.blessed is False
    assert set(data.anomalies("eval").anomaly_info) == {"payment_type"}
    assert {"Credit Card", "0.00%", "Measured drift and skew", "drift", "above"} <= set(Page(data.report()).texts)

    serving = data.statistics("serving", {"serving": data.taxi})  # one split is compared with all
    result = data.validate(changed, serving_statistics=str(serving))
    assert set(data.anomalies("train").anomaly_info) == set(data.anomalies("eval").anomaly_info) == {"trip_seconds"}
    assert {"figure", "median", "skew"} <= set(Page(data.report()).texts)


def test_earlier_statistics_without_the_split(data: Data) -> None:
    other = data.statistics("other", {"train": data.taxi, "test": data.taxi})
    with pytest.raises(DataError, match="split 'eval' does not exist: expected one of test, train"):
        data.validate(data.good, previous_statistics=str(other))


def labelled(data: Data, name: str, train: list[Any], evaluation: list[Any]) -> dict[str, Any]:
    splits = {"train": {"label": train, "x": list(range(len(train)))}}
    splits["eval"] = {"label": evaluation, "x": list(range(len(evaluation)))}
    statistics = data.statistics(name, splits)
    schema_gen.run(schema=str(data.root / "schema"), statistics=str(statistics), statistics_metadata=METADATA)
    return {"statistics": statistics, "label": "label"}


@pytest.mark.parametrize(
    ("train", "evaluation", "split", "missing"),
    [
        (["a", "b", "c"], ["a", "b", "b"], "eval", ["c"]),
        (["a", "b"], ["c", "a", "b", "d"], "train", ["c", "d"]),
        ([0, 1], [0, 0, 0], "eval", ["1"]),
        ([1, 2, 3], [0, 1, 3], "train", ["0"]),
        ([-1, 0, 1], [-1, 1, 1], "eval", ["0"]),
        ([1000000, 1000001], [1000001, 1000001], "eval", ["1000000"]),
        ([2**53, 2**53 + 1], [2**53, 2**53], "eval", ["9007199254740993"]),
        ([-(2**53), -(2**53) - 1], [-(2**53), -(2**53)], "eval", ["-9007199254740993"]),
        ([2**53 + 1, 2**53 + 3], [2**53 + 1, 2**53 + 1], "eval", ["9007199254740995"]),
    ],
)
def test_class_missing_from_a_split(
    data: Data, train: list[Any], evaluation: list[Any], split: str, missing: list[str]
) -> None:
    arguments = labelled(data, "labelled", train * 10, evaluation * 10)
    result = data.validate(**arguments)
    other = {"train": "eval", "eval": "train"}[split]
    assert json.loads(result.metadata["anomalies"]["blessed"]) == {split: 0, other: 1}
    info = data.anomalies(split).anomaly_info["label"]
    sentences = [
        f"The class {name!r} of the label 'label' occurs in split {other!r} and not in split {split!r}."
        for name in missing
    ]
    assert [reason.description for reason in info.reason] == sentences
    assert info.description == " ".join(sentences)
    assert list(info.path.step) == ["label"]
    with pytest.raises(DataError, match=f"split '{split}': feature 'label': class missing .*{missing[0]!r}"):
        data.validate(**arguments, fail_on_anomalies=True)


@pytest.mark.parametrize(
    ("train", "evaluation"),
    [
        (["a", "b"], ["b", "a"]),
        ([0, 1, 2], [2, 1, 0]),
        ([1, 500], [3, 900]),
        ([1000000, 1000001], [1000001, 1000000]),
        ([2**53, 2**53 + 1], [2**53 + 1, 2**53]),
        ([0.5, 1.5], [0.25, 9.0]),
    ],
)
def test_labels_without_fault(data: Data, train: list[Any], evaluation: list[Any]) -> None:
    assert data.validate(**labelled(data, "fine", train, evaluation), fail_on_anomalies=True).blessed is True


def test_label_constant_in_one_split(data: Data) -> None:
    arguments = labelled(data, "constant", [7.5, 7.5], [1.5, 7.5])
    assert data.validate(**arguments).blessed is False
    assert data.anomalies("train").anomaly_info["label"].description == (
        "The label 'label' is '7.5' in every example of split 'train'."
    )


@pytest.mark.parametrize("value", ["a", 3, 2.5, 2**53 + 1])
def test_label_constant_everywhere(data: Data, value: Any) -> None:
    with pytest.raises(DataError, match=f"label 'label' is '{value}' in every example of every split"):
        data.validate(**labelled(data, "constant", [value] * 3, [value] * 2))


def test_label_missing(data: Data) -> None:
    with pytest.raises(DataError, match="label 'tip' has no value in any split"):
        data.validate(data.good, label="tip")
    statistics = data.statistics(
        "partly", {"train": {"label": ["a", "b"]}, "eval": {"label": [None, None], "x": [1, 2]}}
    )
    schema_gen.run(schema=str(data.root / "schema"), statistics=str(statistics), statistics_metadata=METADATA)
    assert data.validate(statistics, label="label").blessed is False
    assert "The label 'label' has no value in this split." in data.anomalies("eval").anomaly_info["label"].description


@pytest.mark.parametrize(
    ("low", "high", "values", "out"),
    [
        (0, 2**53, [0, 2**53], {}),
        (0, 2**53, [0, 2**53 + 1], {"large": 2**53 + 1}),
        (0, 2**53 + 3, [0, 2**53 + 3], {}),
        (-(2**53), 0, [-(2**53) - 1, 0], {"small": -(2**53) - 1}),
        (-(2**53) - 3, 0, [-(2**53) - 3, 0], {}),
        (-(2**53), 2**53, [-(2**53) - 1, 2**53 + 1], {"small": -(2**53) - 1, "large": 2**53 + 1}),
        (-(2**63) + 1, 2**63 - 1, [-(2**63) + 1, 2**63 - 1], {}),
        (-(2**63) + 1, 2**63 - 2, [-(2**63), 2**63 - 1], {"small": -(2**63), "large": 2**63 - 1}),
        (2, 5, [1, 6], {"small": 1, "large": 6}),
    ],
)
def test_bounds_are_compared_exactly(data: Data, low: int, high: int, values: list[int], out: dict[str, int]) -> None:
    def bound(features: dict[str, schema_pb2.Feature], schema: schema_pb2.Schema) -> None:
        features["label"].int_domain.min, features["label"].int_domain.max = low, high

    statistics = labelled(data, "bounds", values, values)["statistics"]
    data.edit(bound)
    assert data.validate(statistics).blessed is not bool(out)
    found = data.anomalies("train").anomaly_info
    sentences = [f"Unexpectedly {size} value: {value}." for size, value in out.items()]
    assert [reason.description for info in found.values() for reason in info.reason] == sentences
    if out:
        assert set(found) == {"label"}
        assert f"{min(values):,}" in data.report()


def test_invalid_schema(data: Data) -> None:
    (data.root / "schema" / "schema.pbtxt").write_text("feature { nam: 1 }")
    with pytest.raises(SchemaError, match="expected a Schema in protobuf's text form"):
        data.validate(data.good)
