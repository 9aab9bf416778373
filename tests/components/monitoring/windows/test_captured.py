"""What a SageMaker endpoint has captured: records as it writes them come out as rows, and what does not is counted."""

import base64
import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.components.engines import open_engine
from penstock.components.monitoring.windows import captured, files
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.requests import Requests, WindowRows
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor import places
from penstock.core.artifacts import CapturedData, open_log
from penstock.core.errors import ConfigError
from penstock.core.files import object_stores
from tests.components.monitoring.conftest import NOON, examples, schema
from tests.servers.object_stores import ObjectStore

HOUR = Window(NOON, NOON + timedelta(hours=1))
TAXI = Selection("taxi")

type Capture = Callable[..., Path]


def body(mode: str, content: str | bytes, content_type: str, encoding: str) -> dict[str, str]:
    data = base64.b64encode(content).decode() if isinstance(content, bytes) else content
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def record(
    request: Any, response: Any = None, after: float = 0, kind: str = "application/json", **about: str
) -> dict[str, Any]:
    """Returns a record as SageMaker writes it: times in whole seconds, and bodies by their types."""
    encoding = {"application/json": "JSON", "text/csv": "CSV"}.get(kind, "BASE64")
    data = {"endpointInput": body("INPUT", request, kind, encoding)}
    if response is not None:
        data["endpointOutput"] = body("OUTPUT", response, kind, encoding)
    time = (NOON + timedelta(seconds=after)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "captureData": data,
        "eventMetadata": {"eventId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{after}")), "inferenceTime": time, **about},
        "eventVersion": "0",
    }


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    """Returns a function that writes a file of a variant, in the folder of an hour."""

    def write(records: list[Any], variant: str = "current", hour: datetime = NOON, name: str = "00-00-1.jsonl") -> Path:
        path = tmp_path / "captured" / "taxi" / variant / hour.strftime("%Y/%m/%d/%H") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(one) + "\n" for one in records))
        return path

    return write


def read(folder: Path, selection: Selection = TAXI, window: Window = HOUR) -> tuple[list[WindowRows], Account]:
    requests = Requests.open(folder, selection, window, Features.of(schema(), "tips"))
    account = requests.listed
    return [rows for piece in requests.pieces for rows in requests.read(piece, account)], account


def features(batches: list[WindowRows]) -> list[Any]:
    return [row for batch in batches for row in batch.features.to_pylist()]


def counted(reasons: Any) -> dict[str, int]:
    return {f"{one['unit']}: {one['reason']}": one["count"] for one in reasons.listed()}


def test_json_csv_and_base64_come_out_as_the_schemas_columns(capture: Capture, tmp_path: Path) -> None:
    instances = {"instances": [{"miles": 1, "hour": 9, "company": "blue"}, {"miles": 2.5, "surge": 1}]}
    (serialized,) = examples([{"miles": [4.5], "company": [b"red"]}])
    capture(
        [
            record(json.dumps(instances), '{"predictions": [0.5, 0.25]}', inferenceId="ride-1"),
            record("3.5,10,green\n", "0.75\n", after=1, kind="text/csv"),
            record(b'{"miles": 5.5}\n', b"0.125\n", after=2, kind="application/jsonlines"),
            record(json.dumps({"instances": [{"b64": base64.b64encode(serialized).decode()}]}), after=3),
        ]
    )
    batches, account = read(tmp_path / "captured")
    assert features(batches) == [
        {"miles": [1.0], "hour": [9], "company": [b"blue"]},
        {"miles": [2.5], "hour": None, "company": None},
        {"miles": [3.5], "hour": [10], "company": [b"green"]},
        {"miles": [5.5], "hour": None, "company": None},
        {"miles": [4.5], "hour": None, "company": [b"red"]},
    ]
    outputs = pa.concat_arrays([batch.outputs.column("") for batch in batches if batch.outputs.num_columns])
    assert outputs.to_pylist() == [0.5, 0.25, 0.75, 0.125]
    about = [row for batch in batches for row in batch.about.to_pylist()]
    assert [(row["request_id"][:6], row["row"], (row["time"] - NOON).seconds) for row in about] == [
        ("ride-1", 0, 0),
        ("ride-1", 1, 0),
        *((str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))[:6], 0, number) for number in (1, 2, 3)),
    ]
    assert (account.requests, account.rows, account.versions, account.unknown) == (4, 5, {}, {"surge": 1})
    assert (counted(account.left_out), counted(account.odd)) == ({}, {"rows: a row of a request without a response": 1})


