"""What the types of each database become."""

import sqlite3
from pathlib import Path

import duckdb
import pytest

from penstock.core.errors import DataError
from tests.components.example_gen.sources.sql.conftest import Ingest, Options
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

_POSTGRES = {
    "2::smallint": [2],
    "(1::bigint << 62)": [1 << 62],
    "4294967295::oid": [4294967295],
    "true": [1],
    "2.5::real": [2.5],
    "12.25::numeric(10,2)": [12.25],
    "73786976294838206464::numeric": [2.0**66],
    "'Infinity'::numeric": [float("inf")],
    "12::numeric(12,0)": [12],
    "'12.5'::money": [12.5],
    "'é'::text": ["é".encode()],
    "'ok'::mood": [b"ok"],
    "'\\xdead'::bytea": [b"\xde\xad"],
    "date '2026-01-31'": [b"2026-01-31"],
    "time '10:11:12.5'": [b"10:11:12.500000"],
    "timestamp '2026-01-31 01:02:03'": [b"2026-01-31 01:02:03.000000"],
    "timestamptz '2026-01-31 01:02:03+02'": [b"2026-01-30 23:02:03.000000Z"],
    "'{1,2}'::int[]": [1, 2],
    "'{}'::int[]": None,
    "'{a,b}'::text[]": [b"a", b"b"],
    "'{1.5,2}'::numeric[]": [1.5, 2],
    "'{\"a\": 1}'::json": [b'{"a": 1}'],
    "'{\"a\":1}'::jsonb": [b'{"a": 1}'],
    "'0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d'::uuid": [b"0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d"],
    "array['0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d'::uuid]": [b"0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d"],
    "'1.2.3.4'::inet": [b"1.2.3.4/32"],
    "int4range(1, 3)": [b"[1,3)"],
    "'{12,13}'::numeric(12,0)[]": [12, 13],
    "'9007199254740993'::numeric(38,0)": [9007199254740993],
    "row(1, 'a')": [b"(1,a)"],
    "row(2, 'b')::place": [b"(2,b)"],
    "array[row(3, 'c')::place]": [b"(3,c)"],
    "null::int": None,
}


def test_types_of_postgresql(ingest: Ingest, postgres: PostgreSQL, of_postgres: Options) -> None:
    postgres.execute("DROP TYPE IF EXISTS mood", "CREATE TYPE mood AS ENUM ('sad', 'ok')")
    postgres.execute("DROP TYPE IF EXISTS place", "CREATE TYPE place AS (number int, name text)")
    columns = ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(_POSTGRES))
    (row,) = ingest(of_postgres(query=f"SELECT {columns}")).rows()
    found = {sql: row.get(f"c{number}") for number, sql in enumerate(_POSTGRES)}
    assert found == _POSTGRES


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("interval '1 day'", r"the query: column 'x': expected numbers, text.*found month_day_nano_interval"),
        ("timestamp 'infinity'", r"the query: column 'x': expected times between the years 1 and 9999, found infinity"),
        ("date '4713-01-01 BC'", r"expected times between the years 1 and 9999"),
        ("1e18::numeric(30,0) * 100 + 0::numeric(30,0)", None),
        ("'100000000000000000000'::numeric(30,0)", r"column 'x': expected integers of 64 bits, found a greater one"),
        ("'NaN'::numeric(30,0)", r"the query: column 'x': expected whole numbers, found"),
        ("'{1,null}'::int[]", "column 'x': expected no null within a list"),
        ("1/(n-3)", "division by zero"),
        ("said(n)", "SSL SYSCALL of nobody"),
    ],
)
def test_values_of_postgresql_that_are_no_features(
    ingest: Ingest, postgres: PostgreSQL, of_postgres: Options, value: str, error: str | None
) -> None:
    options = of_postgres(query=f"SELECT {value} AS x FROM generate_series(1, 3) AS s(n)")
    postgres.execute(
        "CREATE OR REPLACE FUNCTION said(n int) RETURNS int LANGUAGE plpgsql AS "
        "$$ BEGIN IF n = 2 THEN RAISE 'SSL SYSCALL of nobody'; END IF; RETURN n; END $$"
    )
    if error is None:
        assert ingest(options).column("x") == [pytest.approx(1e20)] * 3  # a sum has no places that are declared
        return
    with pytest.raises(DataError, match=error):
        ingest(options)


