"""A baseline, and a model that was pushed to an endpoint of Vertex AI on loopback."""

# ruff: noqa: F401, F811  (fixtures of the Pusher's tests are taken, by their names)

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_monitor import executor, services
from penstock.components.model_monitor.services.vertex_ai import divergence
from penstock.components.pusher.destinations import Pushed
from penstock.core.artifacts import Examples, PushedVersion, Schema
from penstock.core.artifacts.monitoring import MonitoringBaseline
from penstock.core.examples import records
from tests.components.pusher.destinations.vertex_ai.conftest import (
    bucket,
    models,
    push,
    running_bucket,
    service,
    vertex,
)
from tests.servers.object_stores import ObjectStore
from tests.servers.vertex import VertexAI

ROWS = 3000


def rows(seed: int, count: int) -> pa.RecordBatch:
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "miles": pa.array(generator.gamma(2.0, 2.0, count), mask=generator.random(count) < 0.1),
        "zone": generator.integers(1, 6, count),
        "company": generator.choice(["blue", "red", "grün"], count, p=[0.6, 0.3, 0.1]),
        "comment": [f"trip {number} went well" for number in generator.integers(0, 1 << 40, count)],
        "late": generator.choice(["no", "yes"], count),
    }
    lists = {
        name: pa.array([None if one is None else [one] for one in pa.array(values).to_pylist()])
        for name, values in columns.items()
    }
    lists["stops"] = pa.array(
        [generator.choice(["north", "south"], size).tolist() for size in generator.integers(1, 4, count)]
    )
    return pa.RecordBatch.from_pydict(lists)


def schema() -> schema_pb2.Schema:
    result = schema_pb2.Schema()
    kinds = {
        "company": schema_pb2.BYTES,
        "miles": schema_pb2.FLOAT,
        "zone": schema_pb2.INT,
        "comment": schema_pb2.BYTES,
        "stops": schema_pb2.BYTES,
        "late": schema_pb2.BYTES,
    }
    for name, kind in kinds.items():
        feature = result.feature.add(name=name, type=kind)
        feature.presence.min_fraction = 0.0 if name == "miles" else 1.0
        if name == "zone":
            feature.int_domain.is_categorical = True
    return result


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derives thresholds of numbers from few samples: most tests are about other things."""
    monkeypatch.setattr(divergence, "SAMPLES", 5)


@pytest.fixture(scope="session")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with examples and a schema."""
    root = tmp_path_factory.mktemp("trips")
    for split, seed, count in (("train", 1, ROWS), ("eval", 2, 500)):
        records.write(Examples(root / "examples").shard(split, 0, 1), records.encode(rows(seed, count)))
    Schema(root / "schema").write(schema())
    return root


@pytest.fixture
def monitor(trips: Path, tmp_path: Path) -> Callable[..., Any]:
    """Returns a function that runs ModelMonitor; its arguments are the executor's."""

    def run(**more: Any) -> Any:
        arguments = {
            "baseline": str(tmp_path / "baseline"),
            "examples": str(trips / "examples"),
            "schema": str(trips / "schema"),
            "label": "late",
            "engine": "local:1",
        }
        return executor.run(**arguments | more)

    return run


@pytest.fixture(scope="session")
def baseline_of(trips: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., services.Baseline]:
    """Returns a function that makes a baseline with arguments of ModelMonitor, or a schema."""

    def make(of_schema: schema_pb2.Schema | None = None, **more: Any) -> services.Baseline:
        root = tmp_path_factory.mktemp("baseline")
        parsed = of_schema or schema()
        Schema(root / "schema").write(parsed)
        executor.run(
            baseline=str(root / "baseline"),
            examples=str(trips / "examples"),
            schema=str(root / "schema"),
            label="late",
            engine="local:1",
            **more,
        )
        made = MonitoringBaseline(root / "baseline")
        table = pq.read_table(made.sample).combine_chunks()
        return services.Baseline(made.read(), parsed, table.to_batches()[0], pa.array([["no"]] * len(table)))

    return make


@pytest.fixture(scope="session")
def baseline(baseline_of: Callable[..., services.Baseline]) -> services.Baseline:
    return baseline_of()


@pytest.fixture
def watch(vertex: VertexAI, bucket: ObjectStore) -> Callable[..., services.Service]:
    """Returns a function that reads settings of monitoring on the loopback server."""

    def read(**settings: Any) -> services.Service:
        own = {"storage": bucket.uri("monitoring"), "project": "my-project", "api_endpoint": vertex.url}
        return services.SERVICES["vertex_ai"]("service.vertex_ai", own | settings)

    return read


@pytest.fixture
def pushed(push: Callable[..., Pushed]) -> PushedVersion:
    """A model that serves all requests."""
    return version(push(0))


def version(made: Pushed) -> PushedVersion:
    return PushedVersion(made.place, made.version, made.percent)