def test_a_window_has_its_own_hours_and_moments(capture: Capture, tmp_path: Path) -> None:
    for hour in range(-3, 4):
        seconds = [3600 * hour + second for second in (0, 3599)]
        moments = [record(json.dumps({"hour": second}), after=second) for second in seconds]
        capture([*moments, record("broken", after=3600 * hour + 1)], hour=NOON + timedelta(hours=hour))
    batches, account = read(tmp_path / "captured")
    assert [row["hour"] for row in features(batches)] == [[0], [3599]]
    assert account.requests == 3
    assert counted(account.left_out) == {"rows: a body that is neither JSON of a known form, nor CSV": 1}


def test_a_file_that_is_cut_and_lines_that_are_no_records_are_counted(capture: Capture, tmp_path: Path) -> None:
    row = record('{"hour": 1}')
    path = capture([row, {"other": 1}, [], {"captureData": {}, "eventMetadata": {"inferenceTime": "noon"}}, row])
    path.write_bytes(path.read_bytes()[:-40])
    (path.parent / "notes.txt").write_text("mine")
    batches, account = read(tmp_path / "captured")
    assert features(batches) == [{"miles": None, "hour": [1], "company": None}]
    assert counted(account.left_out) == {
        "rows: a line that is no record of SageMaker's data capture": 3,
        "files: a file that is damaged or cut off; what comes before the damage is measured": 1,
        "files: a file that is none of a request log": 1,
    }
    (cut,) = [one["example"] for one in account.left_out.listed() if "damaged" in one["reason"]]
    assert cut.startswith("taxi/current/2026/10/30/12/00-00-1.jsonl, line 5: ")


def test_a_canary_beside_the_model_is_told_and_can_be_chosen(capture: Capture, tmp_path: Path) -> None:
    capture([record('{"hour": 1}')] * 3)
    capture([record('{"hour": 2}')], variant="canary")
    batches, account = read(tmp_path / "captured")
    assert [row["hour"] for row in features(batches)] == [[2], [1], [1], [1]]
    (mixed,) = [one for one in account.odd.listed() if "variants" in one["reason"]]
    assert (mixed["count"], mixed["example"]) == (4, "canary")
    batches, account = read(tmp_path / "captured", Selection("taxi/canary"))
    assert [row["hour"] for row in features(batches)] == [[2]]
    assert not [one for one in account.odd.listed() if "variants" in one["reason"]]
    assert CapturedData(tmp_path / "captured").models() == open_log(tmp_path / "captured").models() == [("taxi", 0)]


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection("taxy"), "model 'taxy' is not in .*; did you mean 'taxi'?"),
        (Selection("taxi/canari"), "model 'taxi/canari' is not in .*; did you mean 'taxi/canary'?"),
        (Selection("taxi", 3), "version 3: SageMaker does not write which version has answered: .* taxi/canary"),
    ],
)
def test_what_cannot_be_meant_is_said(capture: Capture, tmp_path: Path, selection: Selection, words: str) -> None:
    for variant in ("current", "canary"):
        capture([record("{}")], variant=variant)
    with pytest.raises(ConfigError, match=words):
        read(tmp_path / "captured", selection)


def test_only_the_hours_of_a_window_are_fetched(capture: Capture, tmp_path: Path, object_store: ObjectStore) -> None:
    uri = object_store.uri("captured")
    with object_stores.open_store(uri) as store:
        for variant in ("current", "canary"):
            for hour in (-2, -1, 0, 1, 2):
                path = capture([record("{}", after=3600 * hour)], variant, NOON + timedelta(hours=hour))
                store.upload(path, object_stores.join(uri, path.relative_to(tmp_path / "captured").as_posix()))
    with places.request_log(uri, TAXI, HOUR, open_engine()) as folder:
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jsonl"))
        assert read(folder)[1].requests == 2
    hours = [f"{variant}/2026/10/30/{hour}" for variant in ("canary", "current") for hour in (11, 12, 13)]
    assert names == [f"taxi/{hour}/00-00-1.jsonl" for hour in hours]
    with places.request_log(uri, Selection("taxi/current"), HOUR, open_engine()) as folder:
        assert {path.parts[-6] for path in folder.rglob("*.jsonl")} == {"current"}


def test_a_file_that_cannot_be_opened_is_counted(tmp_path: Path) -> None:
    account = Account()
    piece = files.Piece(tmp_path, "taxi/1.jsonl", 0, NOON, NOON)
    assert [*captured.read(piece, account)] == []
    assert [one["reason"] for one in account.left_out.listed()] == [files.NOT_WHOLE]
