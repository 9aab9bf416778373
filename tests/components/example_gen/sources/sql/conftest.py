"""Reads real databases: servers that the tests start, and files."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.inputs.spans import ResolvedInput
from penstock.core import artifacts
from penstock.core.examples import records
from tests.servers import mariadb, postgresql
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

PASSWORD = "SQL_TEST_PASSWORD"
PASSWORDS = {"postgresql": postgresql.PASSWORD, "mariadb": mariadb.PASSWORD}


@dataclass(frozen=True)
class Ingested:
    """What a run of ExampleGen wrote."""

    examples: artifacts.Examples
    metadata: dict[str, Any]

    def rows(self, *splits: str) -> list[dict[str, Any]]:
        """The rows of the splits, all by default; a feature without a value is left out."""
        files = [file for split in splits or self.examples.splits() for file in self.examples.files(split)]
        rows = [row for batch in records.read_batches(files) for row in batch.to_pylist()]
        return [{name: values for name, values in row.items() if values} for row in rows]

    def column(self, name: str) -> list[Any]:
        """A feature's first value in each row, None without."""
        return [row.get(name, [None])[0] for row in self.rows()]

    def shards(self, split: str) -> list[list[dict[str, Any]]]:
        """The rows of each file."""
        return [
            [row for batch in records.read_batches([file]) for row in batch.to_pylist()]
            for file in self.examples.files(split)
        ]


ONE_SPLIT = json.dumps({"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}})


@dataclass
class Ingest:
    """Runs ExampleGen on a source; the second half alone where a test needs what is between the two."""

    folder: Path
    runs: int = 0

    def resolve(self, options: dict[str, Any], splits: dict[str, str] | None = None, **more: str) -> ResolvedInput:
        config = json.dumps({"splits": [{"name": name, "pattern": query} for name, query in (splits or {}).items()]})
        return resolving.resolve(input_base=_base(options), input_config=config if splits else "", **more)

    def execute(self, options: dict[str, Any], resolved: ResolvedInput, **more: str) -> Ingested:
        self.runs += 1
        root = self.folder / f"examples-{self.runs}"
        several = resolved.resolved_input.count('"name"') > 1
        result = executor.run(
            examples=str(root),
            input_base=_base(options),
            resolved_input=resolved.resolved_input,
            fingerprint=resolved.fingerprint,
            **{"output_config": "" if several else ONE_SPLIT, "engine": "local:2", **more},
        )
        return Ingested(artifacts.Examples(root), result.metadata["examples"])

    def __call__(self, options: dict[str, Any], splits: dict[str, str] | None = None, **more: str) -> Ingested:
        return self.execute(options, self.resolve(options, splits), **more)


def _base(options: dict[str, Any]) -> str:
    return json.dumps({"sql": options})


@pytest.fixture
def ingest(tmp_path: Path) -> Ingest:
    return Ingest(tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    with postgresql.running() as server:
        yield server


@pytest.fixture(scope="session")
def maria() -> Iterator[MariaDB]:
    with mariadb.running() as server:
        yield server


type Options = Callable[..., dict[str, Any]]


@pytest.fixture
def of_postgres(postgres: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Returns options that name the server, and its password by the variable that holds it."""
    monkeypatch.setenv(PASSWORD, postgresql.PASSWORD)
    return lambda **options: {"url": postgres.url, "password_env": PASSWORD, **options}


@pytest.fixture
def of_maria(maria: MariaDB, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setenv(PASSWORD, mariadb.PASSWORD)
    return lambda **options: {"url": maria.url, "password_env": PASSWORD, **options}
