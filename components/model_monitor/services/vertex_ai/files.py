"""The files that Vertex AI reads: how an instance of a request looks, and training data to compare it with.

predict_instance-<digest>.yaml    OpenAPI: the values of a request, as JSON has them
analysis_instance-<digest>.yaml   the same for the features that are monitored, as they are analysed
training-<digest>.tfrecord        training rows with these features and the label

A name has the digest of its content, so what a job reads never changes under it.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from penstock.components.model_monitor.services.service import Baseline
from penstock.components.model_monitor.services.vertex_ai.features import MonitoredFeature, with_several
from penstock.components.monitoring.measures import bins
from penstock.components.monitoring.windows import columns as columns_of_lists
from penstock.core.examples import records
from penstock.core.files import atomic, object_stores

_REQUIRED = 1.0  # of a schema's min_fraction: no row lacks the feature


@dataclass(frozen=True)
class Files:
    """The URIs of a job's files; `training` is "" where requests are not compared with training data."""

    predict_schema: str
    analysis_schema: str
    training: str


def store(folder: str, baseline: Baseline, features: Sequence[MonitoredFeature], *, training: bool) -> Files:
    """Writes the files that are not there yet; returns where they are."""
    predict, analysis = (_yaml(each, baseline) for each in (_instance(baseline), _analysed(features)))
    contents = {
        _named("predict_instance", predict, "yaml"): predict,
        _named("analysis_instance", analysis, "yaml"): analysis,
    }
    if training:
        rows = _training_rows(baseline, features)
        contents[_named("training", rows, "tfrecord")] = rows
    uris = [object_stores.join(folder, name) for name in contents]
    _write(dict(zip(uris, contents.values(), strict=True)))
    return Files(uris[0], uris[1], uris[2] if training else "")


def store_training(folder: str, baseline: Baseline, features: Sequence[MonitoredFeature]) -> str:
    """Writes the training rows as version 2 compares them, with values as requests have them; returns their URI."""
    rows = _training_rows(baseline, features, names_as_text=False)
    uri = object_stores.join(folder, _named("training", rows, "tfrecord"))
    _write({uri: rows})
    return uri


def _instance(baseline: Baseline) -> dict[str, dict[str, Any]]:
    """Returns the type of each value of a request, as JSON has it."""
    several, columns = with_several(baseline), [(one.name, one.type) for one in baseline.rows.schema]
    return {name: _property(_json_type(kind.value_type), name in several) for name, kind in columns}


def _analysed(features: Sequence[MonitoredFeature]) -> dict[str, dict[str, Any]]:
    """Returns the type of each feature as it is compared: whole numbers that are names are categories, so strings."""
    return {one.name: _property("number" if one.kind == "number" else "string", one.several) for one in features}


def _property(kind: str, several: bool) -> dict[str, Any]:
    return {"type": "array", "items": {"type": kind}} if several else {"type": kind}


def _json_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "integer"
    return "number" if pa.types.is_floating(kind) else "string"


def _yaml(properties: Mapping[str, dict[str, Any]], baseline: Baseline) -> bytes:
    always = {one.name for one in baseline.schema.feature if one.presence.min_fraction >= _REQUIRED}
    document: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if required := [name for name in properties if name in always]:
        document["required"] = required
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()


def _training_rows(baseline: Baseline, features: Sequence[MonitoredFeature], *, names_as_text: bool = True) -> bytes:
    """Returns the rows as an uncompressed TFRecord file of tf.Examples.

    Values are as they are analysed: whole numbers that are names become text, unless the service has a type for them.
    """
    columns = {one.name: baseline.rows.column(one.name) for one in features}
    if names_as_text:
        columns = {one.name: _as_analysed(columns[one.name], one) for one in features}
    name = baseline.record["label_name"]
    if baseline.labels is not None and name not in columns:
        columns[name] = baseline.labels
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.gz"
        records.write(path, records.encode(batch, skip_nulls=True))
        return b"".join(records.decompressed(path))


def _as_analysed(column: pa.Array, feature: MonitoredFeature) -> pa.Array:
    values = column.flatten()
    if feature.kind == "number" or pa.types.is_large_binary(values.type):
        return column
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return columns_of_lists.of_counts(counts, bins.texts(values))


def _named(stem: str, content: bytes, suffix: str) -> str:
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"


def _write(contents: Mapping[str, bytes]) -> None:
    remote = {uri: content for uri, content in contents.items() if object_stores.is_remote(uri)}
    for uri in contents.keys() - remote.keys():
        path = atomic.local_path(uri)
        if not path.exists():
            atomic.write_bytes(path, contents[uri])
    if not remote:
        return
    with object_stores.open_store(next(iter(remote))) as store:
        for uri, content in remote.items():
            if not store.is_file(uri):
                store.write(uri, content)
