"""Bodies of requests and responses in every format that servers take, as rows by feature and by output."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

from penstock.components.monitoring.windows.payloads import bodies
from penstock.components.monitoring.windows.payloads.exchange import Body, Unreadable
from penstock.components.monitoring.windows.payloads.instances import Instances
from penstock.core.errors import ConfigError

TAXI = Instances(frozenset({"miles", "hour", "company", "tips"}), ["miles", "hour", "company"])
TWO = {"miles": [1.5, 2.5], "hour": [9, 10], "company": ["blue", "red"]}
ROWS = [dict(zip(TWO, values, strict=True)) for values in zip(*TWO.values(), strict=True)]


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


TENSORS = [
    tensor("miles", "FP32", [2], [1.5, 2.5]),
    tensor("hour", "INT64", [2, 1], [9, 10]),
    tensor("company", "BYTES", [2, 1], ["blue", "red"]),
]


@pytest.mark.parametrize(
    "content",
    [
        {"instances": ROWS},
        {"signature_name": "serving_default", "instances": ROWS},
        {"instances": [[*row.values()] for row in ROWS]},
        {"inputs": TWO},
        {"inputs": ROWS},
        {"examples": [{"hour": 9, "miles": 1.5}, ROWS[1]], "context": {"company": "blue"}},
        ROWS,
    ],
    ids=["rows", "signature", "lists", "columns", "inputs", "examples", "bare"],
)  # fmt: skip
def test_json_of_tensorflow_serving_and_kserve(content: object) -> None:
    rows = bodies.request(Body(json.dumps(content).encode(), "application/json; charset=utf-8"), TAXI)
    assert (rows.count, {name: rows.columns[name] for name in TWO}) == (2, TWO)


def test_an_open_inference_request_has_a_tensor_for_each_feature() -> None:
    rows = bodies.request(Body(json.dumps({"id": "1", "inputs": TENSORS}).encode()), TAXI)
    assert rows.columns == TWO | {"company": [b"blue", b"red"]}


def test_a_tensor_with_a_row_for_each_instance_has_the_columns_in_order() -> None:
    numbers = Instances(frozenset({"a", "b"}), ["a", "b"])
    rows = bodies.request(
        Body(json.dumps({"inputs": [tensor("input-0", "FP64", [2, 2], [1, 2, 3, 4])]}).encode()), numbers
    )
    assert rows.columns == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_binary_tensors_follow_the_json_with_its_header_or_without() -> None:
    raw = np.array([1.5, 2.5], "<f4").tobytes() + b"".join(
        struct.pack("<I", len(one)) + one for one in (b"blue", b"\xffred")
    )
    sent = [
        {"name": "miles", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
        {"name": "company", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": len(raw) - 8}},
    ]
    rows = bodies.request(Body(json.dumps({"inputs": sent}).encode() + raw, "application/octet-stream"), TAXI)
    assert rows.columns == {"miles": [1.5, 2.5], "company": [b"blue", b"\xffred"]}
    outputs = json.dumps({"outputs": [sent[0] | {"name": "scores"}]}).encode() + raw[:8]
    assert bodies.response(Body(outputs, "application/octet-stream")).columns == {"scores": [1.5, 2.5]}
    with pytest.raises(Unreadable, match=r"expected at most the 7 bytes there are"):
        bodies.response(Body(outputs[:-1], "application/octet-stream"))


@pytest.mark.parametrize("shape", [[3], [1, 3]], ids=["column", "row"])
def test_a_float32_is_the_number_that_its_shortest_text_is(shape: list[int]) -> None:
    sent = tensor("company" if shape == [3] else "input-0", "FP32", shape, [0.1, 16777216, 123456792])
    rows = bodies.request(Body(json.dumps({"inputs": [sent]}).encode()), TAXI)
    values = rows.columns["company"] if shape == [3] else [rows.columns[name][0] for name in TAXI.columns]
    assert values == [0.1, 16777216, 123456792]


def test_bfloat16_is_read_as_numbers() -> None:
    sent = {"name": "miles", "datatype": "BF16", "shape": [1], "parameters": {"binary_data_size": 2}}
    rows = bodies.request(Body(json.dumps({"inputs": [sent]}).encode() + b"\xc0\x3f"), TAXI)
    assert rows.columns == {"miles": [1.5]}


@pytest.mark.parametrize(
    "content",
    [
        {"instances": [b64(b"one"), b64(b"two")]},
        {"instances": [{"examples": b64(b"one")}, {"examples": b64(b"two")}]},
        {"inputs": {"examples": [b64(b"one"), b64(b"two")]}},
        {"inputs": [b64(b"one"), b64(b"two")]},
        {"inputs": [tensor("examples", "BYTES", [2], [b64(b"one"), b64(b"two")])]},
    ],
)
def test_serialized_examples_are_bytes(content: object) -> None:
    assert bodies.request(Body(json.dumps(content).encode()), TAXI).columns == {"examples": [b"one", b"two"]}


@pytest.mark.parametrize("text", ["1.5,9,blue\n2.5,,red\n", "hour,company,miles\r\n9,blue,1.5\r\n,red,2.5\r\n"])
def test_csv_has_the_schemas_order_or_a_header(text: str) -> None:
    rows = bodies.request(Body(text.encode(), "text/csv; charset=utf-8"), TAXI)
    assert rows.columns == {"miles": ["1.5", "2.5"], "hour": ["9", None], "company": ["blue", "red"]}


def test_json_lines_have_a_row_each() -> None:
    lines = b'{"miles": 1.5}\n\n{"miles": NaN, "hour": 9}\n'
    rows = bodies.request(Body(lines, "application/jsonlines"), TAXI)
    assert repr(rows.columns) == "{'miles': [1.5, nan], 'hour': [None, 9]}"


def test_one_configuration_says_what_an_instance_looks_like() -> None:
    settings = {"columns": ["hour", "Trip Miles"], "path": "data.features", "names": {"Trip Miles": "miles"}}
    nested = Instances.of(json.dumps(settings), TAXI.columns)
    sent = [{"data": {"features": {"Trip Miles": 1.5, "hour": 9}}}, {"data": {"features": [10, 2.5]}}]
    rows = bodies.request(Body(json.dumps({"instances": sent[:1]}).encode()), nested)
    assert rows.columns == {"miles": [1.5], "hour": [9]}
    rows = bodies.request(Body(json.dumps({"instances": sent[1:]}).encode()), nested)
    assert rows.columns == {"miles": [2.5], "hour": [10]}
    with pytest.raises(Unreadable, match=r"an instance without the object that `instances.path` names: .*'miles': 1.5"):
        bodies.request(Body(b'{"instances": [{"miles": 1.5}]}'), nested)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{", "instances: expected JSON such as"),
        ('{"column": []}', "instances: unknown key 'column'; did you mean 'columns'"),
        ('{"columns": ["mile"]}', r"instances\.columns: 'mile' is not in the schema; did you mean 'miles'"),
        ('{"columns": "miles"}', r"instances\.columns: expected a list of features, received 'miles'"),
        ('{"names": {"Trip Miles": "mile"}}', r"instances\.names: 'mile' is not in the schema; did you mean 'miles'"),
        ('{"names": {"Trip Miles": 1}}', r"instances\.names\.Trip Miles: expected a feature, received 1"),
        ('{"path": 1}', r"instances\.path: expected keys, received 1"),
    ],
)
def test_settings_that_do_not_fit_are_said(settings: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Instances.of(settings, TAXI.columns)


@pytest.mark.parametrize(
    ("content", "content_type", "words"),
    [
        (b"\x00\x01", "", "a body that is neither JSON of a known form, nor CSV"),
        (b'{"instances": [{"miles": 1.5}', "", "a body that is neither JSON of a known form, nor CSV"),
        (b"[" * 100_000, "", "a body that is neither JSON of a known form, nor CSV"),
        (b"7", "", "a body that is neither JSON of a known form, nor CSV: 7"),
        (b'"miles', "text/csv", "a body that is neither JSON of a known form, nor CSV"),
        (b'{"instances": []}', "", "a request without instances"),
        (b"", "text/csv", "a request without instances"),
        (b'{"instances": [[1, 2]]}', "", "an instance of another number of values than there are columns: 2 for 3"),
        (b'{"instances": [{"mails": 1}]}', "", "a request of none of the schema's features: .*mails"),
        (b'{"inputs": {"miles": [1], "hour": [1, 2]}}', "", "columns have different numbers of rows: miles 1, hour 2"),
        (b'{"signature_name": "other", "instances": [1]}', "", "a request of another signature than serving_default"),
        (b'{"inputs": [{"name": "miles", "datatype": "FP32", "shape": [2], "data": [1]}]}', "", "expected 2 values"),
        (b"hour,miles\n1\n", "text/csv", "a line has another number of values than the header, 2"),
        (b'{"miles": 1}\n{"miles": 2}', "application/json", "after its JSON comes .*miles"),
        (b'{"instances": [{"miles": 1}]}garbage', "", "after its JSON comes 'garbage'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(content: bytes, content_type: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        bodies.request(Body(content, content_type), TAXI)


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b'{"predictions": [0.5, 0.25]}', "", {"": [0.5, 0.25]}),
        (b'{"predictions": [[0.5, 0.5], [1, 0]]}', "text/csv", {"": [[0.5, 0.5], [1, 0]]}),
        (b'{"predictions": [{"a": 1}, {"a": 2, "b": "x"}]}', "", {"a": [1, 2], "b": [None, "x"]}),
        (b'{"outputs": {"a": [1, 2]}}', "", {"a": [1, 2]}),
        (b'{"outputs": [1, 2]}', "", {"": [1, 2]}),
        (b'{"outputs": [{"name": "a", "datatype": "FP32", "shape": [2, 1], "data": [1, 2]}]}', "", {"a": [1, 2]}),
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonlines", {"a": [1, 2]}),
        (b"0.5\n0.25\n", "text/csv; charset=utf-8", {"": [0.5, 0.25]}),
        (b"0.5,0.5\n1,0", "application/json", {"": [[0.5, 0.5], [1.0, 0.0]]}),
        (b"cat\ndog\n", "text/csv", {"": ["cat", "dog"]}),
        (b"7\nx\n", "text/csv", {"": ["7", "x"]}),
        (b"1_000\n2\n", "text/csv", {"": ["1_000", "2"]}),
        (b"0.5,1\n0.25,\n", "text/csv", {"": [[0.5, 1.0], [0.25, None]]}),
        (b'{"predictions": [0.5]}\n', "application/jsonlines", {"": [0.5]}),
    ],
)
def test_responses_are_rows_by_output(content: bytes, content_type: str, expected: dict[str, list[Any]]) -> None:
    """The type may be that of the request, as KServe's logger has it."""
    assert bodies.response(Body(content, content_type)).columns == expected


def test_a_response_with_anything_after_its_json_is_none() -> None:
    with pytest.raises(Unreadable, match="after its JSON comes ' garbage'"):
        bodies.response(Body(b'{"predictions": [1]} garbage'))


def test_two_names_of_a_feature_are_one_column() -> None:
    both = Instances.of('{"names": {"Trip Miles": "miles"}}', TAXI.columns)
    rows = bodies.request(Body(b'[{"miles": 1}, {"Trip Miles": 2, "hour": 9}]'), both)
    assert rows.columns == {"miles": [1, 2], "hour": [None, 9]}
    for content in (b'[{"miles": 1, "Trip Miles": 2}]', b'{"inputs": {"miles": [1], "Trip Miles": [2]}}'):
        with pytest.raises(Unreadable, match=r"a request that has a feature under two names: .*Trip Miles"):
            bodies.request(Body(content), both)


def test_a_first_line_of_empty_cells_is_no_header() -> None:
    """Also without a label, whose name is no news in requests."""
    taxi = Instances.of("", TAXI.columns, frozenset({""}))
    rows = bodies.request(Body(b",,\n1,2,3\n", "text/csv"), taxi)
    assert rows.columns == {"miles": [None, "1"], "hour": [None, "2"], "company": [None, "3"]}
