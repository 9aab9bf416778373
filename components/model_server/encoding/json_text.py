"""JSON texts of requests and answers, as TensorFlow Serving reads and writes them: NaN and Infinity are numbers."""

import re

import orjson

from penstock.components.model_server.failures import Kind, RequestError
from penstock.core.files import documents

_NOT_FINITE = re.compile(rb"\b(NaN|Infinity)\b")


def loads(text: bytes) -> object:
    """Returns the value of a JSON text in UTF-8; a RequestError (INVALID) says where it is broken."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if _NOT_FINITE.search(text):
            return _loads_not_finite(text)
        raise _no_json(error.msg) from None


def dumps(value: object) -> bytes:
    """Returns a value as JSON; it may hold NumPy's arrays and numbers."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _loads_not_finite(text: bytes) -> object:
    try:
        return documents.parse_json(text.decode())
    except ValueError as error:
        raise _no_json(str(error)) from None


def _no_json(problem: str) -> RequestError:
    return RequestError(Kind.INVALID, f"the body: expected JSON: {problem}")
