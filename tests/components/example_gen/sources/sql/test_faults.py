"""What goes wrong ends in one sentence, or in the same rows after a few tries; nothing is half-written."""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from penstock.components.example_gen.sources.sql import databases
from penstock.components.example_gen.sources.sql.address import Address
from penstock.core.errors import DataError, PenstockError, ServerError, ServerUnavailable
from penstock.core.services import retries
from tests.components.example_gen.sources.sql.conftest import PASSWORD, Ingest, Options
from tests.servers import cutting, ports, postgresql
from tests.servers.cutting import Proxy
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

ROWS = 3000
ONE = "of-one-connection"
CUT = 250_000  # bytes: less than a range, and more than PostgreSQL's types, which are read first


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)


@pytest.fixture(scope="module")
def trips(postgres: PostgreSQL, maria: MariaDB) -> None:
    """A table of 1.2 MB."""
    text = "x" * 400
    postgres.execute(
        "DROP TABLE IF EXISTS trips",
        f"CREATE TABLE trips AS SELECT n AS id, '{text}'::text AS text FROM generate_series(1, {ROWS}) n",
    )
    maria.execute(f"CREATE OR REPLACE TABLE trips AS SELECT seq AS id, '{text}' AS text FROM seq_1_to_{ROWS}")


@pytest.fixture(params=["postgresql, by ranges", "postgresql, copied", "mariadb"])
def options(request: pytest.FixtureRequest, trips: None, of_postgres: Options, of_maria: Options) -> dict[str, Any]:
    if request.param == "mariadb":
        return of_maria(table="trips")
    ranges = {"partition_by": "id", "rows_per_shard": 1000} if "ranges" in request.param else {}
    return of_postgres(table="trips", **ranges)


@pytest.fixture
def proxied(options: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Proxy]]:
    """The options, by a proxy that can cut."""
    port = int(re.findall(r":(\d+)/", options["url"])[0])
    with cutting.before(port) as proxy:
        yield {**options, "url": options["url"].replace(f":{port}/", f":{proxy.port}/")}, proxy


def test_a_connection_that_is_cut_half_way_is_read_again(ingest: Ingest, proxied: tuple[dict[str, Any], Proxy]) -> None:
    options, proxy = proxied
    resolved = ingest.resolve(options)
    proxy.after, proxy.cuts = CUT, 2
    assert ingest.execute(options, resolved, engine="local:1").column("id") == list(range(1, ROWS + 1))
    assert proxy.cuts == 0


def test_one_that_is_always_cut_ends_in_a_sentence(
    ingest: Ingest, proxied: tuple[dict[str, Any], Proxy], tmp_path: Path
) -> None:
    options, proxy = proxied
    resolved = ingest.resolve(options)
    proxy.after, proxy.cuts, proxy.connections = CUT, 100, 0
    with pytest.raises(ServerUnavailable, match=r"is the server running, and reachable from here\?"):
        ingest.execute(options, resolved, engine="local:1")
    assert proxy.connections == retries.TRIES + ("partition_by" in options)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_backend_that_is_ended_while_a_range_is_read(
    ingest: Ingest, postgres: PostgreSQL, of_postgres: Options, trips: None
) -> None:
    """Whoever reads row 1500 sleeps until he is ended; after that nobody sleeps any more."""
    postgres.execute(
        "CREATE OR REPLACE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN "
        "IF n = 1500 AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7) "
        "THEN PERFORM pg_sleep(60); END IF; RETURN n; END $$"
    )
    ended = []

    def end() -> None:
        sleeping = "FROM pg_stat_activity WHERE application_name = 'penstock' AND wait_event = 'PgSleep'"
        with postgres.session() as execute:
            while not execute(f"SELECT pid {sleeping}"):
                time.sleep(0.02)
            execute("SELECT pg_advisory_lock(7)::text")
            ended.extend(execute(f"SELECT pg_terminate_backend(pid) {sleeping}"))
            done.wait()

    done = threading.Event()
    ender = threading.Thread(target=end, daemon=True)
    ender.start()
    options = of_postgres(query="SELECT slow(id) AS id, id AS key FROM trips", partition_by="key", rows_per_shard=1000)
    assert ingest(options).column("id") == list(range(1, ROWS + 1))
    done.set()
    ender.join()
    assert ended == [(True,)]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_server_that_is_away(ingest: Ingest, kind: str) -> None:
    with pytest.raises(ServerUnavailable, match=rf"{kind}://127\.0\.0\.1:\d+/d: .*is the server running") as caught:
        ingest({"url": f"{kind}://penstock@127.0.0.1:{ports.reserve()}/d", "table": "trips"})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["password", "user", "database"])
