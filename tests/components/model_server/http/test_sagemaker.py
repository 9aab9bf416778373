"""SageMaker's contract with containers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.model_server.settings import ModelSettings
from tests.servers.model_server import Client, serving

CSV, LINES = "text/csv", "application/jsonlines"
HEADER = b"trip_miles,payment,passengers\n"


@pytest.fixture(scope="module")
def trips_only(trips: Path) -> Iterator[Client]:
    with serving(ModelSettings("trips", str(trips))) as client:
        yield client


@pytest.fixture(scope="module")
def linear_only(linear: Path) -> Iterator[Client]:
    with serving(ModelSettings("linear", str(linear))) as client:
        yield client


def _ask(client: Client, body: bytes, kind: str = "application/json", accept: str = "*/*") -> Any:
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "c000b4f9-df62-4c85-a0bf-7c525f9104a4"}
    return client.ask("POST", "/invocations", body, **{"Content-Type": kind, "Accept": accept}, **attributes)


def test_ping(trips_only: Client) -> None:
    answer = trips_only.get("/ping")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"instances": [1, 2.5]}, {"predictions": [3.0, 6.0]}),
        ({"inputs": [1, 2.5]}, {"outputs": [3.0, 6.0]}),
        ([1, 2.5], {"predictions": [3.0, 6.0]}),
        ({"x": 2.5}, {"predictions": [6.0]}),
        ({"instances": [{"a": [1, 2], "b": "z"}], "signature_name": "several"}, None),
    ],
)
def test_json(linear_only: Client, body: object, expected: object) -> None:
    answer = _ask(linear_only, json.dumps(body).encode())
    assert answer.status == 200, answer.body
    assert answer.json == (expected or {"predictions": [{"joined": "z1", "raw_bytes": {"b64": "ejE="}, "sum": 3}]})


def test_json_lines(trips_only: Client) -> None:
    body = b'{"trip_miles": 1.5, "payment": "Cash"}\n\n{"trip_miles": 2}\r\n'
    answer = _ask(trips_only, body, LINES, LINES)
    assert answer.headers["content-type"] == LINES
    rows = [json.loads(line) for line in answer.body.splitlines()]
    assert [(row["miles"], row["payment"]) for row in rows] == [(1.5, ["Cash"]), (2.0, ["?"])]


@pytest.mark.parametrize("kind", [CSV, "text/csv; header=present", "TEXT/CSV;charset=utf-8"])
def test_csv_with_a_header(trips_only: Client, kind: str) -> None:
    answer = _ask(trips_only, HEADER + b'1.5,"Cash",3\r\n2,,\n', kind)
    rows = answer.json["predictions"]
    assert [(row["miles"], row["payment"], row["passengers"]) for row in rows] == [
        (1.5, ["Cash"], 3), (2.0, ["?"], -1),
    ]  # fmt: skip


def test_a_header_may_name_the_label(trips_only: Client) -> None:
    assert _ask(trips_only, b"tips,trip_miles\n9,1.5\n", CSV).json["predictions"][0]["miles"] == 1.5


def test_csv_in_the_order_of_the_schema(trips_only: Client) -> None:
    """Its order is payment, trip_miles, passengers, stops, corner; the label tips has no column."""
    answer = _ask(trips_only, b"Cash,1.5,3,7,\n", CSV, CSV)
    assert answer.headers["content-type"] == CSV
    assert answer.body == b"0.0,0.0,1.5,3,Cash,7\n"  # corner, miles, passengers, payment, stops


def test_csv_of_tensors(linear_only: Client) -> None:
    assert _ask(linear_only, b"1\n2.5\n", CSV, "text/csv, application/json").body == b"3.0\n6.0\n"
    assert _ask(linear_only, b"x\n1\n", CSV).json == {"predictions": [3.0]}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("image/png, text/csv;q=0.5", CSV),
        ("application/*", "application/json"),
        ("application/x-ndjson", LINES),
    ],
)
def test_accept(linear_only: Client, accept: str, kind: str) -> None:
    assert _ask(linear_only, b"[1]", accept=accept).headers["content-type"] == kind


@pytest.mark.parametrize(
    ("body", "kind", "accept", "status", "problem"),
    [
        (b"1", "application/xml", "*/*", 415, "Content-Type: expected application/json"),
        (b"[1]", "application/json", "image/png", 406, "Accept: expected application/json"),
        (b"", CSV, "*/*", 400, "expected CSV with a line for each row, received nothing"),
        (HEADER, CSV, "*/*", 400, "expected CSV with a line for each row after the header"),
        (HEADER + b"far,Cash,3", CSV, "*/*", 400, "line 2, column 'trip_miles': expected float32, received 'far'"),
        (HEADER + b"1.5,Cash,3.5", CSV, "*/*", 400, "line 2, column 'passengers': expected int64, received '3.5'"),
        (HEADER + b"1.5,Cash", CSV, "*/*", 400, "line 2: expected 3 columns (trip_miles, payment, passengers)"),
        (b"1.5,Cash", CSV, "*/*", 400, "line 1: expected 5 columns (payment, trip_miles, passengers, stops, corner)"),
        (b"trip_miles,colour\n1,red", CSV, "*/*", 400, "colour"),
        (b'trip_miles\n"1', CSV, "*/*", 400, "expected CSV: line 2"),
        (b"\xff\xfe", CSV, "*/*", 400, "expected CSV in UTF-8"),
        (b'{"trip_miles": 1}\n{"trip_', LINES, "*/*", 400, "line 2: the body: expected JSON"),
        (b"", LINES, "*/*", 400, "expected a list with at least one row"),
        (b'{"instances": 7}', "application/json", "*/*", 400, "instances: expected a list"),
    ],
)
def test_what_is_refused(trips_only: Client, body: bytes, kind: str, accept: str, status: int, problem: str) -> None:
    answer = _ask(trips_only, body, kind, accept)
    assert answer.status == status, answer.body
    assert problem in answer.json["error"]


def test_several_models(server: Client) -> None:
    answer = _ask(server, b"[1]")
    assert answer.status == 404
    assert "expected the name of a model" in answer.json["error"]
