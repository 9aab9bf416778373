"""Labels and limits of a configuration, as the component takes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.components.monitoring.labels.source import LabelSource
from penstock.components.window_monitor.judging import Limits
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline


def arguments(folder: Path, monitoring: dict[str, Any], labels: str = "") -> dict[str, Any]:
    (folder / "data.csv").write_text("trip_id;tips\n1;2\n")
    data = {"path": "data.csv", "csv": {"delimiter": ";"}}
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps({"name": "taxi", "data": data, "label": "tips", "monitoring": monitoring}))
    return training_pipeline.load(path).window_arguments(labels)


def test_labels_are_read_as_the_data_is(tmp_path: Path) -> None:
    given = arguments(tmp_path, {"labels": {"files": "labels/*.csv", "key": "trip_id", "wait": "12h"}})
    source = LabelSource.from_json(given["labels"])
    assert source is not None
    assert (source.files, source.key, source.column) == (f"{tmp_path}/labels/*.csv", ("trip_id",), "")
    assert source.wait.total_seconds() == 12 * 3600
    assert json.loads(source.csv) == {"delimiter": ";", "null_values": "auto"}
    assert given["performance"] == ""


def test_files_of_the_command_line_go_before(tmp_path: Path) -> None:
    given = arguments(tmp_path, {"labels": {"files": "labels", "key": ["a", "b"]}}, labels="/other.parquet")
    assert json.loads(given["labels"])["files"] == "/other.parquet"
    assert json.loads(given["labels"])["key"] == ["a", "b"]
    assert json.loads(arguments(tmp_path, {}, labels="/other.parquet")["labels"])["key"] == "request_id"
    assert arguments(tmp_path, {})["labels"] == ""


def test_limits_are_the_components(tmp_path: Path) -> None:
    given = arguments(tmp_path, {"performance": {"auc": 0.8, "accuracy": None}, "estimates_alert": True})
    assert Limits.read(given["performance"], None) == Limits({"auc": 0.8, "accuracy": None}, None, True)


@pytest.mark.parametrize(
    ("monitoring", "sentence"),
    [
        ({"labels": {"files": "labels", "wait": "soon"}}, "monitoring.labels.wait: expected a number and m, h, d or w"),
        ({"retraining": {"cool_down": "0d"}}, "monitoring.retraining.cool_down: expected a number and m, h, d or w"),
        ({"retraining": {"cool_down": "0d"}}, "such as 6h or 1d, and 1m at least, received '0d'"),
        ({"labels": {}}, "monitoring.labels"),
        ({"performance": {"auc": True}}, "monitoring.performance.auc: expected a number, received true"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, monitoring: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        arguments(tmp_path, monitoring)
    assert sentence in str(error.value)
