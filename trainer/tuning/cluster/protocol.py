"""What KerasTuner's protocol leaves out, over gRPC beside it: which machines live, which workers died, what was raised.

Requests and answers are JSON:

    beat     {machine, keeper, running} -> {over, known}    a machine lives; without running workers it begins
    end      {machine, keeper} -> {}                        it has no more to do
    died     {worker, how} -> {trial, over}                 the trial that the worker had, "" for none
    failed   {type, message, details} -> {}                 a machine cannot go on: the search fails
    message  {trial_id, message} -> {}                      what a trial raised that is about to end
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import grpc  # type: ignore[import-untyped]

_SERVICE = "penstock.Search"
_TIMEOUT = 30.0  # seconds until a request counts as unanswered: an oracle may take its time over the one before it
# Seconds at most between two attempts to reach a chief that is not there yet.
_OPTIONS = [("grpc.max_reconnect_backoff_ms", 5000)]


class Chief:
    """The chief of a search, as its workers' machines see it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connect()

    def _connect(self) -> None:
        self._channel = grpc.insecure_channel(self.address, options=_OPTIONS)

    def ask(self, what: str, **said: Any) -> dict[str, Any] | None:
        """Returns the chief's answer; None if there is none in time."""
        call = self._channel.unary_unary(f"/{_SERVICE}/{what}")
        try:
            answer: dict[str, Any] = json.loads(call(json.dumps(said).encode(), timeout=_TIMEOUT, wait_for_ready=True))
        except grpc.RpcError:
            self._channel.close()
            self._connect()  # anew, for a chief that was started again may have the name, and another address
            return None
        return answer

    def close(self) -> None:
        self._channel.close()


def handler(methods: Mapping[str, Callable[..., dict[str, Any]]]) -> Any:
    """Returns what a gRPC server answers with: the methods by their names, called with what was said."""

    def answering(method: Callable[..., dict[str, Any]]) -> Any:
        def answer(request: bytes, _: Any) -> bytes:
            return json.dumps(method(**json.loads(request))).encode()

        return grpc.unary_unary_rpc_method_handler(answer)

    return grpc.method_handlers_generic_handler(_SERVICE, {name: answering(one) for name, one in methods.items()})
