"""What the models take and give, as an OpenAPI document: https://spec.openapis.org/oas/v3.1.1

It is made from the signatures of each model's newest version, and from its schema. A schema's values and ranges are
those of the training data: the document describes them, and makes no rule of them, for the server refuses none.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import tensorflow as tf

from penstock.components.model_server.http.pages import examples
from penstock.components.model_server.inference import (
    DEFAULT_SIGNATURE,
    Models,
    RequestError,
    ServedFeature,
    ServedSignature,
    Target,
)
from penstock.components.model_server.open_inference import requests
from penstock.core.models.signatures import Tensor

type Json = dict[str, object]


def served(models: Models) -> Iterator[tuple[str, int, Mapping[str, ServedSignature]]]:
    """Yields each model that can be asked: its name, its newest version, and its signatures."""
    for name in models.names:
        try:
            with models.lease(Target(name)) as servable:
                yield name, servable.version, servable.signatures
        except RequestError:  # it is not loaded yet, or could not be
            continue


def document(models: Models) -> Json:
    """Returns the document of all models that are loaded."""
    paths: Json = {}
    for name, version, signatures in served(models):
        paths |= _paths(name, version, signatures)
    ready = {"get": _operation("Whether every model is ready", "health", {"200": "ready", "503": "not ready"})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock",
            "version": requests.VERSION,
            "description": "What the models here take and give.",
        },
        "paths": paths | {"/v2/health/ready": ready},
        "components": {
            "schemas": {"Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}}
        },
    }


def _paths(name: str, version: int, signatures: Mapping[str, ServedSignature]) -> Json:
    path = f"/v1/models/{quote(name, safe='')}"
    names = sorted(signatures, key=lambda signature: (signature != DEFAULT_SIGNATURE, signature))
    return {
        f"{path}:predict": {"post": _predict(name, version, [signatures[one] for one in names])},
        path: {"get": _operation(f"The versions of {name}", name, {"200": "its versions", "404": "unknown"})},
        f"{path}/metadata": {"get": _operation(f"The signatures of {name}", name, {"200": "its signatures"})},
        f"/v2/models/{quote(name, safe='')}/infer": {
            "post": _operation(f"Ask {name} by the Open Inference Protocol", name, {"200": "its outputs"})
        },
    }


def _predict(name: str, version: int, signatures: list[ServedSignature]) -> Json:
    operation = _operation(f"Ask {name}, version {version}", name, {})
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": _any_of([_request(signature) for signature in signatures]),
                "examples": {signature.name: {"value": examples.request(signature)} for signature in signatures},
            }
        },
    }
    answer = {"application/json": {"schema": _any_of([_answer(signature) for signature in signatures])}}
    operation["responses"] = {"200": {"description": "A prediction for each instance", "content": answer}, **_errors()}
    return operation


def _operation(summary: str, tag: str, responses: Mapping[str, str]) -> Json:
    return {
        "summary": summary,
        "tags": [tag],
        "responses": {code: {"description": description} for code, description in responses.items()},
    }


def _errors() -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    reasons = {"400": "The request names what does not fit", "404": "There is no such model, version or label"}
    return {code: {"description": reason, "content": content} for code, reason in reasons.items()}


def _request(signature: ServedSignature) -> Json:
    properties: Json = {"instances": {"type": "array", "items": instance(signature), "minItems": 1}}
    required = ["instances"]
    if signature.name != DEFAULT_SIGNATURE:
        properties["signature_name"] = {"const": signature.name}
        required.append("signature_name")
    return {"type": "object", "title": signature.name, "properties": properties, "required": required}


def instance(signature: ServedSignature) -> Json:
    """Returns the schema of one row."""
    if signature.features:
        properties: Json = {feature.name: _feature(feature) for feature in signature.features.values()}
        required = [feature.name for feature in signature.features.values() if feature.required]
        return {"type": "object", "properties": properties, "required": required}
    if len(signature.inputs) == 1:
        return _row(next(iter(signature.inputs.values())))
    properties = {name: _row(tensor) for name, tensor in signature.inputs.items()}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _answer(signature: ServedSignature) -> Json:
    rows = {name: _row(tensor) for name, tensor in signature.outputs.items()}
    item = next(iter(rows.values())) if len(rows) == 1 else {"type": "object", "properties": rows, "required": [*rows]}
    return {
        "type": "object",
        "title": signature.name,
        "properties": {"predictions": {"type": "array", "items": item}},
        "required": ["predictions"],
    }


def _feature(feature: ServedFeature) -> Json:
    one: Json = {"type": type_name(feature.dtype)}
    described: Json
    if examples.is_one(feature):
        several = _nested(one, feature.shape or (None,))
        described = {"anyOf": [one, several]} if feature.shape != () else one
    else:
        described = _nested(one, feature.shape or ())
    note = examples.usual(feature)
    return {**described, "description": note} if note else described


def _row(tensor: Tensor) -> Json:
    """Returns the schema of a row of a tensor whose first dimension is the rows."""
    one: Json = {"type": type_name(tensor.dtype)}
    if tensor.dtype == tf.string:
        b64 = {"type": "object", "properties": {"b64": {"type": "string"}}, "required": ["b64"]}
        one = {"anyOf": [one, b64]}
    return one if tensor.shape is None else _nested(one, tensor.shape[1:])


def _nested(one: Json, sizes: tuple[int | None, ...]) -> Json:
    for size in reversed(sizes):
        one = {"type": "array", "items": one} | ({} if size is None else {"minItems": size, "maxItems": size})
    return one


def _any_of(schemas: list[Json]) -> Json:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def type_name(dtype: tf.DType) -> str:
    """Returns the type in JSON."""
    if dtype == tf.string:
        return "string"
    if dtype == tf.bool:
        return "boolean"
    return "integer" if dtype.is_integer else "number"