def test_who_is_not_let_in(
    ingest: Ingest, options: dict[str, Any], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hunter2-of-nobody"
    if wrong == "password":
        monkeypatch.setenv(PASSWORD, secret)
    elif wrong == "user":
        options["url"] = options["url"].replace("//penstock@", "//stranger@")
    else:
        options["url"] = options["url"].rpartition("/")[0] + "/nowhere"
    with pytest.raises(ServerError, match=r"password_env|at the end of the URL") as caught:
        ingest(options)
    assert secret not in str(caught.value)


def test_a_password_that_is_not_to_be_had(
    ingest: Ingest, of_postgres: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(PenstockError, match=f"sql.password_env: the environment variable {PASSWORD} is not set"):
        ingest(of_postgres(table="trips"))


def test_secrets_may_be_in_a_file_or_in_the_url_of_a_variable(
    ingest: Ingest, postgres: PostgreSQL, trips: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(postgresql.PASSWORD + "\n")
    query = "SELECT count(*) AS n FROM trips"
    by_file = {"url": postgres.url, "password_file": str(tmp_path / "password"), "query": query}
    monkeypatch.setenv("TRIPS_URL", postgres.url.replace("@", f":{quote(postgresql.PASSWORD, safe='')}@", 1))
    for options in (by_file, {"url_env": "TRIPS_URL", "query": query}):
        found = ingest(options)
        assert found.column("n") == [ROWS]
        assert postgresql.PASSWORD not in str(found.metadata)


def test_a_statement_that_takes_too_long(
    ingest: Ingest, of_postgres: Options, of_maria: Options, maria: MariaDB
) -> None:
    slow = of_postgres(query="SELECT n, pg_sleep(0.01)::text FROM generate_series(1, 1000) n")
    slow["url"] += "?options=-c%20statement_timeout%3D50"
    with pytest.raises(DataError, match=r"statement timeout: .*ask for fewer rows, or raise it"):
        ingest(slow)
    maria.execute("SET GLOBAL max_statement_time = 0.05")
    try:
        with pytest.raises(DataError, match=r"max_statement_time.*: read fewer rows, or raise it"):
            ingest(of_maria(query="SELECT SLEEP(10) AS n"))
    finally:
        maria.execute("SET GLOBAL max_statement_time = 0")


def test_a_table_that_others_have_locked(
    ingest: Ingest, options: dict[str, Any], locked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("postgresql", "mysql"):
        monkeypatch.setattr(f"{databases.__name__}.{module}.LOCK_SECONDS", 1)
    monkeypatch.setattr(retries, "TRIES", 1)
    with pytest.raises(ServerUnavailable, match="others have locked the table for more than 1 s"):
        ingest(options)


@pytest.fixture
def locked(options: dict[str, Any], postgres: PostgreSQL, maria: MariaDB) -> Iterator[None]:
    """The table is locked by somebody who changes it."""
    if options["url"].startswith("mariadb"):
        with maria.session() as execute:
            execute("LOCK TABLES trips WRITE")
            yield
        return
    with postgres.session() as execute:
        execute("BEGIN")
        execute("LOCK TABLE trips IN ACCESS EXCLUSIVE MODE")
        yield
        execute("ROLLBACK")


def test_too_many_connections(
    ingest: Ingest, options: dict[str, Any], postgres: PostgreSQL, maria: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who may have one connection: enough for a copy, not for ranges beside the moment that they share."""
    of_maria = options["url"].startswith("mariadb")
    if of_maria:
        maria.execute(f"CREATE OR REPLACE USER single@'127.0.0.1' IDENTIFIED BY '{ONE}' WITH MAX_USER_CONNECTIONS 1")
        maria.execute("GRANT SELECT ON trips.* TO single@'127.0.0.1'")
    else:
        exists = postgres.execute("SELECT rolname FROM pg_roles WHERE rolname = 'single'")
        role = f"ROLE single LOGIN PASSWORD '{ONE}' CONNECTION LIMIT 1"
        postgres.execute(f"{'ALTER' if exists else 'CREATE'} {role}")
        postgres.execute("GRANT SELECT ON trips TO single")
    monkeypatch.setenv(PASSWORD, ONE)
    options["url"] = re.sub("//.*@", "//single@", options["url"])
    holding = contextlib.nullcontext()
    if "partition_by" not in options:
        assert len(ingest(options).rows()) == ROWS
        holding = databases.named(Address(options["url"], password_env=PASSWORD)).connected()
    with holding, pytest.raises(ServerUnavailable, match=r"fewer workers|allow more connections, or run fewer tasks"):
        ingest(options)


def test_a_column_that_is_gone_between_two_runs(ingest: Ingest, postgres: PostgreSQL, of_postgres: Options) -> None:
    postgres.execute("DROP TABLE IF EXISTS changing", "CREATE TABLE changing AS SELECT 1 AS id, 2 AS fare")
    options = of_postgres(table="changing", columns=["id", "fare"])
    assert ingest(options).rows() == [{"id": [1], "fare": [2]}]
    resolved = ingest.resolve(options)
    postgres.execute("ALTER TABLE changing RENAME fare TO fares")
    with pytest.raises(DataError, match='column "fare" does not exist'):
        ingest.execute(options, resolved)
    with pytest.raises(
        DataError, match=r"table changing: sql\.columns: there is no column 'fare'; did you mean 'fares'"
    ):
        ingest(options)
    postgres.execute("ALTER TABLE changing ALTER fares TYPE text")
    assert ingest(of_postgres(table="changing")).rows() == [{"id": [1], "fares": [b"2"]}]  # ExampleValidator tells it


def test_one_bad_row_of_many(ingest: Ingest, of_postgres: Options, trips: None, tmp_path: Path) -> None:
    for more in ({}, {"partition_by": "id", "rows_per_shard": 1000}):
        options = of_postgres(query="SELECT id, 1 / (id - 2999) AS x FROM trips", **more)
        with pytest.raises(DataError, match="division by zero"):
            ingest(options)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
