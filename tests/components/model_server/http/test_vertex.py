"""Vertex AI's contract with containers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.components.model_server.settings import ModelSettings
from tests.servers.model_server import Client, serving

HEALTH = "/v1/endpoints/77/deployedModels/5"
PREDICT = f"{HEALTH}:predict"


@pytest.fixture(scope="module")
def container(linear: Path) -> Iterator[Client]:
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # until it has started: a server that starts after it has no routes
            patch.setenv("AIP_HEALTH_ROUTE", HEALTH)
            patch.setenv("AIP_PREDICT_ROUTE", PREDICT)
            client = stack.enter_context(serving(ModelSettings("linear", str(linear))))
        yield client


def test_health(container: Client) -> None:
    assert container.get(HEALTH).status == 200


def test_predict(container: Client) -> None:
    assert container.post(PREDICT, {"instances": [1, 2.5]}).json == {"predictions": [3.0, 6.0]}
    several = {"instances": [{"a": [1, 2], "b": "z"}], "parameters": {"signature_name": "several", "top_k": 3}}
    assert container.post(PREDICT, several).json["predictions"][0]["sum"] == 3


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "instances: expected a list with at least one row, received None"),
        ({"instances": []}, "instances: expected a list"),
        ({"instances": [1], "parameters": [1]}, "parameters: expected an object, received [1]"),
        ({"instances": [1], "parameters": {"signature_name": 1}}, "parameters.signature_name: expected a text"),
        ({"instances": ["one"]}, "input 'x': expected float32 values, received 'one'"),
    ],
)
def test_what_is_refused(container: Client, body: object, problem: str) -> None:
    answer = container.post(PREDICT, body)
    assert answer.status == 400
    assert problem in answer.json["error"]


def test_other_routes_are_there_as_well(container: Client) -> None:
    assert container.post("/v1/models/linear:predict", {"instances": [1]}).status == 200


def test_nowhere_else(server: Client) -> None:
    assert server.get(HEALTH).status == 404
