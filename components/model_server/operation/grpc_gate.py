"""What every call of gRPC passes before its service sees it: the token, the limits, what metrics and logs note.

How large messages and metadata may be is gRPC's own business: `options` says it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from penstock.components.model_server.operation import calls, settings, tokens
from penstock.components.model_server.operation.calls import ANSWERED, CURRENT, Call
from penstock.components.model_server.operation.observers import Observers

_logger = logging.getLogger(__name__)

type _Behaviour = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]

_HEALTH_METHODS = frozenset({"ServerLive", "ServerReady", "Check", "Watch"})  # answered without a token
_REFUSAL = tokens.REFUSAL.replace("header", "metadata")
_PROTOCOLS = {"inference.GRPCInferenceService": "grpc_open_inference"}
_OUTCOMES = {
    grpc.StatusCode.OK: ANSWERED,
    grpc.StatusCode.INVALID_ARGUMENT: "invalid",
    grpc.StatusCode.UNAUTHENTICATED: "unauthorized",
    grpc.StatusCode.NOT_FOUND: "not_found",
    grpc.StatusCode.UNIMPLEMENTED: "no_method",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "busy",
    grpc.StatusCode.UNAVAILABLE: "not_ready",
    grpc.StatusCode.DEADLINE_EXCEEDED: "late",
    grpc.StatusCode.CANCELLED: "aborted",
}


def options(limits: settings.Limits) -> list[tuple[str, int]]:
    """Returns the options of a server of gRPC for these limits; answers have none."""
    return [
        ("grpc.max_receive_message_length", limits.body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", limits.header_bytes),
        ("grpc.absolute_max_metadata_size", limits.header_bytes),
        ("grpc.so_reuseport", 0),  # an address that another server has is an error, and no shared one
    ]


class GrpcGate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """An interceptor for calls with one request and one answer. Of streams it checks the token alone."""

    def __init__(self, operation: settings.Operation, observers: Observers):
        self._limits = operation.limits
        self._tokens = tokens.Tokens(operation.token) if operation.token else None
        self._observers = observers
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        method: str = details.method
        handler = self._handlers.get(method)
        if handler is None:
            inner = await continuation(details)
            if inner is None:
                return None  # gRPC says that there is no such method
            if inner.unary_unary is None:
                return inner if self._accepts(method, dict(details.invocation_metadata or ())) else _REFUSING
            handler = grpc.unary_unary_rpc_method_handler(
                self._passing(method, inner.unary_unary),
                request_deserializer=inner.request_deserializer,
                response_serializer=inner.response_serializer,
            )
            self._handlers[method] = handler
        return handler

    def _passing(self, method: str, behaviour: _Behaviour) -> _Behaviour:
        """Returns what a service does for a method, with what comes before and after it."""
        service, name = method.lstrip("/").rsplit("/", 1)
        protocol = _PROTOCOLS.get(service, "grpc")
        observers = self._observers
        if name in _HEALTH_METHODS:
            return behaviour

        async def passing(request: Any, context: grpc.aio.ServicerContext) -> Any:
            metadata = dict(context.invocation_metadata() or ())
            request_id = calls.request_id(_bytes(metadata.get("x-request-id")))
            call = Call(request_id, protocol, "POST", method, _address(context.peer()))
            CURRENT.set(call)
            observers.in_flight += 1
            try:
                await self._refuse(method, metadata, context)
                call.received_bytes = request.ByteSize()
                answer = await behaviour(request, context)
                call.sent_bytes = answer.ByteSize()
                call.status, call.outcome = "OK", ANSWERED
                return answer
            finally:
                observers.in_flight -= 1
                if not call.outcome:
                    code = context.code() or grpc.StatusCode.UNKNOWN
                    call.status, call.outcome = code.name, _OUTCOMES.get(code, "internal")
                observers.answered(call)

        return passing

    def _accepts(self, method: str, metadata: Mapping[str, str | bytes]) -> bool:
        if self._tokens is None or method.rpartition("/")[2] in _HEALTH_METHODS:
            return True
        return self._tokens.accept(_bytes(metadata.get("authorization")))

    async def _refuse(
        self, method: str, metadata: Mapping[str, str | bytes], context: grpc.aio.ServicerContext
    ) -> None:
        """Aborts a call without the token, or beyond the limit."""
        if not self._accepts(method, metadata):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)
        if self._observers.in_flight > self._limits.requests:
            sentence = f"{self._limits.requests:,} requests are being answered already: try again later"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, sentence)


async def _refuse_stream(requests: Any, context: grpc.aio.ServicerContext) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)


_REFUSING = grpc.stream_stream_rpc_method_handler(_refuse_stream)


def _address(peer: str) -> str:
    """Returns the address in gRPC's name for a client, such as `ipv4:127.0.0.1:39610`."""
    scheme, _, place = peer.partition(":")
    return place.rpartition(":")[0] if scheme in ("ipv4", "ipv6") else peer


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
