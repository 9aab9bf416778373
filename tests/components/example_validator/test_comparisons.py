"""Drift and skew that are not measured are told, and so is a folder that holds no statistics."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.components.example_validator import executor
from penstock.core import artifacts
from penstock.core.errors import DataError

FEATURES = "feature {{ name: 'city' type: BYTES {city} }} feature {{ name: 'fare' type: FLOAT {fare} }}"
DRIFT = "drift_comparator { infinity_norm { threshold: 0.1 } }"
SKEW = "skew_comparator { jensen_shannon_divergence { threshold: 0.1 } }"
type Validate = Callable[..., str]


def column(name: str, **stats: Any) -> statistics_pb2.FeatureNameStatistics:
    common = statistics_pb2.CommonStatistics(num_non_missing=2, tot_num_values=2, min_num_values=1, max_num_values=1)
    if name == "city":
        buckets = [statistics_pb2.RankHistogram.Bucket(label=label, sample_count=1) for label in ("Oslo", "Rome")]
        ranks = statistics_pb2.RankHistogram(buckets=buckets)
        strings = statistics_pb2.StringStatistics(common_stats=common, unique=2, rank_histogram=ranks)
        feature = statistics_pb2.FeatureNameStatistics(type="STRING", string_stats=strings)
    else:
        numbers = statistics_pb2.NumericStatistics(common_stats=common, mean=1.0, min=0.0, max=2.0)
        bounds = numbers.histograms.add(type="STANDARD").buckets
        bounds.add(low_value=0.0, high_value=1.0, sample_count=1.0)
        bounds.add(low_value=1.0, high_value=2.0, sample_count=1.0)
        feature = statistics_pb2.FeatureNameStatistics(type="FLOAT", num_stats=numbers)
    feature.path.step.append(name)
    return feature


def statistics(folder: Path, *columns: str) -> str:
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=2, features=map(column, columns))
    written = statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])
    for split in ("train", "eval"):
        artifacts.ExampleStatistics(folder).write(split, written)
    return str(folder)


@pytest.fixture
def validate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Validate:
    """Returns a function that validates two columns against a schema with these comparators; what it warned of."""

    def run(city: str = "", fare: str = "", more: str = "", **inputs: str) -> str:
        schema = artifacts.Schema(tmp_path / "schema")
        schema.write(text_format.Parse(FEATURES.format(city=city, fare=fare) + more, schema_pb2.Schema()))
        current = statistics(tmp_path / "current", "city", "fare")
        outputs = {"anomalies": str(tmp_path / "anomalies"), "report": str(tmp_path / "report.html")}
        executor.run(statistics=current, schema=str(schema.root), **outputs, **inputs)
        told = "\n".join(record.getMessage() for record in caplog.records if record.levelname == "WARNING")
        caplog.clear()
        page = (tmp_path / "report.html").read_text()
        assert ("Not measured" in page) == ("not measured" in told)
        return told

    return run


@pytest.fixture
def earlier(tmp_path: Path) -> str:
    return statistics(tmp_path / "earlier", "city", "fare")


def test_statistics_without_a_comparator(validate: Validate, earlier: str) -> None:
    assert validate(previous_statistics=earlier) == (
        "previous_statistics: drift is not measured, because no feature of the schema has a drift_comparator, such as "
        "drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }"
    )
    told = validate(city=DRIFT, previous_statistics=earlier, serving_statistics=earlier)
    assert told.startswith("serving_statistics: skew is not measured, because no feature")
    assert "\n" not in told
    assert "drift_comparator, such as" in validate(city="drift_comparator {}", previous_statistics=earlier)


def test_comparators_without_statistics(validate: Validate) -> None:
    assert validate(city=DRIFT, fare=SKEW).splitlines() == [
        "drift is not measured: the schema has a drift_comparator for 'city', and there are no statistics to compare "
        "with: expected previous_statistics",
        "skew is not measured: the schema has a skew_comparator for 'fare', and there are no statistics to compare "
        "with: expected serving_statistics",
    ]


def test_what_is_measured_is_not_told(validate: Validate, earlier: str) -> None:
    assert validate() == ""
    assert validate(city=DRIFT, fare=SKEW, previous_statistics=earlier, serving_statistics=earlier) == ""
    examples = "dataset_constraints { num_examples_drift_comparator { min_fraction_threshold: 0.5 } }"
    assert validate(more=examples, previous_statistics=earlier) == ""


def test_a_feature_that_the_data_does_not_have(validate: Validate, earlier: str) -> None:
    more = f"feature {{ name: 'street' type: BYTES {DRIFT} }}"
    assert validate(more=more, previous_statistics=earlier).splitlines() == [
        f"split '{split}': drift of 'street' is not measured: the data does not have it" for split in ("eval", "train")
    ]


def test_a_feature_that_earlier_data_does_not_have_is_an_anomaly(validate: Validate, tmp_path: Path) -> None:
    without = statistics(tmp_path / "without", "fare")
    told = validate(city=DRIFT, previous_statistics=without).splitlines()
    assert told == [
        f"split '{split}': feature 'city': previous data missing: previous data is missing"
        for split in ("eval", "train")
    ]


@pytest.mark.parametrize("measure", ["infinity_norm", "normalized_abs_difference"])
def test_a_measure_of_text_for_numbers(measure: str, validate: Validate, earlier: str) -> None:
    """TFDV tells 0, whatever the numbers are."""
    comparator = f"drift_comparator {{ {measure} {{ threshold: 0.1 }} }}"
    told = validate(fare=comparator, previous_statistics=earlier)
    assert "split 'train': drift of 'fare' is not measured: infinity_norm and normalized_abs_difference are for" in told
    assert "expected a jensen_shannon_divergence" in told


def test_values_of_different_types(validate: Validate, earlier: str, tmp_path: Path) -> None:
    both = "drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }"
    path = artifacts.ExampleStatistics(Path(earlier)).path("train")
    changed = artifacts.read_statistics(path)
    fare = next(feature for feature in changed.datasets[0].features if feature.path.step[0] == "fare")
    fare.CopyFrom(column("city"))
    fare.path.step[:] = ["fare"]
    path.write_bytes(changed.SerializeToString())
    assert validate(fare=both, previous_statistics=earlier) == (
        "split 'train': drift of 'fare' is not measured: the two have values of different types"
    )


def test_a_struct_is_looked_into(validate: Validate) -> None:
    inner = f"struct_domain {{ feature {{ name: 'zip' type: INT {SKEW} }} }}"
    assert "for 'home.zip'," in validate(more=f"feature {{ name: 'home' type: STRUCT {inner} }}")


@pytest.mark.parametrize("key", ["previous_statistics", "serving_statistics"])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nothing", "does not exist"),
        ("file", "is a file"),
        ("examples", "has none in Split-train"),
        (".", "has no such"),
    ],
)
def test_a_folder_without_statistics(key: str, name: str, what: str, validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    expected = rf"^{key}: expected a folder with statistics \(Split-<name>/FeatureStats\.pb\), .*: .* {what}"
    with pytest.raises(DataError, match=expected):
        validate(**{key: str(tmp_path / name)})


def test_a_damaged_file_is_told_with_its_key(validate: Validate, earlier: str) -> None:
    path = artifacts.ExampleStatistics(Path(earlier)).path("train")
    path.write_bytes(b"no statistics")
    with pytest.raises(DataError, match=rf"^previous_statistics: statistics file {path}: expected a Dataset"):
        validate(previous_statistics=earlier)
