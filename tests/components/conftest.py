"""Example artifacts for the components that read them, written as ExampleGen writes them."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.components.jobs import follow, launcher
from penstock.core import artifacts
from penstock.core.examples import records
from penstock.core.services import retries
from tests.servers.mounts import as_mounted


@pytest.fixture
def write_examples(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes an Examples artifact and returns its folder.

    It is given tables by split (or dicts of columns; a column of lists stays one, a null is a missing value), the
    number of files in each split, and a name for the folder.
    """

    def write(splits: Mapping[str, Any], files: int = 1, name: str = "examples") -> Path:
        root = tmp_path / name
        for split, data in splits.items():
            table = data if isinstance(data, pa.Table) else pa.table(dict(data))
            rows = len(table)
            for index in range(files):
                start, end = rows * index // files, rows * (index + 1) // files
                path = artifacts.Examples(root).shard(split, index, files)
                batches = [_lists(batch) for batch in table.slice(start, end - start).to_batches()]
                records.write(path, (record for batch in batches for record in records.encode(batch)))
        return root

    return write


def _lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [column if pa.types.is_list(column.type) else _list(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _list(column: pa.Array) -> pa.ListArray:
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float32())
    elif not pa.types.is_integer(column.type):
        column = column.cast(pa.string()).cast(pa.binary())
    offsets = [0]
    for value in column:
        offsets.append(offsets[-1] + value.is_valid)
    mask = [not value.is_valid for value in column]
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32(), mask=pa.array([*mask, False]).to_numpy(False)), column.drop_null()
    )


@pytest.fixture(params=["vertex", "kubeflow"])
def place(
    request: pytest.FixtureRequest, component: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A service of workers (tests/servers/jobs.py), which this component's task is told of."""
    from tests.servers import jobs

    monkeypatch.setattr(retries, "PAUSE", 0.01)
    monkeypatch.setattr(follow, "INTERVAL", 0.01)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("KUBECONFIG", "")
    as_mounted(monkeypatch, "gs", tmp_path, tmp_path / "mountinfo")
    server, kind = jobs.PLACES[request.param]
    with server() as running:
        made = kind(running, tmp_path, component)
        running.answer = jobs.with_chiefs(made)
        monkeypatch.setenv(launcher.VARIABLE, json.dumps(made.described))
        yield made


@pytest.fixture
def running(component: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Vertex AI that runs the workers of this component's task, as processes of this machine."""
    from tests.servers import jobs

    monkeypatch.setattr(follow, "INTERVAL", 0.2)
    as_mounted(monkeypatch, "gs", Path("/"), tmp_path / "mountinfo")
    with jobs.RunningVertexAI() as server:
        monkeypatch.setenv(launcher.VARIABLE, json.dumps(jobs.OnVertex(server, tmp_path, component).described))
        yield server
        server.end()
