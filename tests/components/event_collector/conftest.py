"""Events as KServe's logger sends them, and what is then in the log."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from penstock.components.event_collector.events import Event
from penstock.core.artifacts import RequestLog

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def headers(kind: str, id: str, after: float = 0, **attributes: str) -> dict[str, str]:
    """Returns the headers of an event as the logger of KServe 0.16 sends it, with an annotation of a push."""
    time = (NOON + timedelta(seconds=after)).isoformat().replace("+00:00", "Z")
    sent = {
        "specversion": "1.0",
        "id": id,
        "source": "http://localhost:9081/",
        "type": f"org.kubeflow.serving.inference.{kind}",
        "time": time,
        "inferenceservicename": "taxi",
        "namespace": "team",
        "component": "predictor",
        "endpoint": "",
        "metadata": "{}",
        "annotations": json.dumps({"penstock.dev/model-version": "3"}),
        **attributes,
    }
    return {"content-type": "application/json", **{f"ce-{name}": value for name, value in sent.items()}}


def request(number: int) -> bytes:
    return json.dumps({"instances": [{"hour": number, "company": "blue"}]}).encode()


def response(number: int) -> bytes:
    return json.dumps({"predictions": [number / 100]}).encode()


def event(kind: str, number: int, after: float = 0, body: bytes | None = None, **attributes: str) -> Event:
    content = body or (request(number) if kind == "request" else response(number))
    return of(headers(kind, f"id-{number}", after, **attributes), content)


def of(sent: Mapping[str, str], body: bytes, received: datetime = NOON) -> Event:
    encoded = [(name.encode(), value.encode()) for name, value in sent.items()]
    return Event.of(encoded, body, round(received.timestamp() * 1e6), "team")


def late(one: Event, seconds: float) -> Event:
    return replace(one, received=one.received + round(seconds * 1e6))


def now() -> float:
    """Returns how many seconds it is after NOON."""
    return time.time() - NOON.timestamp()


def logged(log: Path) -> list[dict[str, Any]]:
    """Returns the rows of all files of the log."""
    files = sorted(log.rglob(f"*{RequestLog.BODIES}"))
    return [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]


def halves(log: Path) -> dict[str, tuple[bool, bool]]:
    """Returns whether each id has a request and a response; an id that is there twice fails."""
    rows = logged(log)
    assert len({row["request_id"] for row in rows}) == len(rows), sorted(row["request_id"] for row in rows)
    return {row["request_id"]: (row["request"] is not None, row["response"] is not None) for row in rows}
