"""Requests that nobody means, for a model server: most are a good one with something wrong in it."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from penstock.components.model_server.open_inference.open_inference_pb2 import ModelInferRequest, ModelMetadataRequest

NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "1e39",
    "9" * 400,
    "-0",
    "1.5",
    "18446744073709551616",
    "01",
]
VALUES: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, -(2**63) - 1, 2**64, 1e308, 0.5, "", "x", "x" * 3000, "\x00", "\u202e", "ä",
    "1", [], [[]], [None], [1, "a"], [[1], [1, 2]], {}, {"b64": ""}, {"b64": "?"}, {"b64": 1}, {"b64": "AA==", "x": 1},
    {"x": None},
]  # fmt: skip


@dataclass(frozen=True)
class Good:
    """A request that is answered with 200."""

    path: str
    body: bytes
    content_type: str = "application/json"


@dataclass
class Sent:
    """Bytes for a connection, what was wrong with them, and whether its sending end is closed after them."""

    raw: bytes
    problem: str
    half_closed: bool = False
    codes: frozenset[int] = field(default=frozenset({200, 400, 404, 405, 406, 411, 413, 414, 415, 431}))


def head(
    path: str, length: int | None, content_type: str = "application/json", method: str = "POST", extra: str = ""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: fuzz"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n" + extra + "\r\n").encode("utf-8", "surrogateescape")


def request(good: Good) -> bytes:
    return head(good.path, len(good.body), good.content_type) + good.body


class Hostile:
    """Makes one request after the other of good ones; the same for the same seed."""

    def __init__(self, goods: list[Good], seed: int):
        self._goods = goods
        self._chance = random.Random(seed)
        self._json = [good for good in goods if good.content_type == "application/json"]
        self._kinds: list[tuple[Callable[[], Sent], int]] = [
            (self._replaced, 30), (self._cut, 15), (self._number, 8), (self._nested, 4), (self._noise, 6),
            (self._path, 10), (self._type, 6), (self._length, 5), (self._chunked, 8), (self._method, 3),
            (self._headers, 4), (self._ended, 3), (self._no_http, 2), (self._large, 1),
        ]  # fmt: skip

    def next(self) -> Sent:
        make = self._chance.choices([make for make, _ in self._kinds], [weight for _, weight in self._kinds])[0]
        return make()

    def _good(self) -> Good:
        return self._chance.choice(self._goods)

    def _replaced(self) -> Sent:
        """Values of the JSON are lost, or others stand in their place."""
        good = self._chance.choice(self._json)
        tree = json.loads(good.body)
        for _ in range(self._chance.randrange(1, 3)):
            tree = self._with_change(tree)
        body = json.dumps(tree).encode()
        return Sent(head(good.path, len(body)) + body, "values replaced")

    def _with_change(self, tree: Any) -> Any:
        if not isinstance(tree, dict | list) or not tree or self._chance.random() < 0.15:
            return copy.deepcopy(self._chance.choice(VALUES))
        keys = list(tree) if isinstance(tree, dict) else range(len(tree))
        key = self._chance.choice(keys)
        dice = self._chance.random()
        if dice < 0.1:
            del tree[key]
        elif dice < 0.2 and isinstance(tree, dict):
            tree[self._chance.choice([f"{key}x", "", "x" * 5000, "signature_name", "inputs"])] = tree.pop(key)
        elif dice < 0.25:
            tree = [tree] if isinstance(tree, list) else {"instances": tree}
        else:
            tree[key] = self._with_change(tree[key])
        return tree

    def _cut(self) -> Sent:
        good = self._good()
        start = self._chance.randrange(len(good.body))
        rest = good.body[start + self._chance.randrange(9) :]
        middle = self._chance.choice(
            [b"", b"\0", b"}", b"[", b'"', b"\\", b"\xff", b"\xed\xa0\x80", b",", b"\n", b"\\ud800"]
        )
        body = good.body[:start] + middle + self._chance.choice([b"", rest, rest])
        return Sent(head(good.path, len(body), good.content_type) + body, "cut")

    def _number(self) -> Sent:
        """A number, or a text, is replaced by what Python or nobody writes."""
        good = self._chance.choice(self._json)
        text = good.body.decode()
        places = [index for index, character in enumerate(text) if character.isdigit()]
        start = self._chance.choice(places or [0])
        body = (text[:start] + self._chance.choice(NUMBERS) + text[start + 1 :]).encode()
        return Sent(head(good.path, len(body)) + body, "odd number")

    def _nested(self) -> Sent:
        good = self._chance.choice(self._json)
        depth = self._chance.choice([5, 60, 300, 1100, 40_000])
        opened, closed = self._chance.choice([(b"[", b"]"), (b'{"a":', b"}"), (b'{"instances":[', b"]}")])
        inner = opened * depth + b"1" + self._chance.choice([closed * depth, b""])
        body = self._chance.choice([inner, b'{"instances":' + inner + b"}", b'{"inputs":' + inner + b"}"])
        return Sent(head(good.path, len(body)) + body, f"nested {depth} deep")

    def _noise(self) -> Sent:
        good = self._good()
        body = self._chance.randbytes(self._chance.randrange(200))
        return Sent(head(good.path, len(body), good.content_type) + body, "noise for a body")

    def _path(self) -> Sent:
        good = self._good()
        name = self._chance.choice(
            ["nobody", "", "%00", "..%2f..%2fetc", "x" * 3000, "%F0%9F%92%A9", "%ff", "a:b", "*"]
        )
        path = self._chance.choice([
            f"/v1/models/{name}:predict", f"/v1/models/{name}", f"/v2/models/{name}/infer", f"/v2/models/{name}",
            f"{good.path}{name}", f"/{name}{good.path}", good.path.replace("/v", "//v"), f"{good.path}/",
            good.path.replace(":", f"/versions/{name}:"), good.path.replace(":", "/versions/99999999999999999999:"),
            good.path.replace(":", "/versions/-1:"), good.path.replace(":", f"/labels/{name}:"),
            good.path.replace("/infer", f"/versions/{name}/infer"), f"{good.path}?{name}=1", f"/{name}",
        ])  # fmt: skip
        method = self._chance.choice(["POST", "GET"])
        body = good.body if method == "POST" else b""
        return Sent(head(path, len(body), good.content_type, method) + body, "odd path")

    def _type(self) -> Sent:
        good = self._good()
        kind = self._chance.choice([
            "", "text/plain", "application/xml", "application/json; charset=latin-1", "text/csv",
            "application/jsonlines", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ";",
            "x" * 2000, "/",
            "text/csv; header", "application/octet-stream",
        ])  # fmt: skip
        return Sent(head(good.path, len(good.body), kind) + good.body, f"content type {kind[:40]!r}")

    def _length(self) -> Sent:
        """The body is shorter or longer than its headers say, or they say nonsense."""
        good = self._good()
        said = self._chance.choice(["-1", "x", "", "1" * 30, "1, 2", "+5", "0x10"])
        extra = self._chance.choice([
            f"Content-Length: {said}\r\n", f"Content-Length: {len(good.body) + 50}\r\n",
            "Transfer-Encoding: gzip\r\n",
            f"Inference-Header-Content-Length: {said}\r\nContent-Length: {len(good.body)}\r\n",
            f"Inference-Header-Content-Length: 7\r\nContent-Length: {len(good.body)}\r\n",
        ])  # fmt: skip
        return Sent(head(good.path, None, good.content_type, extra=extra) + good.body, extra.strip(), half_closed=True)

    def _chunked(self) -> Sent:
        good = self._good()
        parts = [good.body[:9], good.body[9:]]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
        end = self._chance.choice(
            [b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"zz\r\n\r\n", b"", b"ffffffffffffffffff\r\n"]
        )
        is_whole = end.startswith(b"0")
        extra = "Transfer-Encoding: chunked\r\n"
        raw = head(good.path, None, good.content_type, extra=extra) + chunks + end
        return Sent(raw, "chunked", half_closed=not is_whole)

    def _method(self) -> Sent:
        good = self._good()
        method = self._chance.choice(["PUT", "DELETE", "PATCH", "GET", "OPTIONS", "get", "FOO"])
        return Sent(head(good.path, len(good.body), good.content_type, method) + good.body, method)

    def _headers(self) -> Sent:
        good = self._good()
        extra = self._chance.choice([
            "X: " + "y" * 100_000 + "\r\n", "X: y\r\n" * 500, "Expect: 100-continue\r\n", "Expect: nonsense\r\n",
            "Accept: \xff\r\n",
            "Accept: image/png\r\n", "Connection: close\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n", "X y\r\n",
            "Content-Encoding: gzip\r\n", "Host: other\r\n", ": empty\r\n", "Authorization: Bearer x\r\n",
        ])  # fmt: skip
        raw = head(good.path, len(good.body), good.content_type, extra=extra) + good.body
        return Sent(raw, f"header {extra[:30]!r}", half_closed=True)

    def _ended(self) -> Sent:
        good = request(self._good())
        return Sent(good[: self._chance.randrange(1, len(good))], "ended early", half_closed=True)

    def _no_http(self) -> Sent:
        raw = self._chance.choice([
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 100,
            b"\r\n\r\n",
            b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/models HTTP/1.1\r\nHost:\r\n\r\n", b"{}",
            self._chance.randbytes(300),
        ])  # fmt: skip
        return Sent(raw, "no HTTP", half_closed=True)

    def _large(self) -> Sent:
        """A body of a megabyte: many rows, or a long text."""
        good = self._chance.choice(self._json)
        body = self._chance.choice([
            b'{"instances": [' + b"1," * 400_000 + b"1]}", b'{"instances": ["' + b"x" * 1_000_000 + b'"]}',
            b'{"instances": [' + b"[]," * 200_000 + b"[]]}", b'{"inputs": {' + b'"a": [1],' * 50_000 + b'"a": [1]}}',
        ])  # fmt: skip
        return Sent(head(good.path, len(body)) + body, "large")


@dataclass(frozen=True)
class HostileCall:
    """A message for a method of gRPC."""

    method: str
    message: bytes


class HostileCalls:
    """Makes messages of gRPC out of good ones; the same for the same seed."""

    def __init__(self, seed: int):
        self._chance = random.Random(seed)

    def calls(self, count: int) -> Iterator[HostileCall]:
        goods = [(method, message.SerializeToString()) for method, message in _messages()]
        for _ in range(count):
            method, message = self._chance.choice(goods)
            damage = self._chance.choice([self._cut, self._flipped, self._spliced, self._other])
            yield HostileCall(self._chance.choice([method] * 20 + [f"{method}x", "/nobody/Nothing"]), damage(message))

    def _cut(self, message: bytes) -> bytes:
        return message[: self._chance.randrange(len(message))]

    def _flipped(self, message: bytes) -> bytes:
        changed = bytearray(message)
        for _ in range(self._chance.randrange(1, 4)):
            changed[self._chance.randrange(len(changed))] = self._chance.randrange(256)
        return bytes(changed)

    def _spliced(self, message: bytes) -> bytes:
        start = self._chance.randrange(len(message))
        return message[:start] + self._chance.randbytes(self._chance.randrange(9)) + message[start:]

    def _other(self, message: bytes) -> bytes:
        return self._chance.randbytes(self._chance.randrange(100))


def _messages() -> Iterator[tuple[str, Message]]:
    """Yields methods, and a good message for each."""
    prediction, inference = "/tensorflow.serving.PredictionService", "/inference.GRPCInferenceService"
    example = tf.train.Example()
    example.features.feature["fare"].float_list.value.append(2.0)
    predict = PredictRequest(model_spec={"name": "taxi", "version": {"value": 1}})
    predict.inputs["examples"].CopyFrom(tf.make_tensor_proto([example.SerializeToString()] * 2))
    yield f"{prediction}/Predict", predict
    numbers = PredictRequest(model_spec={"name": "taxi"}, output_filter=["total"])
    numbers.inputs["examples"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0], [3.0, 4.0]]))
    yield f"{prediction}/Predict", numbers
    classify = ClassificationRequest(model_spec={"name": "taxi"})
    classify.input.example_list.examples.append(example)
    yield f"{prediction}/Classify", classify
    yield (
        f"{prediction}/GetModelMetadata",
        GetModelMetadataRequest(model_spec={"name": "taxi"}, metadata_field=["signature_def"]),
    )
    infer = ModelInferRequest(model_name="taxi", id="7")
    infer.inputs.add(name="fare", datatype="FP32", shape=[1]).contents.fp32_contents.append(2.0)
    yield f"{inference}/ModelInfer", infer
    raw = ModelInferRequest(model_name="taxi", raw_input_contents=[b"\x03\0\0\0abc"])
    raw.inputs.add(name="company", datatype="BYTES", shape=[1, 1])
    yield f"{inference}/ModelInfer", raw
    yield f"{inference}/ModelMetadata", ModelMetadataRequest(name="taxi", version="1")
