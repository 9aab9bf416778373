"""Which format a body is in, and the rows of it: of a request by feature, of a response by output."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock.components.model_server.encoding import json_text
from penstock.components.model_server.failures import RequestError
from penstock.components.model_server.open_inference import parts
from penstock.components.monitoring.windows.columns import shortest
from penstock.components.monitoring.windows.payloads.exchange import Body, Unreadable
from penstock.components.monitoring.windows.payloads.instances import Instances
from penstock.core.text import printable

UNNAMED = ""  # a model's only output, where a response has no name for it
_CSV, _LINES = "text/csv", ("application/jsonlines", "application/x-jsonlines", "application/x-ndjson")
_NO_JSON = "a body that is neither JSON of a known form, nor CSV"
_NO_ROWS = "a request without instances"
_UNEQUAL = "a request whose columns have different numbers of rows"
_SIGNATURE = "a request of another signature than serving_default"
_DEFAULT = ("", "serving_default")


@dataclass(frozen=True)
class Rows:
    """Values by the name of a feature or an output: one for each of so many rows, None where a row has none."""

    columns: Mapping[str, list[Any]]
    count: int

    @classmethod
    def of(cls, columns: Mapping[str, list[Any]]) -> "Rows":
        """Returns the rows of columns; Unreadable if they have different numbers of them."""
        counts = {len(values) for values in columns.values()}
        if len(counts) > 1:
            sizes = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise Unreadable(_UNEQUAL, sizes)
        return cls(columns, counts.pop() if counts else 0)


def request(body: Body, instances: Instances) -> Rows:
    """Returns the rows of a request by feature; raises Unreadable."""
    try:
        rows = Rows.of(_request(body, instances))
    except RequestError as error:
        raise Unreadable(_NO_JSON, error.sentence) from None
    if not rows.count:
        raise Unreadable(_NO_ROWS, printable.value(body.content[:80].decode(errors="replace")))
    return rows


def response(body: Body) -> Rows:
    """Returns the rows of a response by output; raises Unreadable."""
    try:
        return Rows.of(_response(body))
    except RequestError as error:
        raise Unreadable(_NO_JSON, error.sentence) from None


def _request(body: Body, instances: Instances) -> Mapping[str, list[Any]]:
    if body.media_type == _CSV:
        return _of_csv(_csv(body.content), instances)
    if body.media_type in _LINES:
        return instances.of_rows(_lines(body.content))
    content, raw = _json(body.content)
    if isinstance(content, list):
        return instances.of_rows(content)
    if not isinstance(content, dict):
        raise Unreadable(_NO_JSON, printable.value(content))
    if (tensors := _tensors("inputs", content, raw, len(instances.columns))) is not None:
        _require_default(parts.as_object("parameters", content.get("parameters")))
        return instances.of_columns(tensors)
    _require_end(raw)
    _require_default(content)
    if isinstance(content.get("instances"), list):
        return instances.of_rows(content["instances"])
    if "inputs" in content:
        return _of_inputs(content["inputs"], instances)
    if isinstance(content.get("examples"), list):  # of TensorFlow Serving's classify and regress
        shared = parts.as_object("context", content.get("context"))
        return instances.of_rows([shared | row if isinstance(row, dict) else row for row in content["examples"]])
    return instances.of_rows([content])


def _of_inputs(sent: object, instances: Instances) -> Mapping[str, list[Any]]:
    """Returns TensorFlow Serving's columns: an object of them, or the values of the only one."""
    if isinstance(sent, list):
        return instances.of_rows(sent)
    if isinstance(sent, dict) and all(isinstance(values, list) for values in sent.values()):
        return instances.of_columns(sent)
    return instances.of_rows([sent])


