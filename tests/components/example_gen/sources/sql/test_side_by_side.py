"""A table of PostgreSQL without a key, read over several connections: of one moment, and as one connection has it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from penstock.components.example_gen.sources.sql import copies, databases, readers
from penstock.components.example_gen.sources.sql.address import Address
from penstock.components.example_gen.sources.sql.databases import postgresql as module
from penstock.core.errors import DataError
from penstock.core.services import retries
from tests.components.example_gen.sources.sql.conftest import PASSWORD, Ingest, Ingested, Options
from tests.servers.postgresql import PostgreSQL

type Together = Callable[[Callable[[], object]], set[int]]
ROWS = 9000
PAGES = 5  # of 8 KB, a tenth of the table
FIRST = "(SELECT pid FROM pg_stat_activity WHERE application_name = 'penstock' ORDER BY backend_start LIMIT 1)"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_PAGES", PAGES)
    monkeypatch.setattr(retries, "PAUSE", 0.01)


@pytest.fixture
def table(postgres: PostgreSQL, of_postgres: Options) -> dict[str, Any]:
    """A table in which a third of the rows was updated, and a tenth deleted: these are not in the order of `id`."""
    postgres.execute(
        "DROP TABLE IF EXISTS loose CASCADE",
        f"CREATE TABLE loose AS SELECT n AS id, n * 1.5 AS fare, NULLIF('é' || n, 'é7') AS text "
        f"FROM generate_series(1, {ROWS}) n",
        "UPDATE loose SET fare = -1 WHERE id % 3 = 0",
        "DELETE FROM loose WHERE id % 10 = 5",
    )
    return of_postgres(table="loose", rows_per_shard=1000)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Together:
    """Has something done once all connections have a part to read; returns the threads that have read one."""
    write, threads = copies.write, set[int]()

    def after(act: Callable[[], object]) -> set[int]:
        barrier = threading.Barrier(readers.MOST, act, timeout=20)

        def written(*arguments: Any) -> copies.Copy:
            if len(threads) < readers.MOST and threading.get_ident() not in threads:
                threads.add(threading.get_ident())
                barrier.wait()
            return write(*arguments)

        monkeypatch.setattr(copies, "write", written)
        return threads

    return after


def _bytes(ingested: Ingested) -> list[bytes]:
    return [file.read_bytes() for file in ingested.examples.files("all")]


def test_rows_of_one_moment_while_others_write(
    ingest: Ingest,
    postgres: PostgreSQL,
    of_postgres: Options,
    table: dict[str, Any],
    together: Together,
) -> None:
    """Between the first part of each connection and the others every row is moved, changed or deleted."""
    by_one = ingest(of_postgres(query="SELECT * FROM loose", rows_per_shard=1000))
    assert len(by_one.shards("all")) == 9
    assert by_one.column("id") != sorted(by_one.column("id"))
    threads = together(
        lambda: postgres.execute(
            "UPDATE loose SET id = -id WHERE id % 2 = 0",
            "DELETE FROM loose WHERE id % 2 = 1",
            "INSERT INTO loose SELECT n, 0, 'new' FROM generate_series(1, 3000) n",
        )
    )
    by_several = ingest(table)
    assert len(threads) == readers.MOST
    assert by_several.rows() == by_one.rows()
    assert _bytes(by_several) == _bytes(by_one)


def test_more_of_it_is_asked_of_the_parts_too(
    ingest: Ingest, of_postgres: Options, table: dict[str, Any], together: Together
) -> None:
    options = {"columns": ["text", "id"], "where": "fare > 0 -- all", "changed_by": "id"}
    expected = ingest(of_postgres(query="SELECT text, id FROM loose WHERE fare > 0", rows_per_shard=1000))
    threads = together(lambda: None)
    assert _bytes(ingest({**table, **options})) == _bytes(expected)
    assert len(threads) == readers.MOST


@pytest.mark.parametrize("ended", ["first", "another"])
def test_a_connection_that_is_ended_while_it_reads(
    ingest: Ingest,
    postgres: PostgreSQL,
    table: dict[str, Any],
    together: Together,
    ended: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who is meant sleeps at his first row until he is ended; after that nobody sleeps any more."""
    caplog.set_level("INFO", readers.logger.name)
    postgres.execute(
        "CREATE OR REPLACE FUNCTION sleeps(id int) RETURNS bool LANGUAGE plpgsql VOLATILE AS $$ BEGIN "
        "IF NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 8) "
        f"AND (pg_backend_pid() = {FIRST}) = {ended == 'first'} THEN PERFORM pg_sleep(60); END IF; RETURN false; END $$"
    )
    found = []

    def end() -> None:
        sleeping = "FROM pg_stat_activity WHERE application_name = 'penstock' AND wait_event = 'PgSleep'"
        with postgres.session() as execute:
            while not (execute(f"SELECT pid {sleeping}") or done.is_set()):
                time.sleep(0.02)
            execute("SELECT pg_advisory_lock(8)::text")
            while not done.wait(0.02):  # some may have looked at the lock before, and sleep after
                found.extend(execute(f"SELECT pg_terminate_backend(pid) {sleeping}"))

    together(lambda: None)
    done = threading.Event()
    ender = threading.Thread(target=end, daemon=True)
    ender.start()
    rows = ingest({**table, "where": "NOT sleeps(id)"}).rows()
    done.set()
    ender.join()
    assert set(found) == {(True,)}
    assert len(rows) == ROWS * 9 // 10
    assert rows == ingest(table).rows()
    assert ("its part is read over another one" in caplog.text) == (ended == "another")


