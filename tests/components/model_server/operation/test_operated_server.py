"""The whole server in operation: what a person sees of it, and that nothing it does for that costs an answer."""

import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from penstock.components.model_server.operation import settings
from penstock.components.model_server.settings import ModelSettings, ServerSettings
from penstock.core.artifacts import RequestLog
from penstock.core.models import prediction_logs
from tests.components.model_server.conftest import save_linear
from tests.components.model_server.operation.receiver import Receiver
from tests.components.model_server.operation.test_certificates import write_pair
from tests.servers.model_server import Client, serving, starting

DOCS = Path(__file__).resolve().parents[4] / "docs" / "serving.md"
PREDICT = "/v1/models/m:predict"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    save_linear(tmp_path / "models" / "1", 1.0)
    return tmp_path / "models"


@contextmanager
def clients(count: int, ask: Callable[[], Any]) -> Iterator[list[Any]]:
    """Asks again and again, in some threads, until the context ends; yields the answers."""
    answers: list[Any] = []
    ending = threading.Event()

    def run() -> None:
        while not ending.is_set():
            try:
                answers.append(ask())
            except Exception as error:
                answers.append(error)
                time.sleep(0.01)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ending.set()
        for thread in threads:
            thread.join(60)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_metrics_and_logs_of_real_predictions(base: Path, tmp_path: Path, receiver: Receiver) -> None:
    operation = settings.Operation(
        access_log=settings.AccessLog(tmp_path / "access.log"),
        request_log=settings.RequestLog(tmp_path / "requests"),
        events=settings.Events(receiver.url),
    )
    with serving(ModelSettings("m", str(base)), operation=operation) as client:
        assert client.post(PREDICT, {"instances": [1.0, 2.0]}).json == {"predictions": [2.0, 3.0]}
        assert client.post(PREDICT, {"instances": ["one"]}).status == 400
        assert client.post("/v1/models/none:predict", {"instances": [1.0]}).status == 404
        text = client.get("/metrics").body.decode()
    for line in (
        'penstock_requests_total{model="m",outcome="ok",protocol="rest",version="1"} 1.0',
        'penstock_requests_total{model="m",outcome="invalid",protocol="rest",version="1"} 1.0',
        'penstock_requests_total{model="",outcome="not_found",protocol="rest",version=""} 1.0',
        'penstock_batch_rows_sum{model="m",version="1"} 2.0',
        'penstock_model_call_seconds_count{model="m",version="1"} 1.0',
        'penstock_model_version_state{model="m",state="available",version="1"} 1.0',
        "penstock_ready 1.0",
        "penstock_queue_requests 0.0",
        'penstock_model_load_seconds{model="m",version="1"}',
    ):
        assert line in text
    table = re.findall(r"`(penstock_\w+)`", DOCS.read_text())
    assert len(table) > 10
    assert [name for name in table if f"# TYPE {name} " not in text] == []
    (file,) = RequestLog(tmp_path / "requests").files("m", 1, "serving_default")
    (prediction,) = prediction_logs.read(file.path)
    assert (prediction.inputs["x"].tolist(), prediction.outputs["y"].tolist()) == ([1.0, 2.0], [2.0, 3.0])
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [(line["outcome"], line.get("batch_rows")) for line in lines] == [
        ("ok", 2),
        ("invalid", None),
        ("not_found", None),
    ]
    assert [body for headers, body in receiver.events if headers["ce-type"].endswith("response")] == [
        b'{"predictions":[2.0,3.0]}'
    ]


def test_a_switch_under_load_and_with_all_logs_fails_no_request(base: Path, tmp_path: Path) -> None:
    operation = settings.Operation(
        access_log=settings.AccessLog(tmp_path / "access.log"), request_log=settings.RequestLog(tmp_path / "requests")
    )
    with serving(ModelSettings("m", str(base)), operation=operation, poll=0.05) as client:
        with clients(4, lambda: _value(client)) as answers:
            wait_for(lambda: len(answers) > 20)
            save_linear(base / "2", 2.0)
            wait_for(lambda: 3.0 in answers)
            wait_for(lambda: answers[-20:].count(3.0) == 20)
        gone = 'penstock_model_load_seconds{model="m",version="1"}'  # the old version is unloaded
        wait_for(lambda: gone not in client.get("/metrics").body.decode())
    assert set(answers) == {2.0, 3.0}
    log = RequestLog(tmp_path / "requests")
    logged = [p for number in (1, 2) for f in log.files("m", number, "serving_default") for p in _read(f.path)]
    assert len(logged) == len(answers)
    assert {(p.version, p.outputs["y"].tolist()[0]) for p in logged} == {(1, 2.0), (2, 3.0)}


def _read(path: Path) -> list[prediction_logs.LoggedPrediction]:
    return list(prediction_logs.read(path))


def _value(client: Client) -> float:
    answer = client.post(PREDICT, {"instances": [1.0]})
    value: float = answer.json["predictions"][0]
    return value


def test_nothing_accepted_is_lost_when_the_server_stops_under_load(base: Path, tmp_path: Path) -> None:
    """A client whose connection is refused after that, or closed before its request was read, has not been accepted."""
    access_log = tmp_path / "access.log"
    operation = settings.Operation(access_log=settings.AccessLog(access_log))
    with ExitStack() as server:
        client = server.enter_context(serving(ModelSettings("m", str(base)), operation=operation))
        with clients(4, lambda: _value(client)) as answers:
            wait_for(lambda: answers.count(2.0) > 20)
            server.close()
    answered = answers.count(2.0)
    lines = [json.loads(line) for line in access_log.read_text().splitlines()]
    outcomes = [line["outcome"] for line in lines if line["path"] == PREDICT]
    assert outcomes == ["ok"] * answered
    assert all(isinstance(answer, float | OSError) for answer in answers)


def test_the_token_and_tls_guard_http_and_grpc(base: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("correct-horse")
    tls = write_pair(tmp_path)
    operation = settings.Operation(token=settings.Token(file=tmp_path / "token"), tls=tls)
    trusted = ssl.create_default_context(cafile=str(tls.certificate))
    models = (ModelSettings("m", str(base)),)
    with starting(ServerSettings(models, grpc=True, grpc_port=0, operation=operation)) as client:
        port = int(client.url.rpartition(":")[2])
        assert client.url.startswith("https://")

        def ask(path: str, body: object = None, **headers: str) -> tuple[int, Any]:
            connection = http.client.HTTPSConnection("localhost", port, context=trusted, timeout=60)
            connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
            connection.close()
            return answer.status, content

        wait_for(lambda: ask("/v2/health/ready")[0] == 200)
        assert ask(PREDICT, {"instances": [1.0]})[0] == 401
        right = {"authorization": "Bearer correct-horse"}
        assert ask(PREDICT, {"instances": [1.0]}, **right) == (200, {"predictions": [2.0]})

        credentials = grpc.ssl_channel_credentials(tls.certificate.read_bytes())
        with grpc.secure_channel(client.grpc.replace("127.0.0.1", "localhost"), credentials) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "m"
            request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
            with pytest.raises(grpc.RpcError) as error:
                stub.Predict(request)
            assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
            answer = stub.Predict(request, metadata=[*right.items()])
            assert tf.make_ndarray(answer.outputs["y"]).tolist() == [2.0]
