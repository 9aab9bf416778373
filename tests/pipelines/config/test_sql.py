"""The section of a database: data: {sql: ...}."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.pipelines.config.data.data import Data

SERVER = "postgresql://ada@db/trips"


def data(folder: Path, **values: Any) -> Data:
    return Data.model_validate(values, context={"folder": folder})


def test_a_file_is_beside_the_configuration(tmp_path: Path) -> None:
    found = data(tmp_path, sql={"url": "sqlite:///rides/trips.db", "table": "trips"})
    assert json.loads(found.input_base_text(without_code=True)) == {
        "sql": {"url": f"sqlite:///{tmp_path}/rides/trips.db", "table": "trips"}
    }
    assert found.local_paths() == {"sql.url": f"{tmp_path}/rides/trips.db"}
    elsewhere = data(tmp_path, sql={"url": "duckdb:////data/trips.db", "query": "SELECT 1"})
    assert elsewhere.local_paths() == {"sql.url": "/data/trips.db"}


def test_a_server_has_no_path_but_that_of_the_password(tmp_path: Path) -> None:
    sql = {"url": SERVER, "table": "trips", "password_file": "secret"}
    assert data(tmp_path, sql=sql).local_paths() == {"sql.password_file": f"{tmp_path}/secret"}
    sql = {"url_env": "TRIPS_URL", "columns": ["id"], "where": "id > 1", "partition_by": "id", "changed_by": "at"}
    found = json.loads(data(tmp_path, sql={**sql, "table": "t", "rows_per_shard": 5}).input_base_text(True))
    assert found == {"sql": {**sql, "table": "t", "rows_per_shard": 5}}


def test_splits_are_queries_or_databases_of_their_own(tmp_path: Path) -> None:
    queries = {"train": "SELECT 1", "eval": "SELECT 2"}
    assert data(tmp_path, sql={"url": SERVER}, splits=queries).patterns == list(queries.items())
    parts = {name: {"sql": {"url": f"sqlite:///{name}.db", "table": "t"}} for name in queries}
    found = data(tmp_path, splits=parts)
    assert found.local_paths() == {f"splits.{name}.sql.url": f"{tmp_path}/{name}.db" for name in queries}


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ({"url": SERVER}, r"sql\.table: expected a table, a query, or splits that are queries, received none"),
        ({"table": "t"}, "url: expected either url or url_env, received none"),
        ({"url": SERVER, "url_env": "X", "table": "t"}, "url: expected either url or url_env, received both"),
        ({"url": SERVER, "table": "t", "query": "SELECT 1"}, "query: expected either table or query, received both"),
        ({"url": "postgresql://ada:hunter2@db/t", "table": "t"}, "expected no password in it: .* password_env"),
        ({"url": "mysql://db/t?password=hunter2", "table": "t"}, "expected no password in it"),
        ({"url": "oracle://db/t", "table": "t"}, "expected a URL that begins with one of postgresql://, "),
        ({"url": "sqlite://t.db", "table": "t"}, "expected a file, sqlite:///FILE beside this one, or sqlite:////"),
        ({"url": "sqlite:///:memory:", "table": "t"}, "expected a file, sqlite:///FILE"),
        ({"url": "sqlite:///t.db", "table": "t", "password_env": "X"}, "url: expected no password for a file"),
        ({"url": SERVER, "table": "t", "password_env": "X", "password_file": "y"}, "received both"),
        ({"url": SERVER, "table": "t", "password_env": "not a name"}, "password_env"),
        ({"url": SERVER, "table": ""}, "table"),
    ],
)
def test_sections_that_do_not_fit(tmp_path: Path, sql: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        data(tmp_path, sql=sql)


def test_a_table_beside_splits(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"sql\.table: expected none beside splits, which are queries"):
        data(tmp_path, sql={"url": SERVER, "table": "t"}, splits={"train": "SELECT 1", "eval": "SELECT 2"})