@pytest.mark.parametrize("limit", [1, 2])
def test_a_server_that_gives_fewer_connections(
    ingest: Ingest, postgres: PostgreSQL, table: dict[str, Any], limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exists = postgres.execute("SELECT rolname FROM pg_roles WHERE rolname = 'few'")
    postgres.execute(f"{'ALTER' if exists else 'CREATE'} ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT {limit}")
    postgres.execute("GRANT SELECT ON loose TO few")
    expected = ingest(table).rows()
    monkeypatch.setenv(PASSWORD, "few")
    assert ingest({**table, "url": table["url"].replace("penstock@", "few@")}).rows() == expected


def test_one_bad_row_of_many(ingest: Ingest, table: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="division by zero"):
        ingest({**table, "where": "1 / (id - 8999) < 2"})
    assert [path for path in ingest.folder.rglob("*") if path.is_file()] == []


def test_what_is_read_over_one_connection(
    ingest: Ingest, postgres: PostgreSQL, of_postgres: Options, table: dict[str, Any]
) -> None:
    """What an index answers, and what lies in several files or in none of its own."""
    postgres.execute(
        "CREATE VIEW seen AS SELECT * FROM loose",
        "CREATE TABLE heir () INHERITS (loose)",
        "INSERT INTO heir SELECT * FROM ONLY loose",
        "CREATE INDEX ON heir (id)",
        "ANALYZE heir",
        "DROP TABLE IF EXISTS divided",
        "CREATE TABLE divided (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE divided_1 PARTITION OF divided FOR VALUES FROM (0) TO (5000)",
        "CREATE TABLE divided_2 PARTITION OF divided FOR VALUES FROM (5000) TO (10000)",
        "INSERT INTO divided SELECT id FROM ONLY loose",
    )
    rows = ROWS * 9 // 10
    for name, expected in {"seen": 2 * rows, "loose": 2 * rows, "divided": rows, "heir": rows}.items():
        assert len(ingest({**table, "table": name}).rows()) == expected
    with databases.named(Address(table["url"], password_env=PASSWORD)).connected() as connection:
        for name in ("seen", "loose", "divided"):
            assert connection.parts(f"SELECT * FROM {name}", f'"{name}"') == []
        assert len(connection.parts("SELECT * FROM heir", '"heir"')) == 9
        assert connection.parts("SELECT * FROM heir WHERE id = 7", '"heir"') == []
