"""Tables and queries of BigQuery's emulator, by Google's own clients: the Storage Read API, and pages without it."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from penstock.core.errors import ConfigError, DataError
from tests.servers.bigquery_emulator import Emulator

pytestmark = pytest.mark.slow
TYPES = """
CREATE TABLE shop.types (
  i INT64 NOT NULL, f FLOAT64, n NUMERIC, ts TIMESTAMP, dt DATETIME, d DATE, t TIME, j JSON, y BYTES, b BOOL,
  s STRUCT<city STRING, zip INT64>, items ARRAY<STRUCT<name STRING, price NUMERIC>>, tags ARRAY<STRING>
)"""
ROWS = """
INSERT INTO shop.types VALUES
  (1, 1.5, NUMERIC '12.25', TIMESTAMP '2026-01-31 10:00:00+02', DATETIME '2026-01-31 10:00:00', DATE '2026-01-31',
   TIME '10:00:00', JSON '{"a":1}', b'ab', true, STRUCT('Rome', 123), [STRUCT('pen', NUMERIC '1.5')], ['a', 'b']),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, [], [])"""
ONE = json.dumps({"split_config": {"splits": [{"name": "train", "hash_buckets": 1}]}})
WHOLE = {
    "i": [1],
    "f": [1.5],
    "n": [12.25],
    "ts": [b"2026-01-31 08:00:00.000000Z"],
    "dt": [b"2026-01-31 10:00:00.000000"],
    "d": [b"2026-01-31"],
    "t": [b"10:00:00.000000"],
    "j": [b'{"a":1}'],
    "y": [b"ab"],
    "b": [1],
    "s.city": [b"Rome"],
    "s.zip": [123],
    "items.name": [b"pen"],
    "items.price": [1.5],
    "tags": [b"a", b"b"],
}


@pytest.fixture(scope="module", autouse=True)
def _shop(emulator: Emulator) -> None:
    client = emulator.client()
    client.create_dataset("shop")
    client.create_dataset("empty")
    for statement in (
        TYPES,
        ROWS,
        "CREATE TABLE shop.trips (day DATE, miles FLOAT64, tip INT64)",
        "INSERT INTO shop.trips SELECT DATE_ADD(DATE '2026-01-01', INTERVAL MOD(x, 4) DAY), x / 10, MOD(x, 2) "
        "FROM UNNEST(GENERATE_ARRAY(1, 400)) AS x",
        "CREATE TABLE shop.nothing (miles FLOAT64)",
        "CREATE VIEW shop.short AS SELECT * FROM shop.trips WHERE miles < 10",
    ):
        client.query(statement).result()


@pytest.fixture(params=["streams", "pages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pages":
        monkeypatch.delenv("BIGQUERY_STORAGE_EMULATOR_HOST")
    return str(request.param)


def _present(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value}


def test_every_type_and_nulls(way: str, generate: Callable[..., Any]) -> None:
    generated = generate({"table": "team.shop.types"}, output_config=ONE)
    first, second = sorted(generated.rows, key=lambda row: row["i"])
    assert _present(first) == WHOLE
    assert _present(second) == {"i": [2]}
    assert generated.origin["single_split.table"] == "team.shop.types"


def test_chosen_columns_and_rows(way: str, generate: Callable[..., Any]) -> None:
    options = {"table": "team.shop.trips", "columns": ["miles", "tip"], "row_restriction": "day >= '2026-01-02'"}
    rows = generate(options, label="tip").rows
    assert len(rows) == 300
    assert {tuple(row) for row in rows} == {("miles", "tip")}


def test_a_query_says_its_bytes_before_it_reads(
    way: str, generate: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        generated = generate({"query": "SELECT tip, miles FROM shop.trips\nWHERE miles > 20"})
    assert len(generated.rows) == 200
    assert "reads 0 bytes of" in caplog.text
    assert "US$ 0.0000 where bytes are billed" in caplog.text
    assert generated.origin["single_split.query"].startswith("SELECT tip")
    assert generated.origin["single_split.job"].startswith("penstock-")


def test_a_view_is_a_query(generate: Callable[..., Any]) -> None:
    assert len(generate({"table": "team.shop.short"}).rows) == 99


def test_splits_are_queries_and_macros_are_spans(generate: Callable[..., Any]) -> None:
    query = "SELECT miles, tip FROM shop.trips WHERE FORMAT_DATE('%Y%m%d', day) = @span_yyyymmdd_utc"
    splits = {"train": query, "eval": f"{query} AND tip = 1"}
    days = json.dumps({"static_range": {"start_span_number": "2026-01-02", "end_span_number": "2026-01-03"}})
    generated = generate({}, splits, days)
    assert json.loads(generated.metadata["num_examples"]) == {"train": 200, "eval": 100}
    assert generated.metadata["spans"] == "2026-01-02, 2026-01-03"
    assert generated.metadata["span"] == 20456


def test_an_unchanged_table_has_the_same_fingerprint_and_pattern(generate: Callable[..., Any]) -> None:
    first, second = (generate({"table": "team.shop.trips"}) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    contents = [[file.read_bytes() for file in each.examples.files("train")] for each in (first, second)]
    assert contents[0] == contents[1]
    changing = [generate({"query": "SELECT RAND() AS x, tip FROM shop.trips"}).fingerprint for _ in range(2)]
    assert changing[0] != changing[1]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"table": "team.shop.trip"}, DataError, r"team.shop has no table 'trip'; did you mean 'trips'\?"),
        ({"table": "team.shp.trips"}, DataError, r"team has no dataset 'shp'; did you mean 'shop'\?"),
        ({"table": "team.empty.trips"}, DataError, r"team.empty has no table 'trips'; there is none"),
        ({"table": "team.shop.trips", "columns": ["mile"]}, DataError, r"no column 'mile'; did you mean 'miles'\?"),
        ({"table": "team.shop.nothing"}, DataError, r"data.bigquery: team.shop.nothing: there is no row: expected"),
        ({"query": "SELECT miles FROM shop.trips WHERE tip = 7"}, DataError, "WHERE tip = 7: there is no row"),
        (
            {"query": "SELECT 1\nFRM shop.trips"},
            DataError,
            r"query: .* at \[2:\d+\]: line 2 of the query is 'FRM shop.t",
        ),
        ({}, ConfigError, "expected a table or a query, or splits that are queries, received none"),
        ({"table": "trips"}, ConfigError, "expected a table such as project.dataset.table, received 'trips'"),
        ({"tabel": "a.b.c"}, ConfigError, "unknown key 'tabel'; did you mean 'table'"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    options: dict[str, Any], error: type[Exception], told: str, generate: Callable[..., Any]
) -> None:
    with pytest.raises(error, match=told) as raised:
        generate(options)
    assert "\n" not in str(raised.value)


def test_a_label_that_is_not_there_is_told_before_any_row_is_read(generate: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"team.shop.trips: label 'tips' does not exist; did you mean 'tip'\?"):
        generate({"table": "team.shop.trips"}, label="tips")


def test_workers_read_the_streams(generate: Callable[..., Any]) -> None:
    """Forked ones, in which gRPC begins anew; whatever their number, the bytes are the same."""
    splits = {"train": "team.shop.trips", "eval": "team.shop.types"}
    alone, together = (generate({}, splits, engine=engine) for engine in ("local:1", "local:2"))
    assert json.loads(together.metadata["num_examples"]) == {"train": 400, "eval": 2}
    for split in splits:
        first, second = ([file.read_bytes() for file in each.examples.files(split)] for each in (alone, together))
        assert first == second
