"""SageMaker's contract with containers: `/ping`, and `/invocations` with JSON, JSON lines or CSV.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from collections.abc import Iterator
from typing import Any

from penstock.components.model_server.encoding import csv_rows
from penstock.components.model_server.encoding.json_text import dumps, loads
from penstock.components.model_server.http import predict
from penstock.components.model_server.http.app import JSON, Request, Response, Route
from penstock.components.model_server.http.tensorflow_serving import render
from penstock.components.model_server.inference import Kind, Models, RequestError, Servable, Target
from penstock.core.text import printable

_LINES, _CSV = b"application/jsonlines", b"text/csv"
_TYPES = {
    JSON: JSON,
    _LINES: _LINES,
    b"application/x-jsonlines": _LINES,
    b"application/x-ndjson": _LINES,
    _CSV: _CSV,
}
_SENT = {b"": JSON, **_TYPES}
_ACCEPTED = {b"*/*": JSON, b"application/*": JSON, b"text/*": _CSV, **_TYPES}
_KNOWN = "application/json, application/jsonlines or text/csv"


def routes(models: Models) -> Iterator[Route]:
    """Returns the routes of the contract; they are those of the only model."""

    async def ping(_: Request) -> Response:
        return Response(b"", 200 if models.ready else 503)

    async def invocations(request: Request) -> Response:
        accepted = _accepted(request.header(b"accept"))
        with models.lease(Target()) as servable:
            content = _content(request, servable)
            if accepted == JSON:
                return Response(dumps(await predict.answer(servable, content)))
            signature = servable.signature(predict.signature_name(content))
            outputs = (await servable.predict(signature, predict.inputs(signature, content))).outputs
            if accepted == _CSV:
                return Response(csv_rows.text(outputs), content_type=_CSV)
            lines = b"".join(dumps(row) + b"\n" for row in signature.json.rows(outputs))
            return Response(lines, content_type=_LINES)

    yield Route("GET", "/ping", ping, render)
    yield Route("POST", "/invocations", invocations, render)


def _accepted(header: bytes) -> bytes:
    """Returns the type of the answer: the first of those in the header that there is, JSON without a header."""
    for choice in (header or JSON).split(b","):
        kind = choice.partition(b";")[0].strip().lower()
        if kind in _ACCEPTED:
            return _ACCEPTED[kind]
    raise RequestError(Kind.NOT_ACCEPTABLE, f"Accept: expected {_KNOWN}, received {_shown(header)}")


def _content(request: Request, servable: Servable) -> dict[str, Any]:
    """Returns the body, whatever its type, as the object of a predict request."""
    header = request.header(b"content-type")
    kind, *parameters = (part.strip().lower() for part in header.split(b";"))
    sent = _SENT.get(kind)
    if sent == JSON:
        return _object(loads(request.body))
    if sent == _LINES:
        lines = enumerate(request.body.split(b"\n"), 1)
        return {predict.ROWS: [_row(number, line) for number, line in lines if line.strip()]}
    if sent == _CSV:
        has_header = {b"header=present": True, b"header=absent": False}
        known = next((has_header[one] for one in parameters if one in has_header), None)
        return {predict.ROWS: csv_rows.rows(request.body, servable.signature(), known)}
    raise RequestError(Kind.UNSUPPORTED, f"Content-Type: expected {_KNOWN}, received {_shown(header)}")


def _object(content: object) -> dict[str, Any]:
    """Returns a JSON body as a predict request: a list is rows, an object of features is one."""
    if isinstance(content, dict) and (predict.ROWS in content or predict.COLUMNS in content):
        return content
    return {predict.ROWS: content if isinstance(content, list) else [content]}


def _row(number: int, line: bytes) -> object:
    try:
        return loads(line)
    except RequestError as error:
        raise RequestError(error.kind, f"line {number}: {error.sentence}") from None


def _shown(header: bytes) -> str:
    return printable.value(header.decode("latin-1"))
