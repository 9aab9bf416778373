"""gRPC's health service, which Kubernetes' gRPC probes and load balancers ask: SERVING when every model is ready."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2

from penstock.components.model_server.grpc import calls, model_service, open_inference, prediction_service
from penstock.components.model_server.inference import Kind, Models, RequestError
from penstock.core.text import printable

NAME = "grpc.health.v1.Health"
_SERVICES = ("", NAME, prediction_service.NAME, model_service.NAME, open_inference.NAME)
_PAUSE = 1.0  # seconds after which a watcher's answer is looked at again


class Health:
    """Answers for the server and, alike, for each of its services."""

    def __init__(self, models: Models):
        self._models = models

    def handler(self) -> grpc.GenericRpcHandler:
        check = calls.Method("Check", health_pb2.HealthCheckRequest, self._check)
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch,
            request_deserializer=health_pb2.HealthCheckRequest.FromString,
            response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
        )
        return calls.service(NAME, [check], {"Watch": watch})

    async def _check(
        self, request: health_pb2.HealthCheckRequest, timeout: float | None
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in _SERVICES:
            raise RequestError(Kind.NOT_FOUND, f"there is no service {printable.value(request.service)}")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def _watch(
        self, request: health_pb2.HealthCheckRequest, context: calls.Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answers at once, and again when the status has changed.

        Ends when the models are no longer ready, so that a server which stops need not wait for its watchers; they ask
        anew.
        """
        last = None
        while True:
            status = self._status(request.service)
            if status != last:
                yield health_pb2.HealthCheckResponse(status=status)
                if last == health_pb2.HealthCheckResponse.SERVING:
                    return
                last = status
            await asyncio.sleep(_PAUSE)

    def _status(self, service: str) -> int:
        statuses = health_pb2.HealthCheckResponse
        if service not in _SERVICES:
            return int(statuses.SERVICE_UNKNOWN)
        return int(statuses.SERVING if self._models.ready else statuses.NOT_SERVING)
