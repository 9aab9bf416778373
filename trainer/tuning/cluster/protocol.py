"""The requests to the chief of a search that KerasTuner's protocol lacks, over gRPC. Requests and answers are JSON:

    beat     {machine, keeper, running} -> {over, known}    a machine is alive; one without running workers starts
    end      {machine, keeper} -> {}                        a machine has ended
    died     {worker, how} -> {trial, over}                 a worker died; the answer has its trial, "" for none
    failed   {type, message, details} -> {}                 a machine cannot continue: the search fails
    message  {trial_id, message} -> {}                      the error of a trial that is about to end

`over` tells that the search has ended; `known` is false for a machine whose trials were given to others.

Each request, also of KerasTuner's own, has the search's token (tokens.py) in its metadata.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc  # type: ignore[import-untyped]

_SERVICE = "penstock.Search"
_TOKEN = "penstock-token"  # the key in a request's metadata
_TIMEOUT = 30.0  # seconds until a request counts as unanswered; the oracle may be busy with the one before it
_OPTIONS = [("grpc.max_reconnect_backoff_ms", 5000)]  # the longest pause between attempts to reach the chief

type Answer = dict[str, Any]


class _Sends(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Sends a token with each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_unary_unary(
        self, continuation: Callable[..., object], details: grpc.ClientCallDetails, request: object
    ) -> object:
        metadata = [*(details.metadata or ()), (_TOKEN, self._token)]
        return continuation(details._replace(metadata=metadata), request)


class Checks(grpc.ServerInterceptor):  # type: ignore[misc]
    """Refuses each request without a server's token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        sent = dict(details.invocation_metadata).get(_TOKEN, "")
        if hmac.compare_digest(str(sent).encode(), self._token):
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(_: bytes, context: grpc.ServicerContext) -> None:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "expected the token of this search")


def channel(address: str, token: str) -> grpc.Channel:
    """Returns a connection to a chief that sends the search's token with each request."""
    return grpc.intercept_channel(grpc.insecure_channel(address, options=_OPTIONS), _Sends(token))


class Chief:
    """A client of the chief of a search.

    token: returns the search's token, "" while it is not known; it is asked again at every new connection.
    refused: whether the chief has refused the last request for its token.
    """

    def __init__(self, address: str, token: Callable[[], str]) -> None:
        self.address, self.refused = address, False
        self._token = token
        self._connect()

    def _connect(self) -> None:
        self._channel = channel(self.address, self._token())

    def ask(self, request: str, **arguments: object) -> Answer | None:
        """Returns the chief's answer to a request; None if there is none in time."""
        call = self._channel.unary_unary(f"/{_SERVICE}/{request}")
        try:
            answer: Answer = json.loads(call(json.dumps(arguments).encode(), timeout=_TIMEOUT, wait_for_ready=True))
        except grpc.RpcError as error:
            self.refused = error.code() == grpc.StatusCode.UNAUTHENTICATED
            self._channel.close()
            self._connect()  # a chief that was restarted may have another address under its name
            return None
        self.refused = False
        return answer

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def handler(methods: Mapping[str, Callable[..., Answer]]) -> grpc.GenericRpcHandler:
    """Returns the handler by which a gRPC server answers each request with the method of its name."""

    def answering(method: Callable[..., Answer]) -> grpc.RpcMethodHandler:
        def answer(request: bytes, _: grpc.ServicerContext) -> bytes:
            return json.dumps(method(**json.loads(request))).encode()

        return grpc.unary_unary_rpc_method_handler(answer)

    return grpc.method_handlers_generic_handler(_SERVICE, {name: answering(method) for name, method in methods.items()})
