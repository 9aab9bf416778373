"""What is known of monitoring before a run, which else is told once a model serves.

That is, which thresholds Vertex AI cannot hold: those of text, which it does not measure; and by which keys no label
finds its row.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.components.monitoring import kinds
from penstock.components.monitoring.labels.source import REQUEST_ID, ROW
from penstock.core.artifacts.data import read_schema
from penstock.core.errors import ConfigError, DataError
from penstock.pipelines.config.csv_columns import hint
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.training_pipeline import Config

if TYPE_CHECKING:
    from penstock.pipelines.preview.columns import Column
    from penstock.pipelines.preview.table import Table

_ADVICE = "leave out its threshold; `penstock monitor` measures it"


def check_thresholds(config: Config) -> None:
    """Raises a ConfigError for a threshold of a feature that the curated schema says is text.

    A schema that is elsewhere is not looked at, and none is where tensorflow-metadata is not installed.
    """
    file, asked = config.schema_.file, _asked(config)
    if not asked or not file or is_remote(file) or not importlib.util.find_spec("tensorflow_metadata"):
        return
    for feature in read_schema(Path(file)).feature:
        if feature.name in asked and kinds.kind(feature) == "text":
            raise ConfigError(
                f"monitoring.thresholds.{feature.name}: {file} says that it is text, which Vertex AI does not measure: "
                f"{_ADVICE}"
            )


def on_thresholds(config: Config, columns: "Mapping[str, Column]", first: "Table") -> Iterator[str]:
    """Yields which features with a threshold look like text in the first rows."""
    asked = {name for name in _asked(config) if name in columns and columns[name].kind == "text"}
    if not asked or config.schema_.file or not importlib.util.find_spec("pyarrow"):
        return
    from penstock.components.monitoring.measures import bins

    where = "" if first.whole else f" of the first {first.rows:,}"
    for name in sorted(asked):
        counts = columns[name].counts
        if bins.is_text(len(counts), counts.total()):
            yield (
                f"monitoring.thresholds.{name}: {len(counts):,} values{where} differ, so it is most likely text, which "
                f"Vertex AI does not measure, and ModelMonitor will fail after the push: {_ADVICE}"
            )


def check_label_key(config: Config, first: "Table") -> None:
    """Raises a DataError if labels are to find their rows by what is neither a column of the data nor of the log."""
    labels = config.monitoring.labels if config.monitoring else None
    if labels is None:
        return
    names = [name for name in first.names if name != config.label]
    for name in [labels.key] if isinstance(labels.key, str) else labels.key:
        if name not in (*names, REQUEST_ID, ROW):
            raise DataError(
                f"monitoring.labels.key: requests have no feature {name!r}; {hint(name, names)}; or expected "
                "request_id, by which the request log knows its rows"
            )


def _asked(config: Config) -> set[str]:
    """Returns the features for which Vertex AI would have to hold a threshold."""
    monitoring = config.monitoring
    if not monitoring or not monitoring.vertex_ai:
        return set()
    return {
        name
        for name, value in monitoring.thresholds.items()
        if (any(limit is not None for limit in value.values()) if isinstance(value, dict) else value is not None)
    }
