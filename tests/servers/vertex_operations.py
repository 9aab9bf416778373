"""Vertex AI's long-running operations on loopback: each runs for a while, and ends well, badly or never.

Time is the server's requests: with each one every operation that runs is a step further. What an operation does is done
at its end, and may then be refused.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from tests.servers.loopback import Refusal, Request

_TYPE = "type.googleapis.com/google.cloud.aiplatform."
_EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}
_CANCELLED, _FAILED_PRECONDITION = 1, 9  # google.rpc.Code
_TIME = "2026-11-29T12:00:00Z"
_PATH = re.compile(  # the clients take the first of the service's paths, which begins with /ui
    r"^/(?:v1|v1beta1|ui)/(projects/[^/]+/locations/[^/]+/"
    r"(?:models|endpoints|modelDeploymentMonitoringJobs|modelMonitors|schedules)/[^/]+)"
    r"/operations(?:/(\d+))?(:cancel)?$"
)


@dataclass(frozen=True)
class Failed:
    """How an operation ends: an error of google.rpc.Status."""

    message: str
    code: int = _FAILED_PRECONDITION


@dataclass(frozen=True)
class Endless:
    """An operation that runs on and on; cancelled, it ends."""


@dataclass
class _Operation:
    name: str
    body: dict[str, Any]
    effect: Callable[[], Any]
    end: Failed | Endless | None
    steps: int


class Operations:
    """`steps` is how many requests an operation takes. `end` says how the next ones of a method do."""

    def __init__(self) -> None:
        self.steps = 1
        self._ends: dict[str, list[Failed | Endless]] = defaultdict(list)
        self._operations: dict[str, _Operation] = {}
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._numbers = itertools.count(7001)

    def end(self, method: str, *ends: Failed | Endless) -> None:
        """Says how the next operations of a method, such as DeployModel, end."""
        self._ends[method].extend(ends)

    def start(self, resource: str, method: str, effect: Callable[[], Any], *, beta: bool = False) -> dict[str, Any]:
        """Returns the operation of a method, whose `effect` comes later; it returns the response, None for Empty.

        With `beta` the method is one of v1beta1.
        """
        name = f"{resource}/operations/{next(self._numbers)}"
        deletes = method.startswith("Delete")
        kind = "Delete" if deletes else method
        version = "v1beta1" if beta and not deletes else "v1"
        times = {"createTime": _TIME, "updateTime": _TIME}
        metadata = {"@type": f"{_TYPE}{version}.{kind}OperationMetadata", "genericMetadata": times}
        end = self._ends[method].pop(0) if self._ends[method] else None
        body = {"name": name, "metadata": metadata}
        self._operations[name] = _Operation(name, body, effect, end, self.steps)
        return dict(body)

    def later(self, effect: Callable[[], None]) -> None:
        """Has an effect come after `steps` requests, without an operation that clients see."""
        self._later.append((self.steps, effect))

    def step(self) -> None:
        """Lets the time of a request pass."""
        waiting, self._later = self._later, []
        for steps, effect in waiting:
            if steps > 1:
                self._later.append((steps - 1, effect))
            else:
                effect()
        for operation in self._operations.values():
            if "done" not in operation.body and not isinstance(operation.end, Endless):
                operation.steps -= 1
                if operation.steps <= 0:
                    _finish(operation)

    def route(self, path: str) -> str | None:
        match = _PATH.match(path)
        return match and "/operations" + ("/{id}" if match[2] else "") + (match[3] or "")

    def answer(self, request: Request, resource: Callable[[str], str]) -> Any:
        """Answers GET of an operation or of a resource's list, and :cancel; `resource` gives a resource's own name."""
        match = _PATH.match(request.path)
        assert match
        owner, number, cancel = resource(match[1]), match[2], match[3]
        if not number:
            running = [one.body for name, one in self._operations.items() if name.startswith(f"{owner}/")]
            return {"operations": running}
        name = f"{owner}/operations/{number}"
        if name not in self._operations:
            raise Refusal(404, f"The Operation {name} was not found")
        operation = self._operations[name]
        if not cancel:
            return operation.body
        if "done" not in operation.body:
            operation.body |= {"done": True, "error": {"code": _CANCELLED, "message": "The operation was cancelled."}}
        return {}


def _finish(operation: _Operation) -> None:
    operation.body["done"] = True
    if isinstance(operation.end, Failed):
        operation.body["error"] = {"code": operation.end.code, "message": operation.end.message}
        return
    try:
        response = operation.effect()
    except Refusal as refusal:
        operation.body["error"] = {"code": _FAILED_PRECONDITION, "message": refusal.status.message}
        return
    operation.body["response"] = _EMPTY if response is None else typed(response)


def typed(message: Any) -> dict[str, Any]:
    """Returns a message of aiplatform_v1 or v1beta1 as the JSON of google.protobuf.Any."""
    return {"@type": f"type.googleapis.com/{type(message).pb(message).DESCRIPTOR.full_name}", **as_json(message)}


def as_json(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(type(message).pb(message))


def parsed(kind: type[Any], body: Any) -> Any:
    """Returns a body as a message of aiplatform_v1; what does not fit is refused as the service does."""
    message = kind()
    try:
        json_format.ParseDict(body or {}, kind.pb(message))
    except json_format.ParseError as error:
        raise Refusal(400, f"Invalid JSON payload received. {error}") from None
    return message


def require(holds: Any, message: str, code: int = 400) -> None:
    if not holds:
        raise Refusal(code, message)


LABEL = re.compile(r"^[a-z0-9_\-]{0,63}$")


def check_labels(message: Any) -> None:
    for key, value in message.labels.items():
        require(re.match(r"^[a-z][a-z0-9_\-]{0,62}$", key), f"Invalid label key: {key}")
        require(LABEL.match(value), f"Invalid label value: {value}")


def filtered(messages: list[Any], expression: str) -> list[Any]:
    """Returns the messages that a list's filter lets pass: display_name="…" and labels.KEY=VALUE, joined by AND."""
    for condition in filter(None, expression.split(" AND ")):
        match = re.fullmatch(r'(display_name|displayName|labels\.([a-z0-9_\-]+))="?([^"]*)"?', condition)
        require(match, f"Invalid filter: {condition}")
        assert match
        key, value = match[2], match[3]
        messages = [one for one in messages if (one.labels.get(key) if key else one.display_name) == value]
    return messages


def page(messages: list[Any], field: str, token: str | None) -> dict[str, Any]:
    """Returns a page of a list; it has two entries, so that clients have to turn pages."""
    start = int(token or 0)
    more = {"nextPageToken": str(start + 2)} if len(messages) > start + 2 else {}
    return {field: [as_json(one) for one in messages[start : start + 2]], **more}
