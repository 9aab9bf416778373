"""A registry of schemas, as Confluent's and those that speak its protocol: asked over HTTP, and what it puts before
values: a zero byte, the schema's id in four bytes, and for Protobuf the place of the message in its file.
"""

import base64
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import urllib3

from penstock.components.example_gen.sources.kafka.options import RegistryOptions
from penstock.components.example_gen.sources.kafka.values import Unreadable
from penstock.core.credentials import secrets
from penstock.core.errors import DataError
from penstock.core.services.retries import NotFound
from penstock.core.services.transport import Advice, Answer, Refused, Transport

_TYPE = "application/vnd.schemaregistry.v1+json"
_HEADER = struct.Struct(">bI")


class Framed(NamedTuple):
    """A value behind its header."""

    schema_id: int
    payload: bytes


def framed(value: bytes) -> Framed:
    """Reads the header of a value; raises Unreadable if it has none."""
    if len(value) < _HEADER.size:
        raise Unreadable(f"expected a registry's header of {_HEADER.size} bytes, found {len(value)} in all")
    magic, schema_id = _HEADER.unpack_from(value)
    if magic != 0:
        raise Unreadable(f"expected a registry's header, whose first byte is 0, found {value[0]}")
    return Framed(schema_id, value[_HEADER.size :])


def message_indexes(payload: bytes) -> tuple[list[int], bytes]:
    """Reads which message of its file a Protobuf value is: an index, and those of messages within it."""
    count, rest = _zigzag(payload)
    if count == 0:
        return [0], rest
    indexes = []
    for _ in range(count):
        index, rest = _zigzag(rest)
        indexes.append(index)
    return indexes, rest


def _zigzag(data: bytes) -> tuple[int, bytes]:
    number = shift = 0
    for place, byte in enumerate(data):
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            value = (number >> 1) ^ -(number & 1)
            if value < 0:
                break
            return value, data[place + 1 :]
        if shift > 35:
            break
    raise Unreadable("the place of its Protobuf message is damaged")


@dataclass(frozen=True)
class Schema:
    """A schema as the registry has it: its text, and the subjects and versions of those that it names."""

    id: int
    kind: str
    text: str
    references: tuple[Mapping[str, Any], ...] = ()


@dataclass
class Registry(Transport):
    """A registry. Answers to what never changes are kept as long as the object."""

    options: RegistryOptions
    timeout: float
    _schemas: dict[str, Schema] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.host = self.options.url.rstrip("/")
        self.known = False
        where = "kafka.schema_registry"
        headers = {"Accept": _TYPE}
        if self.options.token_env:
            headers["Authorization"] = f"Bearer {secrets.of_variable(where, self.options.token_env)}"
        elif self.options.user:
            password = secrets.of_variable(where, self.options.password_env) if self.options.password_env else ""
            basic = urllib3.make_headers(basic_auth=f"{self.options.user}:{password}")
            headers["Authorization"] = basic["authorization"]
        self._pool = urllib3.PoolManager(
            headers=headers, retries=False, timeout=self.timeout, ca_certs=self.options.ca_cert or None
        )

    advice = Advice(
        sign_in="set kafka.schema_registry.user and password_env, or token_env",
        role="have reading of its subjects permitted",
        unknown="check kafka.schema_registry.url and kafka.schema_subject",
        address="check kafka.schema_registry.url",
        no_server="check kafka.schema_registry.url, and that it runs",
        slow="try again later, or raise kafka.timeout",
        certificate="name its authority's certificate with kafka.schema_registry.ca_cert",
        no_tls="write http:// in kafka.schema_registry.url",
    )

    def latest(self, subject: str) -> int:
        """Returns the id of a subject's newest schema; a DataError if there is no such subject."""
        try:
            return int(self._get(f"/subjects/{quote(subject, safe='')}/versions/latest")["id"])
        except NotFound:
            raise DataError(
                f"{self.host}: there is no subject {subject!r} in the registry: name that of the values with "
                "kafka.schema_subject"
            ) from None

    def schema(self, schema_id: int, *, serialized: bool = False) -> Schema:
        """Returns a schema by its id; NotFound if there is none. `serialized` asks for Protobuf as a base64 file
        descriptor, which not every registry knows."""
        return self._cached(f"/schemas/ids/{schema_id}{'?format=serialized' * serialized}", schema_id)

    def referenced(self, reference: Mapping[str, Any], *, serialized: bool = False) -> Schema:
        """Returns the schema that another one names."""
        path = f"/subjects/{quote(str(reference['subject']), safe='')}/versions/{reference['version']}"
        return self._cached(f"{path}{'?format=serialized' * serialized}", 0)

    def _cached(self, path: str, schema_id: int) -> Schema:
        if path not in self._schemas:
            found = self._get(path)
            kind, references = found.get("schemaType", "AVRO"), tuple(found.get("references") or ())
            self._schemas[path] = Schema(schema_id or int(found.get("id", 0)), kind, found["schema"], references)
        return self._schemas[path]

    def _get(self, path: str) -> dict[str, Any]:
        answer = self.repeat(self._pool.request, "GET", self.host + path, redirect=False)
        return dict(json.loads(answer))

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
        answer = operation(*arguments, **options)
        if answer.status != 200:
            raise Refused(Answer.of_json(answer.status, answer.headers, answer.data.decode(errors="replace")))
        return bytes(answer.data)


def is_base64(text: str) -> bool:
    """Whether a schema is a serialized file descriptor, and no text of a .proto file."""
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True
