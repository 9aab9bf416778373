"""Events of requests and responses, in CloudEvents' binary mode: attributes are headers, and the body is as it came.

KServe's logger (kserve, pkg/logger) gives both the same id: that of the request's header Ce-Id, else a new one. A
response has the content type of its request, and there is one only where the model has answered with 200. Which model's
version has answered is said by an annotation of the InferenceService that the logger sends along (metadataAnnotations).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from urllib.parse import unquote

import orjson

from penstock.core.artifacts import RequestLog
from penstock.core.files import documents
from penstock.core.text import printable

VERSION = "penstock.dev/model-version"  # the annotation of an InferenceService that a push has made
_TYPES: dict[str, Literal["request", "response"]] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}
_COMPONENTS = ("", "predictor")  # a transformer's requests are no model's
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRAME = 160  # bytes of an event in a journal beside its body and texts, at most

type Key = tuple[str, str]  # the model and the id that a request and its response have in common
type Half = tuple[Key, str]  # one of the two


class NoEvent(Exception):
    """Why a request to the collector is no event that it takes, in one sentence."""


class Ignored(Exception):
    """Why an event is none of a model's requests and responses."""


@dataclass(frozen=True, slots=True)
class Event:
    """A request to a model, or the response. Times are in microseconds since 1970; the version is 0 if none is said."""

    type: Literal["request", "response"]
    id: str
    model: str
    version: int
    time: int
    received: int
    content_type: str
    body: bytes

    @property
    def key(self) -> Key:
        return self.model, self.id

    @property
    def half(self) -> Half:
        return self.key, self.type

    @property
    def size(self) -> int:
        """The bytes that it takes in a journal, a few more than less."""
        return _FRAME + len(orjson.dumps((self.id, self.model, self.content_type))) + len(self.body)

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]], body: bytes, received: int, namespace: str) -> Self:
        """Reads an event of its headers, whose names are in small letters.

        Raises NoEvent for what is no CloudEvent in binary mode, Ignored for one that is not about a model's requests.
        """
        sent = {name.decode("latin-1"): unquote(value.decode("latin-1")).strip() for name, value in headers}
        kind = _required(sent, "ce-type")
        if kind not in _TYPES:
            raise Ignored(f"an event of the type {printable.value(kind)}")
        component = sent.get("ce-component", "")
        if component not in _COMPONENTS:
            raise Ignored(f"an event of the component {printable.value(component)}")
        service, place = _required(sent, "ce-inferenceservicename"), sent.get("ce-namespace", "")
        model = service if place in ("", namespace) else f"{service}.{place}"
        if not RequestLog.can_hold(model):
            raise NoEvent(
                f"expected a shorter name of a model, received {printable.value(model)}: no folder can have it"
            )
        return cls(
            type=_TYPES[kind],
            id=_required(sent, "ce-id"),
            model=model,
            version=_version(sent.get("ce-annotations", "")),
            time=_time(sent.get("ce-time", ""), received),
            received=received,
            content_type=sent.get("content-type", ""),
            body=body,
        )


def _required(sent: dict[str, str], name: str) -> str:
    value = sent.get(name, "")
    if not value:
        raise NoEvent(f"expected a CloudEvent of KServe's logger in binary mode, found no header {name}")
    return value


def _version(annotations: str) -> int:
    try:
        version = documents.parse_json(annotations or "{}").get(VERSION, "")
    except (ValueError, AttributeError):
        return 0
    return int(version) if isinstance(version, str) and version.isdecimal() and len(version) < 19 else 0


def _time(text: str, received: int) -> int:
    try:
        said = datetime.fromisoformat(text)
        time = said.astimezone(UTC)  # of the last hours of the year 9999 there is none in each zone
    except (ValueError, OverflowError):
        return received
    return (time - _EPOCH) // timedelta(microseconds=1) if said.tzinfo and time >= _EPOCH else received
