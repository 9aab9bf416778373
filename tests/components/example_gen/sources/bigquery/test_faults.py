"""What goes wrong with BigQuery ends in one sentence, or is tried again, and leaves nothing half-written."""

import datetime
import decimal
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.core.errors import (
    ConfigError,
    DataError,
    NoCredentials,
    PenstockError,
    ServerError,
    ServerUnavailable,
    SystemFailure,
)
from penstock.core.services import retries
from tests.servers import ports
from tests.servers.bigquery import BigQuery, Cut, Table
from tests.servers.loopback import Cut as ConnectionCut
from tests.servers.loopback import Status

NUMBERS = pa.table({"x": range(100), "y": [row / 2 for row in range(100)]})
FIELDS = [{"name": "x", "type": "INTEGER"}, {"name": "y", "type": "FLOAT"}]
EXACT = pa.table(
    {
        "big": pa.array([decimal.Decimal("1.5"), None], pa.decimal256(76, 38)),
        "whole": pa.array([decimal.Decimal(7), None], pa.decimal128(38, 0)),
        "place": ["POINT(1 2)", None],
        "moment": pa.array([datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC), None], pa.timestamp("us", "UTC")),
        "days": pa.array([{"start": datetime.date(2026, 1, 31)}, None], pa.struct([("start", pa.date32())])),
    }
)
GONE = Cut(2, grpc.StatusCode.FAILED_PRECONDITION, "Session expired at 2026-01-31T16:00:00Z")
AWAY = Cut(0, grpc.StatusCode.UNAVAILABLE, "the server is going away")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQuery]:
    tables = {
        "shop.trips": Table(NUMBERS, FIELDS),
        "shop.exact": Table(EXACT, [{"name": name, "type": "STRING"} for name in EXACT.column_names]),
    }
    with BigQuery(tables, Table(NUMBERS, FIELDS)) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def _numbers(generated: Any) -> list[int]:
    return sorted(row["x"][0] for row in generated.rows)


def test_types_that_the_emulator_has_not(server: BigQuery, generate: Callable[..., Any]) -> None:
    one = json.dumps({"split_config": {"splits": [{"name": "train", "hash_buckets": 1}]}})
    whole = next(row for row in generate({"table": "team.shop.exact"}, output_config=one).rows if row["big"])
    assert whole == {
        "big": [1.5],
        "whole": [7],
        "place": [b"POINT(1 2)"],
        "moment": [b"2026-01-31 00:00:00.000000Z"],
        "days.start": [b"2026-01-31"],
    }


def test_a_stream_that_is_cut_is_read_on_from_its_last_row(server: BigQuery, generate: Callable[..., Any]) -> None:
    unavailable = grpc.StatusCode.UNAVAILABLE
    server.sessions.cuts = [Cut(2, unavailable, "reset"), Cut(0, unavailable, "reset"), Cut(1, unavailable, "reset")]
    assert _numbers(generate({"table": "team.shop.trips"})) == list(range(100))
    assert server.sessions.offsets == [0, 20, 20, 30, 0, 0]


