"""An emulator for a module's tests, with a dataset of shops."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.core import artifacts
from penstock.core.examples import records
from penstock.core.services import retries
from tests.servers import bigquery_emulator


@dataclass(frozen=True)
class Generated:
    """What ExampleGen wrote of BigQuery's rows."""

    examples: artifacts.Examples
    metadata: dict[str, Any]
    fingerprint: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        files = [file for split in self.examples.splits() for file in self.examples.files(split)]
        return [row for batch in records.read_batches(files) for row in batch.to_pylist()]

    @property
    def origin(self) -> dict[str, str]:
        return dict(json.loads(self.metadata["origin"]))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bigquery_emulator.Emulator]:
    with (
        bigquery_emulator.running(tmp_path_factory.mktemp("bigquery") / "log") as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Generated]:
    """Returns a function that resolves and reads what `data.bigquery` says."""
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    runs = iter(range(100))

    def run(
        options: dict[str, Any], splits: dict[str, str] | None = None, range_config: str = "", **parameters: Any
    ) -> Generated:
        out = tmp_path / f"examples-{next(runs)}"
        base = json.dumps({"bigquery": options})
        listed = [{"name": name, "pattern": pattern} for name, pattern in (splits or {}).items()]
        config = json.dumps({"splits": listed}) if listed else ""
        found = resolving.resolve(input_base=base, input_config=config, range_config=range_config)
        parameters = {"engine": "local:1", **parameters}
        result = executor.run(examples=str(out), input_base=base, **found._asdict(), **parameters)
        return Generated(artifacts.Examples(out), result.metadata["examples"], found.fingerprint)

    return run
