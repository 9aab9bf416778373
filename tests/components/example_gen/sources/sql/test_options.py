"""What the source is told, and what it says of what does not fit."""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from penstock.components.example_gen.sources.sql import databases
from penstock.components.example_gen.sources.sql.options import SqlOptions
from penstock.core.errors import ConfigError, DataError, PenstockError
from tests.components.example_gen.sources.sql.conftest import Ingest


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "expected either url or url_env, received none"),
        ({"url": "x", "url_env": "Y"}, "expected either url or url_env, received both"),
        ({"url": "trips.db"}, r"sql\.url: expected a URL such as postgresql://USER@HOST/DATABASE"),
        ({"url": "mysqll://h/d"}, r"mysqll://: unknown database; did you mean 'mysql'\?"),
        ({"url": "postgresql://u:hunter2@h/d"}, r"sql\.url: expected no password in it: .* password_env"),
        ({"url": "postgresql://h/d?password=hunter2"}, r"sql\.url: expected no password in it"),
        ({"url": "mysql://h"}, "expected a database's name at its end"),
        ({"url": "mysql://h/d?init_command=DROP"}, r"\?init_command=: expected ssl_ca, ssl_cert, ssl_key"),
        ({"url": "sqlite:///:memory:"}, "expected a file, sqlite:////FOLDER/FILE"),
        ({"url": "sqlite:////nowhere/trips.db"}, r"/nowhere/trips\.db.*expected a sqlite file where this task runs"),
        ({"url": "duckdb:////tmp?x=1"}, r"\?x=: expected nothing after the file's name"),
        ({"url": "duckdb:////tmp"}, "/tmp is a folder: expected a duckdb file"),
        ({"url_env": "NOT_THERE"}, "sql.url_env: the environment variable NOT_THERE is not set where this task runs"),
        ({"url": "mysql://h/d", "password_file": "/nowhere"}, "sql.password_file: /nowhere: No such file"),
        ({"url": "mysql://h/d", "password_file": "/nowhere", "password_env": "X"}, "expected either password_env or"),
        ({"url": "mysql://h/d", "query": "SELECT 1"}, "expected either table or query, received both"),
        ({"url": "mysql://h/d", "rows_per_shard": 0}, "sql.rows_per_shard: expected a whole number, 1 or more"),
        ({"url": "mysql://h/d", "columns": "id"}, "sql.columns: expected a list of names"),
        ({"url": "mysql://h/d", "tabel": "t"}, "sql: unknown key 'tabel'; did you mean 'table'"),
    ],
)
def test_options_that_do_not_fit(ingest: Ingest, options: dict[str, Any], error: str) -> None:
    with pytest.raises((ConfigError, DataError), match=error) as caught:
        ingest.resolve({"table": "t", **options})
    assert "hunter2" not in str(caught.value)


def test_options_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPS_URL", "postgresql://u:hunter2@h/d")
    options = SqlOptions.parse({"url_env": "TRIPS_URL", "table": "t"})
    assert "hunter2" not in repr(options)
    assert options.address.resolve().password == "hunter2"


@pytest.mark.parametrize(
    ("url", "library"), [("mysql://h/d", "pymysql"), ("postgresql://h/d", "adbc_driver_postgresql"), ("", "sqlalchemy")]
)
def test_a_library_that_is_not_installed(
    ingest: Ingest, url: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    for module in ("mysql", "postgresql"):
        monkeypatch.delitem(sys.modules, f"{databases.__name__}.{module}", raising=False)
    with pytest.raises(ConfigError, match=r"is not installed: pip install 'penstock\[sql\]'"):
        ingest.resolve({"url": url or "sqlite:////nowhere", "table": "t"})


def test_files_that_are_no_database(ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "trips").write_text("id,fare\n" * 1000)
    for kind, program in {"sqlite": "SQLite", "duckdb": "DuckDB"}.items():
        with pytest.raises(DataError, match=f"trips.*: expected a file that {program} has written") as caught:
            ingest.resolve({"url": f"{kind}:///{tmp_path}/trips", "table": "t"})
        assert "\n" not in str(caught.value)
    sqlite3.connect(tmp_path / "t.db").execute("CREATE TABLE t (id)").connection.close()
    with pytest.raises(
        DataError, match=r"t\.db: expected a file that DuckDB has written, found one of SQLite: sqlite:"
    ):
        ingest.resolve({"url": f"duckdb:///{tmp_path}/t.db", "table": "t"})


def test_a_file_that_another_program_writes(ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.components.example_gen.sources.sql.databases import sqlite
    from penstock.core.services import retries

    monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0)
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    writer = sqlite3.connect(tmp_path / "t.db")
    writer.execute("CREATE TABLE t (id)")
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(PenstockError, match="database is locked: another program has written"):
        ingest.resolve({"url": f"sqlite:///{tmp_path}/t.db", "table": "t"})
    writer.close()


def test_a_query_of_duckdb_reads_no_other_file(ingest: Ingest, tmp_path: Path) -> None:
    """It would be answered from the cache when that file changes."""
    duckdb.connect(str(tmp_path / "t.duckdb")).close()
    (tmp_path / "other.csv").write_text("id\n1\n")
    options = {"url": f"duckdb:///{tmp_path}/t.duckdb", "query": f"SELECT * FROM read_csv('{tmp_path}/other.csv')"}
    with pytest.raises(DataError, match="disabled"):
        ingest(options)


def test_rows_that_are_in_the_log_of_a_writer_alone(ingest: Ingest, tmp_path: Path) -> None:
    """With a write-ahead log SQLite's file itself stays as it was."""
    writer = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t AS SELECT 1 AS id")
    options = {"url": f"sqlite:///{tmp_path}/t.db"}
    resolved = ingest.resolve({**options, "table": "t"})
    writer.execute("INSERT INTO t VALUES (2)")
    changed = ingest.resolve({**options, "table": "t"})
    assert changed.fingerprint != resolved.fingerprint
    assert json.loads(ingest.execute({**options, "table": "t"}, changed).metadata["num_examples"]) == {"all": 2}
    writer.close()
