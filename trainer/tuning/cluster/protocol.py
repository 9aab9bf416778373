"""The requests to the chief of a search that KerasTuner's protocol lacks, over gRPC. Requests and answers are JSON:

    beat     {machine, keeper, running} -> {over, known}    a machine is alive; one without running workers starts
    end      {machine, keeper} -> {}                        a machine has ended
    died     {worker, how} -> {trial, over}                 a worker died; the answer has its trial, "" for none
    failed   {type, message, details} -> {}                 a machine cannot continue: the search fails
    message  {trial_id, message} -> {}                      the error of a trial that is about to end

`over` tells that the search has ended; `known` is false for a machine whose trials were given to others.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc  # type: ignore[import-untyped]

_SERVICE = "penstock.Search"
_TIMEOUT = 30.0  # seconds until a request counts as unanswered; the oracle may be busy with the one before it
_OPTIONS = [("grpc.max_reconnect_backoff_ms", 5000)]  # the longest pause between attempts to reach the chief

type Answer = dict[str, Any]


class Chief:
    """A client of the chief of a search."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connect()

    def _connect(self) -> None:
        self._channel = grpc.insecure_channel(self.address, options=_OPTIONS)

    def ask(self, request: str, **arguments: object) -> Answer | None:
        """Returns the chief's answer to a request; None if there is none in time."""
        call = self._channel.unary_unary(f"/{_SERVICE}/{request}")
        try:
            answer: Answer = json.loads(call(json.dumps(arguments).encode(), timeout=_TIMEOUT, wait_for_ready=True))
        except grpc.RpcError:
            self._channel.close()
            self._connect()  # a chief that was restarted may have another address under its name
            return None
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
