"""SchemaGen and ImportSchemaGen against TFX's executors, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.schema_gen import executor, import_executor
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError, SchemaError
from tests.servers.object_stores import ObjectStore

WriteExamples = Callable[..., Path]


@pytest.fixture
def statistics(write_examples: WriteExamples, taxi_csv: Path, tmp_path: Path) -> Path:
    """Two splits, of which the second has payment types and a column that the first lacks."""
    taxi = pa.csv.read_csv(taxi_csv).slice(0, 3000)
    later = taxi.slice(2000).append_column("weather", pa.array(["rain"] * 999 + [None]))
    examples = write_examples({"train": taxi.slice(0, 2000), "eval": later})
    statistics_gen.run(statistics=str(tmp_path / "statistics"), examples=str(examples), engine="local:1")
    return tmp_path / "statistics"


def infer(statistics: Path, **parameters: Any) -> schema_pb2.Schema:
    metadata = {"split_names": '["train", "eval"]'}
    folder = statistics.parent / "schema"
    result = executor.run(schema=str(folder), statistics=str(statistics), statistics_metadata=metadata, **parameters)
    assert result.metadata == {"schema": {"tfx_version": "1.21.0"}}
    assert [path.name for path in folder.iterdir()] == ["schema.pbtxt"]
    return artifacts.Schema(folder).read()


@pytest.mark.parametrize(
    ("infer_feature_shape", "exclude"), [(True, []), (False, []), (True, ["eval"]), (True, ["train"])]
)
def test_schema_is_that_of_tfx(statistics: Path, infer_feature_shape: bool, exclude: list[str]) -> None:
    from tfx.components.schema_gen.executor import Executor
    from tfx.types import standard_artifacts
    from tfx.utils import io_utils

    source, target = standard_artifacts.ExampleStatistics(), standard_artifacts.Schema()
    source.uri, source.split_names = str(statistics), '["train", "eval"]'
    target.uri = str(statistics.parent / "tfx")
    parameters = {"infer_feature_shape": int(infer_feature_shape), "exclude_splits": json.dumps(exclude)}
    Executor().Do({"statistics": [source]}, {"schema": [target]}, parameters)
    theirs = artifacts.Schema(Path(target.uri)).path.read_text()

    ours = infer(statistics, infer_feature_shape=infer_feature_shape, exclude_splits=exclude)
    assert text_format.MessageToString(ours) == theirs
    ours_path = io_utils.get_only_uri_in_dir(str(statistics.parent / "schema"))
    assert io_utils.SchemaReader().read(ours_path) == ours


def test_label_is_absent_at_serving(statistics: Path) -> None:
    schema = infer(statistics, label="tips")
    assert list(schema.default_environment) == ["TRAINING", "SERVING"]
    assert [feature.name for feature in schema.feature if "SERVING" in feature.not_in_environment] == ["tips"]
    plain = infer(statistics)
    assert not plain.default_environment


def test_label_that_is_not_there(statistics: Path) -> None:
    with pytest.raises(DataError, match="no feature 'tip'; did you mean 'tips'"):
        infer(statistics, label="tip")
    with pytest.raises(DataError, match="no feature 'xyz'; the features are company, "):
        infer(statistics, label="xyz")


def test_excluded_splits(statistics: Path) -> None:
    with pytest.raises(ConfigError, match="no split is left"):
        infer(statistics, exclude_splits=["train", "eval"])


def test_import_copies_a_valid_file_byte_by_byte(statistics: Path, tmp_path: Path) -> None:
    infer(statistics, label="tips")
    curated = "# curated\n" + artifacts.Schema(tmp_path / "schema").path.read_text()
    (tmp_path / "curated.pbtxt").write_text(curated)
    result = import_executor.run(schema=str(tmp_path / "imported"), schema_file=str(tmp_path / "curated.pbtxt"))
    assert result.metadata == {"schema": {"tfx_version": "1.21.0"}}
    assert [path.name for path in (tmp_path / "imported").iterdir()] == ["schema.pbtxt"]
    assert artifacts.Schema(tmp_path / "imported").path.read_text() == curated


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "does not exist"),
        ("", "at least one feature"),
        ('feature { name: "a" typ: INT }', '1:21 : .* no field named "typ"'),
        ('feature { name: "a" type: INT } feature { name: "a" type: INT }', "feature 'a' occurs more than once"),
        ("feature { type: INT }", "a feature has no name"),
        ('feature { name: "a" type: INT string_domain { value: "x" } }', "'a': its string_domain .* the type BYTES"),
        ('feature { name: "a" type: BYTES domain: "x" }', "'a': string_domain 'x' does not exist"),
        (
            'feature { name: "a" type: BYTES domain: "citys" } string_domain { name: "city" }',
            "did you mean 'city'",
        ),
        ('feature { name: "a" type: INT int_domain { min: 3 max: 1 } }', "'a': int_domain has min 3 above max 1"),
        ('feature { name: "a" type: INT not_in_environment: "SERVING" }', "'a': environment 'SERVING' does not exist"),
        ('feature { name: "a" type: INT value_count { min: 3 max: 1 } }', "value_count has min 3 above max 1"),
        ('feature { name: "a" type: INT presence { min_fraction: 7 } }', "expected 0 to 1, received 7"),
        (
            'feature { name: "a" type: STRUCT struct_domain { feature { name: "b" type: BYTES domain: "x" } } }',
            "feature 'a': feature 'b': string_domain 'x'",
        ),
        (
            'feature { name: "a" type: INT } sparse_feature { name: "s" value_feature { name: "v" } }',
            "sparse feature 's': feature 'v' does not exist",
        ),
        (
            'feature { name: "a" type: INT } '
            'weighted_feature { name: "w" feature { step: "a" } weight_feature { step: "b" } }',
            "weighted feature 'w': feature 'b' does not exist",
        ),
    ],
)
def test_schema_files_that_are_wrong(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "schema.pbtxt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SchemaError, match=message) as raised:
        import_executor.run(schema=str(tmp_path / "out"), schema_file=str(path))
    assert str(path) in raised.value.message
    assert not (tmp_path / "out").exists()


def test_import_from_an_object_store(tmp_path: Path, object_store: ObjectStore) -> None:
    root = object_store.write({"good.pbtxt": 'feature { name: "a" type: INT }\n', "bad.pbtxt": "feature {"}, "schemas")
    import_executor.run(schema=str(tmp_path / "imported"), schema_file=f"{root}/good.pbtxt")
    assert artifacts.Schema(tmp_path / "imported").path.read_text() == 'feature { name: "a" type: INT }\n'
    with pytest.raises(SchemaError, match=rf"schema file {root}/bad.pbtxt: expected a Schema in protobuf's text form"):
        import_executor.run(schema=str(tmp_path / "out"), schema_file=f"{root}/bad.pbtxt")