def _response(body: Body) -> Mapping[str, list[Any]]:
    first = body.content.lstrip()[:1]
    if first not in (b"{", b"["):
        rows = _typed(_csv(body.content))
        return {UNNAMED: [values[0] if len(values) == 1 else values for values in rows]}
    if body.media_type in _LINES and first == b"{" and len(_lines_of(body.content)) > 1:
        return _of_outputs(_lines(body.content))
    content, raw = _json(body.content)
    if isinstance(content, list):
        return _of_outputs(content)
    assert isinstance(content, dict)
    if (tensors := _tensors("outputs", content, raw)) is not None:
        return tensors
    _require_end(raw)
    if isinstance(content.get("predictions"), list):
        return _of_outputs(content["predictions"])
    if isinstance(outputs := content.get("outputs"), dict):
        return {name: parts.as_list(f"outputs.{name}", values) for name, values in outputs.items()}
    for key in ("outputs", "results"):
        if isinstance(content.get(key), list):
            return {UNNAMED: content[key]}
    return _of_outputs([content])


def _of_outputs(rows: Sequence[object]) -> Mapping[str, list[Any]]:
    if rows and all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)  # type: ignore[attr-defined]
        return {name: [row.get(name) for row in rows] for name in names}  # type: ignore[attr-defined]
    return {UNNAMED: list(rows)}


def _require_end(raw: bytes) -> None:
    if raw.strip():
        raise Unreadable(_NO_JSON, f"after its JSON comes {printable.value(raw[:80].decode(errors='replace'))}")


def _require_default(said: Mapping[str, object]) -> None:
    signature = said.get("signature_name", "")
    if signature not in _DEFAULT:
        raise Unreadable(_SIGNATURE, printable.value(signature))


def _tensors(key: str, content: Mapping[str, Any], raw: bytes, features: int = 0) -> Mapping[str, list[Any]] | None:
    """Returns the tensors of the Open Inference Protocol, as lists; None for a body of another protocol.

    Where a request has a value of so many features in each row, or of one, a float32 is the number that its shortest
    text says, for the schema may have text there. Outputs are never text of a schema, and what is larger is an image or
    an embedding.
    """
    sent = content.get(key)
    if not isinstance(sent, list) or not sent or not all(isinstance(one, dict) and "datatype" in one for one in sent):
        return None
    named = {}
    for tensor in parts.read_tensors(key, sent, raw):
        array = tensor.values.astype(np.float32) if tensor.values.dtype.kind == "V" else tensor.values  # bfloat16
        is_column = array.ndim == 2 and array.shape[-1] == 1
        array = array.reshape(-1) if is_column or not array.ndim else array
        if array.dtype == np.float32 and features and (array.ndim == 1 or array.shape[1:] == (features,)):
            array = np.array([shortest(value) for value in array.reshape(-1)], float).reshape(array.shape)
        named[tensor.name] = array.tolist()
    return named


def _json(content: bytes) -> tuple[object, bytes]:
    """Returns the JSON of a body, and the bytes after it: those of tensors. Where it ends, JSON says by itself."""
    try:
        return json_text.loads(content), b""
    except RequestError:
        text = content.decode(errors="surrogateescape")
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            value, end = None, 0
        if not isinstance(value, dict):
            raise
        return value, text[end:].encode(errors="surrogateescape")


def _lines(content: bytes) -> list[object]:
    return [json_text.loads(line) for line in _lines_of(content)]


def _lines_of(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if line.strip()]


def _csv(content: bytes) -> list[list[str]]:
    try:
        return [line for line in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(_NO_JSON, str(error)) from None


def _of_csv(lines: Sequence[Sequence[str]], instances: Instances) -> Mapping[str, list[Any]]:
    """Returns the rows of CSV; its first line is a header if every name in it is a feature's."""
    if not lines:
        return {}
    has_header = all(instances.name(cell) in instances.known for cell in lines[0])
    rows = [[cell or None for cell in line] for line in (lines[1:] if has_header else lines)]
    if not has_header:
        return instances.of_rows(rows)
    names = lines[0]
    if any(len(row) != len(names) for row in rows):
        raise Unreadable(_UNEQUAL, f"a line has another number of values than the header, {len(names)}")
    return instances.of_rows([dict(zip(names, row, strict=True)) for row in rows])


def _typed(lines: Sequence[Sequence[str]]) -> Sequence[Sequence[object]]:
    """Returns the cells of a response's lines: numbers, if all of the response are, and None where one is empty."""
    try:
        return [[_number(cell) if cell else None for cell in line] for line in lines]
    except ValueError:
        return lines


def _number(cell: str) -> float:
    """Returns the number of a cell; a ValueError for text, also for what only Python reads as a number."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)
