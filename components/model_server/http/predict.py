"""The body of a predict request, as TensorFlow Serving's REST API has it and others have taken it over.

{"signature_name": "…", "instances": [rows]} is answered with {"predictions": [rows]}, {"inputs": {columns}} with
{"outputs": {columns}}.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from penstock.components.model_server.encoding.json_text import loads
from penstock.components.model_server.inference import Kind, RequestError, Servable, ServedSignature
from penstock.core.text import printable

ROWS, COLUMNS = "instances", "inputs"


def json_object(body: bytes) -> dict[str, Any]:
    """Returns the object in a body; a RequestError (INVALID) if it is something else."""
    content = loads(body)
    if not isinstance(content, dict):
        raise RequestError(Kind.INVALID, f"the body: expected a JSON object, received {printable.value(content)}")
    return content


def signature_name(content: Mapping[str, Any], where: str = "") -> str:
    """Returns the name of the signature that is asked, which may be empty."""
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(Kind.INVALID, f"{where}signature_name: expected a text, received {printable.value(name)}")
    return name


def rows(content: Mapping[str, Any], key: str = ROWS) -> list[object]:
    """Returns the rows of a request; a RequestError (INVALID) if there is none."""
    received = content.get(key)
    if not isinstance(received, list) or not received:
        raise RequestError(
            Kind.INVALID, f"{key}: expected a list with at least one row, received {printable.value(received)}"
        )
    return received


def inputs(signature: ServedSignature, content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns a signature's inputs of the rows or the columns of a request."""
    if (ROWS in content) == (COLUMNS in content):
        received = "both" if ROWS in content else f"neither: {printable.value([*content])}"
        raise RequestError(
            Kind.INVALID,
            f'expected "{ROWS}", a list of rows, or "{COLUMNS}", an object of columns; received {received}',
        )
    if ROWS in content:
        return signature.json.inputs_from_rows(rows(content))
    return signature.json.inputs_from_columns(content[COLUMNS])


async def answer(servable: Servable, content: Mapping[str, Any]) -> dict[str, object]:
    """Asks a model for rows or for columns; returns what the answer holds."""
    signature = servable.signature(signature_name(content))
    prediction = await servable.predict(signature, inputs(signature, content))
    if ROWS in content:
        return {"predictions": signature.json.rows(prediction.outputs)}
    return {"outputs": signature.json.columns(prediction.outputs)}
