"""An API for a module's tests, each of which says how it answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.core.services import retries
from tests.servers.api import Api, Reply


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with Api(lambda asked: Reply()) as api:
        yield api


@pytest.fixture
def api(server: Api) -> Api:
    server.requests.clear()
    return server


def document(value: Any, **headers: str) -> Reply:
    return Reply(json.dumps(value).encode(), {"Content-Type": "application/json", **headers})
