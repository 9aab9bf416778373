"""A method of a service: a coroutine from a request to an answer, whose RequestErrors become status codes."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from penstock.components.model_server.inference import Kind, RequestError
from penstock.core.text import printable

_LOG = logging.getLogger(__name__)
_LONGEST = 800  # characters of details: gRPC's trailers have 8 kB, and a character may take nine bytes there
CODES = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.NO_METHOD: grpc.StatusCode.UNIMPLEMENTED,
    Kind.NOT_ACCEPTABLE: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNSUPPORTED: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    Kind.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    Kind.LATE: grpc.StatusCode.DEADLINE_EXCEEDED,
}
type Context = grpc.aio.ServicerContext


@dataclass(frozen=True)
class Method:
    """A method that takes one message and gives one. `call` gets the request and the seconds until its deadline."""

    name: str
    request: type[Message]
    call: Callable[[Any, float | None], Awaitable[Message]]


def service(
    name: str, methods: Iterable[Method], streams: Mapping[str, grpc.RpcMethodHandler] | None = None
) -> grpc.GenericRpcHandler:
    """Returns what a server takes to offer a service under its full name; `streams` are its other methods."""
    handlers = {method.name: _handler(method) for method in methods}
    return grpc.method_handlers_generic_handler(name, {**handlers, **(streams or {})})


def _handler(method: Method) -> grpc.RpcMethodHandler:
    def deserialized(message: bytes) -> "Message | _Undecodable":
        try:
            return method.request.FromString(message)
        except DecodeError:
            return _Undecodable(len(message))

    async def call(request: "Message | _Undecodable", context: Context) -> Message:
        try:
            if isinstance(request, _Undecodable):
                raise RequestError(Kind.INVALID, f"expected a message of the type {method.request.DESCRIPTOR.name}")
            return await method.call(request, context.time_remaining())
        except RequestError as error:
            details = printable.shortened(error.sentence, _LONGEST)
            await context.abort(CODES[error.kind], details)
        except Exception:
            _LOG.exception("%s failed", method.name)
            await context.abort(grpc.StatusCode.INTERNAL, f"{method.name} failed: the server's log says why")

    return grpc.unary_unary_rpc_method_handler(call, request_deserializer=deserialized, response_serializer=_serialized)


@dataclass(frozen=True)
class _Undecodable:
    """Bytes that are no message. gRPC itself would answer them with UNKNOWN, and log a traceback."""

    size: int

    def ByteSize(self) -> int:
        return self.size


def _serialized(message: Message) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
