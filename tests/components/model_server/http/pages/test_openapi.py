"""openapi.json: the specification's own schema accepts it, and its examples fit the schemas and are answered."""

from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.servers.model_server import Client


@pytest.fixture(scope="module")
def document(server: Client) -> Any:
    return server.get("/openapi.json").json


def test_it_is_valid(document: Any) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert sorted(path for path in document["paths"] if "predict" in path) == [
        "/v1/models/linear:predict",
        "/v1/models/trips:predict",
    ]


@pytest.mark.parametrize("model", ["linear", "trips"])
def test_examples_fit_and_are_answered(server: Client, document: Any, model: str) -> None:
    path = f"/v1/models/{model}:predict"
    operation = document["paths"][path]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    answers = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert content["examples"]
    for name, example in content["examples"].items():
        jsonschema.validate(example["value"], content["schema"])
        answer = server.post(path, example["value"])
        if name != "total":  # whose outputs are no rows
            assert answer.status == 200, answer.body
            jsonschema.validate(answer.json, answers)


def test_a_schema_is_that_of_the_signature(document: Any) -> None:
    schemas = document["paths"]["/v1/models/trips:predict"]["post"]["requestBody"]["content"]["application/json"]
    instance = schemas["schema"]["anyOf"][0]["properties"]["instances"]["items"]
    assert instance["required"] == ["trip_miles"]
    assert [*instance["properties"]] == ["payment", "trip_miles", "passengers", "stops", "corner"]
    assert instance["properties"]["trip_miles"] == {
        "type": "number", "description": "in the training data from 0 to 100",
    }  # fmt: skip
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"trip_miles": "far"}, instance)