@pytest.mark.parametrize(
    ("cuts", "error", "told"),
    [
        ([AWAY] * 3, ServerUnavailable, r"team.shop.trips, stream 1: BigQuery cannot answer now \(the server is going"),
        ([GONE], SystemFailure, r"stream 1: BigQuery's read session has ended, as all do after some hours: run again"),
        (
            [Cut(1, grpc.StatusCode.PERMISSION_DENIED, "Permission bigquery.tables.getData denied")],
            ServerError,
            r"it needs the permission bigquery.tables.getData, which roles/bigquery.dataViewer on the dataset has",
        ),
    ],
)
def test_a_stream_that_ends_for_good(
    cuts: list[Cut],
    error: type[PenstockError],
    told: str,
    server: BigQuery,
    generate: Callable[..., Any],
    tmp_path: Path,
) -> None:
    server.sessions.cuts = list(cuts)
    with pytest.raises(error, match=told) as raised:
        generate({"table": "team.shop.trips"})
    assert "\n" not in str(raised.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_sessions_rows_come_in_pages(
    server: BigQuery, generate: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    server.sessions.refusal = (grpc.StatusCode.PERMISSION_DENIED, "bigquery.readsessions.create denied")
    server.fail("GET", "rows", None, Status(503, "backendError|Try again"), ConnectionCut(after=False))
    for options in ({"table": "team.shop.trips"}, {"query": "SELECT x, y FROM shop.trips"}):
        assert _numbers(generate(options)) == list(range(100))
    assert "read page by page, which is slow" in caplog.text
    assert "roles/bigquery.readSessionUser lets an account use it" in caplog.text


def test_a_table_that_is_changed_meanwhile_is_read_as_it_was(
    server: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = json.dumps({"bigquery": {"table": "team.shop.trips"}})
    found = resolving.resolve(input_base=base)
    before = server.tables["shop.trips"].modified
    server.tables["shop.trips"].modified += 60_000
    executor.run(examples=str(tmp_path), input_base=base, **found._asdict(), engine="local:1")
    (request,) = server.sessions.requests
    snapshot = request.read_session.table_modifiers.snapshot_time
    assert round(snapshot.timestamp() * 1000) == before + 1
    assert resolving.resolve(input_base=base).fingerprint != found.fingerprint


def test_a_column_that_goes_between_two_runs_is_named(server: BigQuery, generate: Callable[..., Any]) -> None:
    options = {"table": "team.shop.trips", "columns": ["x", "y"]}
    generate(options)
    server.tables["shop.trips"] = Table(NUMBERS.select(["x"]), FIELDS[:1])
    with pytest.raises(DataError, match=r"team.shop.trips: there is no column 'y'; expected one of x"):
        generate(options)


def test_a_query_is_run_once_although_its_answer_gets_lost(server: BigQuery, generate: Callable[..., Any]) -> None:
    server.fail("POST", "jobs", None, None, ConnectionCut(after=True))
    generated = generate({"query": "SELECT x, y FROM shop.trips", "labels": {"team": "ml"}})
    assert _numbers(generated) == list(range(100))
    assert list(server.jobs) == [generated.origin["single_split.job"]]
    real = [body["configuration"] for body in server.sent("POST", "jobs") if not body["configuration"].get("dryRun")]
    assert {json.dumps(configuration["labels"]) for configuration in real} == {'{"team": "ml"}'}
    assert generated.origin["single_split.tables"] == "team.shop.trips"


def test_a_query_that_bigquery_fails_at_is_run_again(server: BigQuery, generate: Callable[..., Any]) -> None:
    server.job_errors = [{"reason": "backendError", "message": "Internal"}]
    assert _numbers(generate({"query": "SELECT x, y FROM shop.trips"})) == list(range(100))
    assert len(server.jobs) == 2


def test_bytes_and_their_price_are_told_and_limited(
    server: BigQuery, generate: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    server.bytes = 2 << 40
    query = {"query": "SELECT x, y FROM shop.trips"}
    with caplog.at_level(logging.INFO):
        generate(query)
    assert "reads 2 TiB of team.shop.trips: US$ 12.5000 where bytes are billed, at 6.25 per TiB" in caplog.text
    with pytest.raises(ConfigError, match=r"it would read 2,199,023,255,552 bytes, and maximum_bytes_billed is 1,000"):
        generate(query | {"maximum_bytes_billed": 1000})
    assert len(server.jobs) == 1
    with pytest.raises(ConfigError, match=r"team.shop.trips: it would read 1,048,576 bytes"):
        generate({"table": "team.shop.trips", "maximum_bytes_billed": 1000})
    generate({"table": "team.shop.trips", "maximum_bytes_billed": 1 << 20})


@pytest.mark.parametrize(
    ("failures", "error", "told"),
    [
        (
            [Status(403, "accessDenied|Access Denied: Permission bigquery.tables.get denied on table shop.trips")],
            ServerError,
            r"BigQuery refuses this account .*: it needs the permission bigquery.tables.get, which roles/bigquery.data",
        ),
        (
            [Status(401, "authError|Invalid Credentials")],
            NoCredentials,
            r"there are no credentials of Google Cloud: sign in",
        ),
        (
            [Status(403, "quotaExceeded|Quota exceeded: Your project exceeded quota for tables.get per day.")],
            ServerError,
            r"a quota of the project is used up \(Quota exceeded: Your project .* per day\): wait for the next day",
        ),
        (
            [Status(429, "rateLimitExceeded|Too many")] * 3,
            ServerUnavailable,
            r"BigQuery cannot answer now \(Too many\)",
        ),
        ([ConnectionCut(after=False)] * 3, ServerUnavailable, r"the connection to BigQuery failed"),
        ([Status(400, "invalid|Unsupported")], DataError, r"team.shop.trips: Unsupported"),
    ],
)
def test_a_table_that_is_refused(
    failures: list[Any], error: type[PenstockError], told: str, server: BigQuery, generate: Callable[..., Any]
) -> None:
    server.fail("GET", "table", *failures)
    with pytest.raises(error, match=told) as raised:
        generate({"table": "team.shop.trips"})
    assert "\n" not in str(raised.value)


def test_what_passes_soon_is_asked_again(server: BigQuery, generate: Callable[..., Any]) -> None:
    server.fail("GET", "table", Status(429, "rateLimitExceeded|Too many"), Status(503, "backendError|Busy"))
    assert _numbers(generate({"table": "team.shop.trips"})) == list(range(100))


def test_a_job_that_is_not_allowed_names_the_role(server: BigQuery, generate: Callable[..., Any]) -> None:
    server.fail(
        "POST", "jobs", Status(403, "accessDenied|Access Denied: User does not have bigquery.jobs.create permission")
    )
    with pytest.raises(ServerError, match=r"bigquery.jobs.create, which roles/bigquery.jobUser on the project that is"):
        generate({"query": "SELECT 1"})


def test_a_server_that_is_away(generate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{ports.reserve()}")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "team")
    with pytest.raises(ServerUnavailable, match=r"team.shop.trips: the connection to BigQuery failed"):
        generate({"table": "team.shop.trips"})


def test_credentials_that_are_not_there(
    generate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(NoCredentials, match=r"bigquery: there are no credentials of Google Cloud: sign in"):
        generate({"table": "team.shop.trips"})


def test_a_project_that_nobody_names(
    generate: Callable[..., Any], server: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    with pytest.raises(ConfigError, match=r"data.bigquery.project: expected the project that is billed"):
        generate({"table": "team.shop.trips"})
