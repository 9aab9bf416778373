"""One request on its way through the server, whatever its protocol: what the operation needs to know of it.

A gate makes the `Call` and sets it for its task. The models note in it what is asked of them, with `leased` and
`predicted`, and so need to know nothing of metrics and logs.
"""

import itertools
import re
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from penstock.components.model_server.inference import Prediction

ANSWERED = "ok"
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")  # what a log and a header can hold
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count(1)


class Call:
    """A request. `started` is by the clock of `time.perf_counter`, `time` in seconds since 1970.

    `outcome` is "ok" or what went wrong, a Kind of inference.py in small letters. The model and its version are empty
    until the request has leased one, so that they are never what a client has made up. `batch`, `queued` and `computed`
    are a Prediction's.
    """

    __slots__ = (
        "batch",
        "client",
        "computed",
        "inputs",
        "method",
        "model",
        "outcome",
        "outputs",
        "path",
        "protocol",
        "queued",
        "received_bytes",
        "request_id",
        "sent_bytes",
        "signature",
        "started",
        "status",
        "time",
        "version",
    )

    def __init__(self, request_id: str, protocol: str, method: str, path: str, client: str):
        self.request_id = request_id
        self.protocol = protocol
        self.method = method
        self.path = path
        self.client = client
        self.time = time.time()
        self.started = time.perf_counter()
        self.outcome = ""
        self.status: int | str = 0  # of HTTP, or the name of gRPC's
        self.model = ""
        self.version = 0
        self.signature = ""
        self.received_bytes = 0
        self.sent_bytes = 0
        self.inputs: Mapping[str, np.ndarray] | None = None
        self.outputs: Mapping[str, np.ndarray] | None = None
        self.batch = 0
        self.queued = 0.0
        self.computed = 0.0


CURRENT: ContextVar[Call | None] = ContextVar("call", default=None)


def request_id(header: bytes | None) -> str:
    """Returns the id that a request brings along; a new one if it has none, or none that a log can hold."""
    if header is not None and _REQUEST_ID.fullmatch(header):
        return header.decode("ascii")
    return f"{_PROCESS}{next(_NUMBERS):016x}"


def event_id(header: bytes | None, call: Call) -> str:
    """Returns the id of a request's CloudEvents: KServe takes it from the request's header `ce-id`."""
    return call.request_id if header is None or not _REQUEST_ID.fullmatch(header) else header.decode("ascii")


def leased(model: str, version: int) -> None:
    """Notes which version answers the request of this task."""
    call = CURRENT.get()
    if call is not None:
        call.model, call.version = model, version


def predicted(signature: str, inputs: Mapping[str, np.ndarray], prediction: "Prediction") -> None:
    """Notes what a model was asked for the request of this task, and what it answered."""
    call = CURRENT.get()
    if call is not None:
        call.signature, call.inputs, call.outputs = signature, inputs, prediction.outputs
        call.batch, call.queued, call.computed = prediction.batch, prediction.queued, prediction.computed
