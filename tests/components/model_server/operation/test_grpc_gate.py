"""What passes the gate of gRPC: a PredictionService of real gRPC behind it, asked by a real client."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from penstock.components.model_server.inference import Prediction
from penstock.components.model_server.operation import calls, settings
from penstock.components.model_server.operation.certificates import Certificate
from penstock.components.model_server.operation.grpc_gate import GrpcGate, options
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.operation.observers import Observers
from penstock.core.artifacts import RequestLog
from penstock.core.models import prediction_logs
from tests.components.model_server.operation.test_certificates import write_pair

type Stub = prediction_service_pb2_grpc.PredictionServiceStub


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    async def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.aio.ServicerContext
    ) -> predict_pb2.PredictResponse:
        if request.model_spec.name == "slow":
            await asyncio.sleep(0.25)
        if request.model_spec.name != "slow" and request.model_spec.name != "taxi":
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such model")
        calls.leased("taxi", 3)
        calls.predicted("serving_default", {"x": np.array([1])}, Prediction({"y": np.array([2])}, 1, 0.0, 0.0))
        return predict_pb2.PredictResponse(model_spec=request.model_spec)


type Ask = Callable[[Stub], Awaitable[None]]


@asynccontextmanager
async def serving(
    operation: settings.Operation, metrics: Metrics, tls: Certificate | None = None
) -> AsyncIterator[str]:
    """Yields the address of a server."""
    observers = Observers(operation, metrics)
    observers.start()
    server = grpc.aio.server(interceptors=[GrpcGate(operation, observers)], options=options(operation.limits))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    if tls:
        port = server.add_secure_port("localhost:0", tls.grpc_credentials())
    else:
        port = server.add_insecure_port("localhost:0")
    await server.start()
    yield f"localhost:{port}"
    await server.stop(5)
    observers.close()


def run(operation: settings.Operation, ask: Ask) -> str:
    """Asks a server, and returns its metrics."""
    metrics = Metrics()

    async def serve_and_ask() -> None:
        async with serving(operation, metrics) as address, grpc.aio.insecure_channel(address) as channel:
            await ask(prediction_service_pb2_grpc.PredictionServiceStub(channel))

    asyncio.run(serve_and_ask())
    return metrics.text().decode()


def request(model: str = "taxi", size: int = 0) -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest()
    made.model_spec.name = model
    if size:
        made.inputs["x"].tensor_content = b"x" * size
    return made


async def code(call: Awaitable[object]) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_calls_are_noted_by_model_and_outcome(tmp_path: Path) -> None:
    async def ask(stub: Stub) -> None:
        await stub.Predict(request(), metadata=(("x-request-id", "mine-1"),))
        assert await code(stub.Predict(request("none"))) is grpc.StatusCode.NOT_FOUND
        assert await code(stub.Classify(request())) is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[arg-type]

    text = run(settings.Operation(request_log=settings.RequestLog(tmp_path)), ask)
    assert 'penstock_requests_total{model="taxi",outcome="ok",protocol="grpc",version="3"} 1.0' in text
    assert 'penstock_requests_total{model="",outcome="not_found",protocol="grpc",version=""} 1.0' in text
    assert 'penstock_requests_total{model="",outcome="no_method",protocol="grpc",version=""} 1.0' in text
    (file,) = RequestLog(tmp_path).files("taxi", 3, "serving_default")
    (prediction,) = prediction_logs.read(file.path)
    assert (prediction.request_id, prediction.inputs["x"].tolist()) == ("mine-1", [1])


def test_messages_and_calls_are_bounded() -> None:
    async def ask(stub: Stub) -> None:
        assert await code(stub.Predict(request(size=50_000))) is grpc.StatusCode.OK
        assert await code(stub.Predict(request(size=100_001))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        large = (("cookie", "x" * 30_000),)
        assert await code(stub.Predict(request(), metadata=large)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        codes = await asyncio.gather(*(code(stub.Predict(request("slow"))) for _ in range(4)))
        assert sorted(one.name for one in codes) == ["OK", "OK", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]

    text = run(settings.Operation(limits=settings.Limits(body_bytes=100_000, header_bytes=20_000, requests=2)), ask)
    assert 'penstock_requests_total{model="",outcome="busy",protocol="grpc",version=""} 2.0' in text


def test_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_TOKEN", "correct-horse")

    async def ask(stub: Stub) -> None:
        assert await code(stub.Predict(request())) is grpc.StatusCode.UNAUTHENTICATED
        wrong, right = (("authorization", "Bearer correct"),), (("authorization", "Bearer correct-horse"),)
        assert await code(stub.Predict(request(), metadata=wrong)) is grpc.StatusCode.UNAUTHENTICATED
        assert await code(stub.Predict(request(), metadata=right)) is grpc.StatusCode.OK

    run(settings.Operation(token=settings.Token(variable="SERVING_TOKEN")), ask)


def test_a_certificate_that_has_changed_is_the_next_connections(tmp_path: Path) -> None:
    tls = write_pair(tmp_path)
    first, second = tls.certificate.read_bytes(), write_pair(tmp_path / "new")

    async def trusts(address: str, certificate: bytes) -> bool:
        credentials = grpc.ssl_channel_credentials(certificate)
        async with grpc.aio.secure_channel(address, credentials) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            return await code(stub.Predict(request(), timeout=20)) is grpc.StatusCode.OK

    async def serve_and_ask() -> None:
        certificate = Certificate(tls)
        async with serving(settings.Operation(), Metrics(), certificate) as address:
            assert await trusts(address, first)
            os.replace(second.certificate, tls.certificate)
            os.replace(second.key, tls.key)
            assert certificate.renew()
            assert await trusts(address, tls.certificate.read_bytes())
            assert not await trusts(address, first)

    asyncio.run(serve_and_ask())