_MARIA = {
    "ti TINYINT": ("1", [1]),
    "bu BIGINT UNSIGNED": ("9223372036854775807", [2**63 - 1]),
    "f FLOAT": ("1.2345678", [pytest.approx(1.2345678, rel=1e-7)]),
    "d DOUBLE": ("2.5", [2.5]),
    "n DECIMAL(10,2)": ("12.25", [12.25]),
    "n0 DECIMAL(18,0)": ("123456789012345678", [123456789012345678]),
    "dt DATE": ("'0000-00-00'", [b"0000-00-00"]),
    "t TIME": ("'120:00:00'", [b"120:00:00"]),
    "ts DATETIME(6)": ("'2026-01-31 01:02:03.5'", [b"2026-01-31 01:02:03.500000"]),
    "tz TIMESTAMP": ("'2026-01-31 01:02:03'", [b"2026-01-30 23:02:03"]),
    "y YEAR": ("2026", [2026]),
    "v VARCHAR(9)": ("'é'", ["é".encode()]),
    "b BLOB": ("x'dead'", [b"\xde\xad"]),
    "e ENUM('sad', 'ok')": ("'ok'", [b"ok"]),
    "j JSON": ("'{\"a\": 1}'", [b'{"a": 1}']),
    "bt BIT(9)": ("b'100000001'", [257]),
    "u UUID": ("'0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d'", [b"0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d"]),
    "nothing INT": ("NULL", None),
}


def test_types_of_mariadb(ingest: Ingest, maria: MariaDB, of_maria: Options) -> None:
    maria.execute(
        "SET sql_mode = '', time_zone = '+02:00'",
        f"CREATE OR REPLACE TABLE kinds ({', '.join(_MARIA)})",
        f"INSERT INTO kinds VALUES ({', '.join(value for value, _ in _MARIA.values())})",
    )
    (row,) = ingest(of_maria(table="kinds")).rows()
    assert {name: row.get(name.partition(" ")[0]) for name in _MARIA} == {
        name: found for name, (_, found) in _MARIA.items()
    }
    maria.execute("CREATE OR REPLACE TABLE places (p POINT, n DECIMAL(40,0))")
    with pytest.raises(DataError, match=r"table places: column 'p': .* found a geometry"):
        ingest(of_maria(table="places"))
    with pytest.raises(DataError, match="the query: column 'x': expected integers of 64 bits"):
        ingest(of_maria(query="SELECT 18446744073709551615 AS x"))


def test_types_of_duckdb(ingest: Ingest, tmp_path: Path) -> None:
    values = {
        "1::hugeint": [1],
        "1.5::decimal(10,2)": [1.5],
        "uuid '0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d'": [b"0ad9ae30-44cb-4e2f-9c05-e7bc2b7d798d"],
        "'ok'::enum('sad', 'ok')": [b"ok"],
        "[1, 2]": [1, 2],
        "timestamptz '2026-01-31 01:02:03+02'": [b"2026-01-30 23:02:03.000000Z"],
        "'\\xaa'::blob": [b"\xaa"],
        "null": None,
    }
    duckdb.connect(str(tmp_path / "d.duckdb")).close()
    options = {"url": f"duckdb:///{tmp_path / 'd.duckdb'}"}
    columns = ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(values))
    query = f"SELECT {columns}, {{'city': 'Ulm', 'zip': [89073]}} AS address"
    (row,) = ingest({**options, "query": query}).rows()
    assert {sql: row.get(f"c{number}") for number, sql in enumerate(values)} == values
    assert (row["address.city"], row["address.zip"]) == ([b"Ulm"], [89073])
    for value, error in {
        "interval 1 day": "column 'x': expected numbers, text.*interval",
        "timestamp 'infinity'": "column 'x': expected times between the years",
    }.items():
        with pytest.raises(DataError, match=error):
            ingest({**options, "query": f"SELECT {value} AS x"})


def test_types_of_sqlite_are_those_of_the_values(ingest: Ingest, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute(
            "CREATE TABLE t (i INTEGER, r INTEGER, t TEXT, b BLOB, at TIMESTAMP, missing INTEGER, mixed)"
        )
        rows = [(n, n if n else 0.5, f"é{n}", b"\xff", f"2026-01-0{n + 1}", None, n) for n in range(3)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    options = {"url": f"sqlite:///{tmp_path / 's.db'}", "table": "t", "partition_by": "i"}
    found = ingest({**options, "columns": ["i", "r", "t", "b", "at", "missing"]}).rows()
    assert found[0] == {"i": [0], "r": [0.5], "t": ["é0".encode()], "b": [b"\xff"], "at": [b"2026-01-01"]}
    assert [row["r"] for row in found] == [[0.5], [1.0], [2.0]]
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("UPDATE t SET mixed = 'n/a' WHERE i = 2")
    connection.close()
    with pytest.raises(
        DataError, match=r"table t: column 'mixed', row 3: expected integer, as in other rows, found text \('n/a'\)"
    ):
        ingest(options)
