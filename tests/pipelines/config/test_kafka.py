"""The section of a topic: what is refused, what the source is told, and the page's own configurations."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.training_pipeline import Config

PAGE = Path(__file__).parents[3] / "docs" / "sources_kafka.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
PLACE = {"bootstrap_servers": "localhost:9092", "topic": "trips"}


def _load(folder: Path, text: str) -> Config:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return configs.load(path)


def _told(config: Config) -> dict[str, Any]:
    """Returns the options that the source gets."""
    reference = json.loads(config.data.input_base_text(without_code=True))
    return dict(reference["kafka"])


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_configurations_of_the_page_are_what_the_source_takes(block: str, tmp_path: Path) -> None:
    assert KafkaOptions.parse(_told(_load(tmp_path, block))).topic == "penguins"


def test_what_differs_from_the_defaults_is_told(tmp_path: Path) -> None:
    given = {"start": {0: 5}, "end": "2026-01-31T00:00:00Z", "metadata": ["key"], "schema_file": "a.avsc"}
    config = _load(
        tmp_path, yaml.safe_dump({"label": "x", "data": {"kafka": {**PLACE, **given, "value_format": "avro"}}})
    )
    path = str(tmp_path / "a.avsc")
    told = {**PLACE, **given, "start": {"0": 5}, "schema_file": path, "value_format": "avro"}
    assert _told(config) == told
    assert config.data.local_paths() == {"kafka.schema_file": path}
    assert KafkaOptions.parse(told).end == 1769817600000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_format": "csv"}, "csv: expected column_names there"),
        ({"csv": {"column_names": ["a"]}}, "csv: expected column_names there with value_format: csv, and only with it"),
        ({"value_format": "avro"}, "schema_registry: expected either that or schema_file for avro values"),
        ({"value_format": "protobuf", "schema_file": "a.desc"}, "message_type: it is missing"),
        ({"value_format": "tf_example", "metadata": ["key"]}, "columns, metadata: expected none for tf.Examples"),
        ({"config": {"sasl.password": "hunter2hunter2"}}, "config.sasl.password: expected no secret"),
        ({"topic": "no spaces"}, "data.kafka.topic: expected letters, digits, ., _ and -"),
        ({"max_records": 5, "window": "day"}, "max_records: expected none with window"),
        ({"max_records": 0}, "data.kafka.max_records"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        _load(tmp_path, yaml.safe_dump({"label": "x", "data": {"kafka": {**PLACE, **options}}}))


def test_a_time_that_is_none_is_refused_where_it_is_read() -> None:
    with pytest.raises(ConfigError, match=r"kafka\.start: expected earliest, latest, a time"):
        KafkaOptions.parse({**PLACE, "start": "tomorrow"})
