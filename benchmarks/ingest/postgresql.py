"""A million rows of nine columns from a PostgreSQL that this starts: integers, floats, texts, times and nulls.

- The server alone: one connection's process writes the rows in the form that ADBC asks for to /dev/null.
- ADBC alone: the client library's own floor, the rows as Arrow record batches, over one connection, in one thread.
- The source: the same rows through `SqlSource.open` and `batches`, as ExampleGen reads them: of a table (over several
  connections, in threads), of a query (over one), and by ranges of a key (in the engine's workers).
- pandas.read_sql: through SQLAlchemy and psycopg2, in an environment of its own that uv makes of requirements.txt. It
  has one connection and one thread.
- ExampleGen: all of its work, to gzip TFRecords of tf.Examples, on all cores.

Each side in a fresh process with its imports done, in turn; medians of the rounds. Processor seconds are the client's,
of all its processes; the server has some of its own.
"""

import functools
import json
import operator
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
UV = ROOT / ".toolchain" / "tools" / "bin" / "uv"
ROWS = 1_000_000
QUERY = 'SELECT * FROM "trips"'  # what the source makes of the table
_MAKE = f"""CREATE TABLE trips AS SELECT n::bigint AS id, (n::bigint * 7919 % 1000003)::int AS miles,
    (n % 1000) / 8.0::double precision AS fare, (n % 77)::real AS tips, 'company ' || (n % 37) AS company,
    CASE WHEN n % 5 = 0 THEN NULL ELSE 'card ' || (n % 4) END AS payment,
    timestamptz '2026-01-01' + n * interval '1 second' AS at, n % 2 = 0 AS shared, (n % 24)::smallint AS hour
    FROM generate_series(1, {ROWS}) AS s(n)"""


def measured(rounds: int) -> dict[str, list[float]]:
    """Returns wall and processor seconds of each side."""
    sys.path.insert(0, str(ROOT))
    from tests.servers import postgresql

    sides = {
        "the server alone, to /dev/null": [sys.executable, __file__, "server"],
        "ADBC alone, into Arrow": [sys.executable, __file__, "floor"],
        "the source, a table": [sys.executable, __file__, "table"],
        "the source, a query": [sys.executable, __file__, "query"],
        "the source, by ranges, all cores": [sys.executable, __file__, "ranges"],
        "pandas.read_sql (SQLAlchemy, psycopg2)": _with_pandas(),
        "ExampleGen, a table, all cores": [sys.executable, __file__, "examples of table"],
        "ExampleGen, a query, all cores": [sys.executable, __file__, "examples of query"],
        "ExampleGen, by ranges, all cores": [sys.executable, __file__, "examples by ranges"],
    }
    seconds: dict[str, list[list[float]]] = {side: [] for side in sides}
    with postgresql.running() as server:
        server.execute(_MAKE, "ALTER TABLE trips ADD PRIMARY KEY (id)", "VACUUM ANALYZE trips")
        url = server.url.replace("@", f":{quote(postgresql.PASSWORD, safe='')}@", 1)
        environment = {**os.environ, "PENSTOCK_BENCH_URL": url, "PENSTOCK_BENCH_QUERY": QUERY}
        for _ in range(rounds):
            for side, command in sides.items():
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                rows, *taken = done.stdout.split()[-3:]
                assert int(rows) == ROWS, done.stdout
                seconds[side].append([float(one) for one in taken])
    return {side: [statistics.median(one) for one in zip(*taken, strict=True)] for side, taken in seconds.items()}


def _with_pandas() -> list[str]:
    uv = [str(UV if UV.exists() else "uv"), "run", "--no-project", "--quiet", "--python", sys.executable]
    return [*uv, "--with-requirements", str(HERE / "requirements.txt"), "python", str(HERE / "pandas_side.py")]


def _floor() -> int:
    import adbc_driver_postgresql.dbapi  # type: ignore[import-untyped]

    uri = os.environ["PENSTOCK_BENCH_URL"]
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        return sum(batch.num_rows for batch in cursor.fetch_record_batch())


def _server() -> int:
    import adbc_driver_postgresql.dbapi

    uri = os.environ["PENSTOCK_BENCH_URL"]
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"COPY ({QUERY}) TO '/dev/null' (FORMAT binary)")
        return ROWS


_OPTIONS: dict[str, dict[str, object]] = {
    "table": {"table": "trips"},
    "query": {"query": QUERY},
    "ranges": {"table": "trips", "partition_by": "id"},
}


def _options(kind: str) -> dict[str, object]:
    return {"url_env": "PENSTOCK_BENCH_URL", **_OPTIONS[kind]}


def _source(kind: str) -> int:
    from penstock.components.engines import open_engine
    from penstock.components.example_gen.configs import InputSplit
    from penstock.components.example_gen.sources.source import Request
    from penstock.components.example_gen.sources.sql.source import SqlSource

    splits = [InputSplit("single_split", QUERY)]
    with (
        tempfile.TemporaryDirectory() as folder,
        open_engine("local" if kind == "ranges" else "local:1") as engine,
        SqlSource.open(Request("", splits, json.dumps(_options(kind)), "", Path(folder), engine)) as opened,
    ):
        return engine.fold(_Count(opened.source), operator.add, opened.shards) or 0


@dataclass(frozen=True)
class _Count:
    """Counts the rows of a shard as it reads them. Picklable: it travels to the engine's workers."""

    source: Any

    def __call__(self, shard: Any) -> int:
        return sum(batch.num_rows for piece in shard.pieces for batch in self.source.batches(piece))


def _examples(kind: str) -> int:
    from penstock.components.example_gen import executor
    from penstock.components.example_gen.inputs import resolving

    base = json.dumps({"sql": _options(kind)})
    with tempfile.TemporaryDirectory() as folder:
        found = resolving.resolve(input_base=base)
        written = executor.run(examples=folder, input_base=base, **found._asdict())
        return sum(json.loads(written.metadata["examples"]["num_examples"]).values())


def _processor() -> float:
    """Returns the processor seconds of this process and of those that it has waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    _SIDES = {
        "server": _server,
        "floor": _floor,
        **{kind: functools.partial(_source, kind) for kind in _OPTIONS},
        "examples of table": lambda: _examples("table"),
        "examples of query": lambda: _examples("query"),
        "examples by ranges": lambda: _examples("ranges"),
    }
    # Imports are no part of what is timed.
    import adbc_driver_postgresql.dbapi  # noqa: F401

    from penstock.components.example_gen import executor  # noqa: F401
    from penstock.components.example_gen.sources.sql import source  # noqa: F401
    from penstock.components.example_gen.sources.sql.databases import postgresql as module  # noqa: F401

    before, started = _processor(), time.perf_counter()
    rows = _SIDES[sys.argv[1]]()
    print(rows, time.perf_counter() - started, _processor() - before)
