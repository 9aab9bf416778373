"""Which rows are read: one moment of the database, cut by the rows alone, the same ones again."""

import json
import pickle
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from penstock.components.engines import open_engine
from penstock.components.example_gen import configs, executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources.source import Request
from penstock.components.example_gen.sources.sql.source import SqlSource
from penstock.core.errors import ConfigError, DataError, ServerUnavailable, UserError
from tests.components.example_gen.sources.sql.conftest import ONE_SPLIT, PASSWORD, PASSWORDS, Ingest, Options
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

ROWS = 1600
# Values of `day` repeat, and some rows have none; `odd name` has to be quoted everywhere.
_ROWS = [(n, None if n % 50 == 7 else f"2026-01-{n % 28 + 1:02}", n / 4, f"it's \\ {n}") for n in range(ROWS)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The rows in SQLite and DuckDB, by their URLs."""
    folder = tmp_path_factory.mktemp("databases")
    sqlite, duck = sqlite3.connect(folder / "t.db"), duckdb.connect(str(folder / "t.duckdb"))
    for connection in (sqlite, duck):
        for statement in _statements('"odd% ""name"'):
            connection.execute(statement)
        connection.commit()
        connection.close()
    return {"sqlite": f"sqlite:///{folder / 't.db'}", "duckdb": f"duckdb:///{folder / 't.duckdb'}"}


def _statements(odd: str) -> list[str]:
    """What makes the table; `odd` is the quoted name of its last column."""
    values = ", ".join(
        f"({n}, {'NULL' if day is None else repr(day)}, {fare}, '{text.replace("'", "''")}')"
        for n, day, fare, text in _ROWS
    )
    columns = f"id integer primary key, day varchar(10), fare double precision, {odd} varchar(40)"
    return ["DROP TABLE IF EXISTS trips", f"CREATE TABLE trips ({columns})", f"INSERT INTO trips VALUES {values}"]


def _fill(server: PostgreSQL | MariaDB) -> None:
    if isinstance(server, PostgreSQL):
        server.execute(*_statements('"odd% ""name"'))
    else:
        server.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'", *_statements('`odd% "name`'))


@pytest.fixture(scope="module", params=["postgresql", "mariadb", "sqlite", "duckdb"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Options of a database that has the rows."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param in PASSWORDS:
            server = request.getfixturevalue("postgres" if request.param == "postgresql" else "maria")
            _fill(server)
            patch.setenv(PASSWORD, PASSWORDS[request.param])
            yield {"url": server.url, "password_env": PASSWORD}
        else:
            yield {"url": request.getfixturevalue("files")[request.param]}


def test_every_row_is_read_once_whatever_the_workers(ingest: Ingest, database: dict[str, str]) -> None:
    options = {**database, "table": "trips", "partition_by": "id", "rows_per_shard": 600}
    one, two = (ingest(options, engine=engine) for engine in ("local:1", "local:2"))
    assert [row["id"] for row in one.rows()] == [[n] for n in range(ROWS)]
    assert one.rows()[8] == {"id": [8], "day": [b"2026-01-09"], "fare": [2.0], 'odd% "name': [b"it's \\ 8"]}
    assert [len(shard) for shard in one.shards("all")] == [600, 600, 400]
    assert [file.read_bytes() for file in one.examples.files("all")] == [
        file.read_bytes() for file in two.examples.files("all")
    ]
    origin = json.loads(one.metadata["origin"])
    assert origin["database"] == re.sub("//.*@", "//", database["url"])
    assert origin["query.0"].startswith("SELECT * FROM")
    assert ("snapshot" in origin) == database["url"].startswith("postgresql")


def test_keys_that_repeat_and_that_are_missing(ingest: Ingest, database: dict[str, str]) -> None:
    options = {**database, "table": "trips", "partition_by": "day", "rows_per_shard": 700, "columns": ["id", "fare"]}
    found = ingest(options)
    assert sorted(found.column("id")) == list(range(ROWS))
    assert set(found.rows()[0]) == {"id", "fare"}  # the key is read, and left out
    if database["url"].startswith("postgresql"):
        days = [{_ROWS[row["id"][0]][1] for row in shard} for shard in found.shards("all")]
        assert all(not (one & other) for one in days for other in days if one is not other)
        assert days[-1] == {None}


def test_which_columns_and_rows(ingest: Ingest, database: dict[str, str]) -> None:
    quote = '`odd% "name`' if database["url"].startswith("mariadb") else '"odd% ""name"'
    options = {**database, "columns": ['odd% "name'], "where": f"id < 3 AND {quote} IS NOT NULL -- all"}
    expected = [{'odd% "name': [f"it's \\ {n}".encode()]} for n in range(3)]
    assert ingest({**options, "table": "trips", "partition_by": "id"}).rows() == expected
    assert ingest({**options, "query": "SELECT * FROM trips -- all\n", "partition_by": "id"}).rows() == expected
    ordered = ingest({**database, "query": "WITH t AS (SELECT * FROM trips) SELECT id FROM t ORDER BY id DESC;"})
    assert ordered.column("id") == list(range(ROWS))[::-1]  # a query of which nothing more is asked keeps its order


def test_splits_are_queries(ingest: Ingest, database: dict[str, str]) -> None:
    splits = {"train": "SELECT id FROM trips WHERE id < 1200", "eval": "SELECT id FROM trips WHERE id >= 1200"}
    found = ingest({**database, "partition_by": "id"}, splits)
    assert [row["id"][0] for row in found.rows("eval")] == list(range(1200, ROWS))
    assert json.loads(found.metadata["num_examples"]) == {"train": 1200, "eval": 400}
    with pytest.raises(ConfigError, match="expected no table or query beside splits"):
        ingest.resolve({**database, "table": "trips"}, splits)
    with pytest.raises(ConfigError, match="expected a table or a query"):
        ingest.resolve(database)


def test_splits_are_databases_of_their_own(ingest: Ingest, files: dict[str, str]) -> None:
    parts = {
        "train": {"sql": {"url": files["sqlite"], "query": "SELECT id FROM trips WHERE id < 1200"}},
        "eval": {"sql": {"url": files["duckdb"], "table": "trips", "where": "id >= 1200", "columns": ["id"]}},
    }
    base = json.dumps({"splits": parts})
    resolved = resolving.resolve(input_base=base)
    written = executor.run(examples=str(ingest.folder), input_base=base, **resolved._asdict())
    assert json.loads(written.metadata["examples"]["num_examples"]) == {"train": 1200, "eval": 400}


def test_spans_are_days(ingest: Ingest, database: dict[str, str]) -> None:
    query = "SELECT id, day FROM trips WHERE REPLACE(day, '-', '') = @span_yyyymmdd_utc"
    days = {"static_range": {"start_span_number": "2026-01-03", "end_span_number": "2026-01-04"}}
    resolved = ingest.resolve({**database, "query": query}, range_config=json.dumps(days))
    assert (resolved.span, configs.resolved_splits(resolved.resolved_input)[1]) == (20457, "2026-01-03, 2026-01-04")
    found = ingest.execute({**database, "query": query}, resolved, output_config=ONE_SPLIT)
    assert [
        day for day in (b"2026-01-03", b"2026-01-04") for _ in range(found.column("day").count(day))
    ] == found.column("day")
    assert found.column("id") == sorted(found.column("id"), key=lambda n: (n % 28, n))
    with pytest.raises(ConfigError, match="expected a static_range"):
        ingest.resolve({**database, "query": query})


def test_names_that_do_not_exist_are_told_with_the_nearest(ingest: Ingest, database: dict[str, str]) -> None:
    for options, error in {
        ("table", "trip"): "table trip: there is no table 'trip'; did you mean 'trips'",
        ("table", "nowhere.trips"): r"there is no table 'nowhere\.trips'|SELECT command denied",
        ("columns", "fair"): "table trips: sql.columns: there is no column 'fair'; did you mean 'fare'",
        ("partition_by", "ID2"): "sql.partition_by: there is no column 'ID2'; did you mean 'id'",
        ("changed_by", "dai"): "sql.changed_by: there is no column 'dai'; did you mean 'day'",
        ("where", "fare > > 1"): "table trips: sql.where: ",
        ("where", "fair > 1"): "table trips: sql.where: there is no column 'fair'; did you mean 'fare'",
        ("table", 'trips"; DROP TABLE trips; --'): "there is no table",
        ("table", "trips`; DROP TABLE trips; --"): "there is no table",
    }.items():
        key, value = options
        with pytest.raises(UserError, match=error):
            ingest.resolve({**database, "table": "trips", key: [value] if key == "columns" else value})
    with pytest.raises(DataError, match=re.compile("syntax", re.IGNORECASE)):
        ingest.resolve({**database, "query": "SELECT FROM WHERE"})
    with pytest.raises(DataError, match="label 'fair' does not exist; did you mean 'fare'"):
        ingest({**database, "table": "trips"}, label="fair")
    if database["url"].startswith("postgresql"):  # others number columns of one name, or refuse them
        with pytest.raises(DataError, match="expected different names of columns, found 'id' twice"):
            ingest({**database, "query": "SELECT a.id, b.id FROM trips a JOIN trips b ON a.id = b.id"})
    for more in ({}, {"partition_by": "id"}):
        with pytest.raises(DataError, match="table trips: there is no row: expected at least one"):
            ingest({**database, "table": "trips", "where": "id < 0", **more})
    assert len(ingest({**database, "table": "trips"}).rows()) == ROWS  # nothing was dropped


def test_a_query_can_only_read(ingest: Ingest, database: dict[str, str]) -> None:
    for query in ("DELETE FROM trips", "SELECT 1; DELETE FROM trips"):
        with pytest.raises(DataError):
            ingest({**database, "query": query})
    assert len(ingest({**database, "table": "trips"}).rows()) == ROWS


def test_a_shard_is_the_same_again_and_elsewhere(database: dict[str, str], tmp_path: Path, ingest: Ingest) -> None:
    options: dict[str, Any] = {**database, "table": "trips", "partition_by": "id", "rows_per_shard": 1000}
    resolved = ingest.resolve(options)
    splits, _ = configs.resolved_splits(resolved.resolved_input)
    with open_engine("local:1") as engine:
        request = Request("", splits, json.dumps(options), "id", tmp_path, engine)
        with SqlSource.open(request) as opened:
            source, shards = pickle.loads(pickle.dumps((opened.source, opened.shards)))
            for own, travelled in zip(opened.shards, shards, strict=True):
                (piece,) = own.pieces
                assert piece.size > 0
                first, second, there = (
                    [block.columns.to_pylist() for block in reader.read(part)]
                    for reader, part in ((opened.source, piece), (opened.source, piece), (source, travelled.pieces[0]))
                )
                assert first == second == there
                assert opened.source.rows(piece) == sum(map(len, first)) == (600 if own.index else 1000)
    assert PASSWORD not in database or PASSWORDS["postgresql"].encode() not in pickle.dumps((source, shards))


def test_the_fingerprint_is_honest(ingest: Ingest, postgres: PostgreSQL, of_postgres: Options, maria: MariaDB) -> None:
    """By a column that grows, rows that come after it was looked at are not read; without one nothing is cached."""
    postgres.execute("DROP TABLE IF EXISTS changes", "CREATE TABLE changes (id int, at timestamptz)")
    postgres.execute(
        "INSERT INTO changes SELECT n, timestamptz '2026-01-01' + n * interval '1 h' FROM generate_series(1, 5) n"
    )
    options = of_postgres(table="changes", changed_by="at", columns=["id"])
    first, again = ingest.resolve(options), ingest.resolve(options)
    assert first == again
    assert first.fingerprint == "split:single_split,rows:5,newest:2026-01-01 05:00:00+00"
    postgres.execute("INSERT INTO changes VALUES (6, '2026-02-01'), (7, NULL)")
    assert sorted(ingest.execute(options, first).column("id")) == [1, 2, 3, 4, 5, 7]
    assert ingest.resolve(options).fingerprint != first.fingerprint
    uncached = of_postgres(table="changes")
    assert ingest.resolve(uncached).fingerprint != ingest.resolve(uncached).fingerprint


def test_a_large_whole_number_binds_exactly(ingest: Ingest, maria: MariaDB, of_maria: Options) -> None:
    maria.execute("CREATE OR REPLACE TABLE changes (id INT, at BIGINT)", f"INSERT INTO changes VALUES (1, {2**62})")
    options = of_maria(table="changes", changed_by="at")
    resolved = ingest.resolve(options)
    maria.execute(f"INSERT INTO changes VALUES (2, {2**62 + 1})")
    assert ingest.execute(options, resolved).column("id") == [1]


def test_a_file_that_is_as_it_was_has_its_fingerprint(ingest: Ingest, files: dict[str, str], tmp_path: Path) -> None:
    for kind, name in (("sqlite", "t.db"), ("duckdb", "t.duckdb")):
        path = tmp_path / name
        path.write_bytes(Path(files[kind].partition("///")[2]).read_bytes())
        options = {"url": f"{kind}:///{path}", "table": "trips"}
        before = ingest.resolve(options).fingerprint
        assert ingest.resolve(options).fingerprint == before
        connection = sqlite3.connect(path) if kind == "sqlite" else duckdb.connect(str(path))
        connection.execute("UPDATE trips SET fare = 1 WHERE id = 1")
        connection.commit()
        connection.close()
        assert ingest.resolve(options).fingerprint != before


@pytest.mark.parametrize("partition_by", ["id", ""])
def test_all_shards_are_of_one_moment(
    ingest: Ingest, postgres: PostgreSQL, of_postgres: Options, tmp_path: Path, partition_by: str
) -> None:
    """Between two shards a row moves from the first to the last and others go: nobody sees it."""
    postgres.execute(
        "DROP TABLE IF EXISTS moving", "CREATE TABLE moving AS SELECT n AS id FROM generate_series(1, 900) n"
    )
    options = of_postgres(table="moving", rows_per_shard=300, **({"partition_by": "id"} if partition_by else {}))
    splits, _ = configs.resolved_splits(ingest.resolve(options).resolved_input)
    found = []
    with (
        open_engine("local:1") as engine,
        SqlSource.open(Request("", splits, json.dumps(options), "", tmp_path, engine)) as opened,
    ):
        for shard in opened.shards:
            for block in opened.source.read(shard.pieces[0]):
                found += [row["id"][0] for row in block.columns.to_pylist()]
            postgres.execute("UPDATE moving SET id = id + 899 WHERE id = 2", "DELETE FROM moving WHERE id > 400")
    assert sorted(found) == list(range(1, 901))


def test_a_moment_whose_connection_is_gone(
    ingest: Ingest, postgres: PostgreSQL, of_postgres: Options, tmp_path: Path
) -> None:
    options = of_postgres(query="SELECT generate_series(1, 9) AS id", partition_by="id")
    splits, _ = configs.resolved_splits(ingest.resolve(options).resolved_input)
    request = Request("", splits, json.dumps(options), "", tmp_path, open_engine("local:1"))
    with request.engine, SqlSource.open(request) as opened:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock'")
        with pytest.raises(ServerUnavailable, match=r"the connection that held the snapshot is gone, .*: run again"):
            list(opened.source.read(opened.shards[0].pieces[0]))


def test_all_splits_of_mariadb_are_of_one_moment(
    ingest: Ingest, maria: MariaDB, of_maria: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    from penstock.components.example_gen.sources.sql import copies

    maria.execute("CREATE OR REPLACE TABLE moving (id INT)", "INSERT INTO moving VALUES (1), (2), (3)")
    write = copies.write

    def written(*arguments: Any) -> Any:
        result = write(*arguments)
        maria.execute("DELETE FROM moving")
        return result

    monkeypatch.setattr(copies, "write", written)
    query = "SELECT id FROM moving ORDER BY id"
    found = ingest(of_maria(), {"train": query, "eval": query})
    assert [row["id"][0] for row in found.rows("eval")] == [1, 2, 3]
