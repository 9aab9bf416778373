"""What passes the gate of HTTP and what does not, on real connections: limits, the token, the notes of each request."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from penstock.components.model_server.operation import settings
from penstock.core.artifacts import RequestLog
from penstock.core.models import prediction_logs
from tests.components.model_server.operation.receiver import Receiver
from tests.components.model_server.operation.serving import LARGE, Running, get, post, read_answer, serving

CHUNKED = b"POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"


def limits(**values: Any) -> settings.Operation:
    return settings.Operation(limits=settings.Limits(**values))


def error(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[2])["error"]


def chunk(size: int) -> bytes:
    return b"%x\r\n%b\r\n" % (size, b"x" * size)


def test_a_body_over_the_limit_is_refused_with_and_without_a_length() -> None:
    too_large = (413, "expected a body of at most 100,000 bytes, found more")
    with serving(limits(body_bytes=100_000)) as server:
        assert server.exchange(post(body=b"x" * 100_000))[2] == b'{"size": 100000}'
        assert error(server.exchange(post(body=b"x" * 100_001))) == too_large
        assert error(server.exchange(post(body=b"x" * 10_000_000))) == too_large  # it is read, and thrown away
        chunks = [chunk(60_000), chunk(40_000), b"0\r\n\r\n"]
        assert server.exchange(CHUNKED, *chunks)[2] == b'{"size": 100000}'
        assert error(server.exchange(CHUNKED, chunk(60_000), chunk(60_000), chunk(60_000))) == too_large
        with server.connect() as connection:  # once the rest has come, the connection is good for more
            connection.sendall(post(body=b"x" * 200_000))
            assert error(read_answer(connection)) == too_large
            connection.sendall(post(body=b"xyz"))
            assert read_answer(connection)[2] == b'{"size": 3}'


def test_a_body_that_does_not_come_ends_in_408() -> None:
    with serving(limits(receive_seconds=0.2)) as server:
        slow = post(body=b"x" * 100)[:-1]
        assert error(server.exchange(slow)) == (408, "expected the whole body within 0.2 s")
        assert error(server.exchange(CHUNKED, chunk(7)))[0] == 408
        with server.connect() as connection:  # a later request on a connection, a byte at a time
            connection.sendall(post(body=b"xyz"))
            assert read_answer(connection)[2] == b'{"size": 3}'
            connection.sendall(slow[:-50])
            for _ in range(4):
                time.sleep(0.06)
                connection.sendall(b"x")
            assert error(read_answer(connection))[0] == 408
        assert 'outcome="slow_client",protocol="http",version=""} 3.0' in server.metrics.text().decode()


def test_headers_are_bounded_in_size_and_time() -> None:
    with serving(limits(receive_seconds=0.2, header_bytes=20_000)) as server:
        assert server.exchange(get("/", cookie="x" * 19_000))[0] == 200
        refused = server.exchange(get("/v1/models/m", cookie="x" * 21_000))  # which comes at once
        assert error(refused) == (431, "expected headers of at most 20,000 bytes")
        assert server.exchange(b"GET / HTTP/1.1\r\nhost: here\r\ncookie: ", *[b"x" * 10_000] * 3)[0] == 431
        assert error(server.exchange(b"GET / HTTP/1.1\r\nhos")) == (408, "expected the request's headers within 0.2 s")
        assert server.exchange() == (0, {}, b"")  # nothing was asked, so nothing is said


def test_too_many_requests_at_once_are_told_when_to_come_again() -> None:
    with serving(limits(requests=2)) as server:
        connections = [server.connect() for _ in range(5)]
        for connection in connections:
            connection.sendall(post("/slow"))
        answers = [read_answer(connection) for connection in connections]
        assert sorted(status for status, _, _ in answers) == [200, 200, 429, 429, 429]
        assert {headers.get("retry-after") for status, headers, _ in answers if status == 429} == {"1"}
        assert server.exchange(post())[0] == 200
        assert server.exchange(post("/busy"))[1]["retry-after"] == "1"  # refused by the application
        for connection in connections:
            connection.close()


def test_too_many_connections_are_told_as_well() -> None:
    with serving(limits(connections=2)) as server:
        first, second = server.connect(), server.connect()
        first.sendall(get("/a"))
        second.sendall(get("/a"))
        assert (read_answer(first)[0], read_answer(second)[0]) == (200, 200)
        assert server.exchange()[0] == 429
        first.close()
        time.sleep(0.05)
        assert server.exchange(get("/a"))[0] == 200
        second.close()


def test_a_compressed_body_is_refused() -> None:
    with serving(limits()) as server:
        answer = server.exchange(post("/v1/models/m:predict", b"xyz", content_encoding="gzip"))
        assert error(answer) == (415, "Content-Encoding: expected a body that is not compressed, received 'gzip'")
        assert server.exchange(post("/v1/models/m:predict", b"xyz", content_encoding="identity"))[0] == 200


def test_a_half_closed_connection_gets_its_answer() -> None:
    with serving(limits()) as server:
        assert server.exchange(post("/slow", b"xyz"), shut=True)[2] == b'{"size": 3}'
        assert server.exchange(post("/slow", b"xyz")[:-1], shut=True)[0] == 0


def test_a_client_that_does_not_read_its_answer_is_let_go() -> None:
    with serving(limits(receive_seconds=0.8)) as server:
        idle, slow = server.connect(), server.connect()
        for connection in (idle, slow):
            connection.sendall(get("/large"))
        received = 0
        for _ in range(10):  # for longer than a client may read nothing
            time.sleep(0.1)
            received += len(slow.recv(5_000_000))
        while more := slow.recv(1 << 20):
            received += len(more)
            if received > LARGE:
                break
        assert received > LARGE  # with its headers
        rest = 0
        with contextlib.suppress(ConnectionResetError):
            while more := idle.recv(1 << 20):
                rest += len(more)
        assert rest < LARGE
        idle.close()
        slow.close()


def test_a_client_that_dies_harms_nobody() -> None:
    with serving(limits()) as server:
        for request in (post("/slow", b"xyz"), post("/slow", b"xyz")[:-1]):
            connection = server.connect()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # a reset
            connection.sendall(request)
            time.sleep(0.05)
            connection.close()
        assert server.exchange(post("/slow"))[0] == 200
        assert server.observers.in_flight == 0
    assert 'outcome="aborted"' in server.metrics.text().decode()


def test_the_token_is_wanted_everywhere_but_where_health_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_TOKEN", "correct-horse")
    with serving(settings.Operation(token=settings.Token(variable="SERVING_TOKEN"))) as server:
        for path in ("/v2/health/live", "/v2/health/ready", "/ping", "/"):
            assert server.exchange(get(path))[0] == 200
        for request in (post("/ping"), post("/v1/models/taxi:predict"), get("/v1/models/taxi"), get("/metrics")):
            status, headers, body = server.exchange(request)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert json.loads(body)["error"].startswith("expected the header 'Authorization: Bearer TOKEN'")
        assert server.exchange(get("/metrics", authorization="Bearer correct-horse"))[0] == 200
        assert server.exchange(post("/v1/models/taxi:predict", authorization="Bearer correct-horsf"))[0] == 401


@pytest.mark.parametrize("target", [b"*", b"http://here", b"//", b"/%2e%2e/ping", b"/ping?x=/v1"])
def test_no_odd_path_passes_without_the_token(target: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVING_TOKEN", "correct-horse")
    with serving(settings.Operation(token=settings.Token(variable="SERVING_TOKEN"))) as server:
        status, _, _ = server.exchange(b"OPTIONS %b HTTP/1.1\r\nhost: here\r\n\r\n" % target)
        assert status in (400, 401)
        assert server.exchange(post("/v1/models/taxi:predict"))[0] == 401


def test_errors_have_the_status_of_their_kind_and_tell_nothing_of_the_servers_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(limits()) as server:
        assert error(server.exchange(post("/late"))) == (504, "no answer within 1 seconds")
        assert error(server.exchange(post("/broken"))) == (500, "the server failed; its log says why")
    assert "ZeroDivisionError" in caplog.text


def test_a_request_is_noted_everywhere_by_its_id(tmp_path: Path) -> None:
    operation = settings.Operation(
        access_log=settings.AccessLog(tmp_path / "access.log"), request_log=settings.RequestLog(tmp_path / "requests")
    )
    with serving(operation) as server:
        _, headers, _ = server.exchange(post("/v1/models/taxi:predict", b"body", x_request_id="mine-1"))
        assert headers["x-request-id"] == "mine-1"
        made = server.exchange(post("/v1/models/taxi:predict", x_request_id="not mine"))[1]["x-request-id"]
        assert made not in ("not mine", "")
        server.exchange(post("/v1/models/none:predict"))
        server.exchange(post("/late"))
        text = server.exchange(get("/metrics"))[2].decode()
    assert 'penstock_requests_total{model="taxi",outcome="ok",protocol="rest",version="3"} 2.0' in text
    assert 'penstock_requests_total{model="",outcome="late",protocol="http",version=""} 1.0' in text
    assert 'penstock_request_seconds_count{model="taxi",protocol="rest",version="3"} 2.0' in text
    assert "penstock_requests_in_flight 1.0" in text  # the one for the metrics
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text
    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [(line["request_id"], line.get("version"), line["received_bytes"]) for line in lines[:2]] == [
        ("mine-1", 3, 4),
        (made, 3, 0),
    ]
    assert lines[0]["sent_bytes"] == len(b'{"size": 4}')
    (file,) = RequestLog(tmp_path / "requests").files("taxi", 3, "serving_default")
    assert [one.request_id for one in prediction_logs.read(file.path)] == ["mine-1", made]


def test_bodies_are_cloud_events_as_they_came(receiver: Receiver) -> None:
    with serving(settings.Operation(events=settings.Events(receiver.url))) as server:
        server.exchange(post("/v1/models/taxi:predict", b"body", ce_id="event-1", content_type="text/csv"))
        server.exchange(post("/late", b"failed", x_request_id="request-2"))
        server.exchange(get("/v1/models/taxi"))
    sent = [(headers["ce-id"], headers["ce-type"].rpartition(".")[2], body) for headers, body in receiver.events]
    assert sent == [
        ("event-1", "request", b"body"),
        ("event-1", "response", b'{"size": 4}'),
        ("request-2", "request", b"failed"),
    ]
    assert receiver.events[0][0]["content-type"] == "text/csv"


def test_what_has_been_accepted_is_answered_before_the_end() -> None:
    connections = []
    with serving(limits()) as server:
        for _ in range(20):
            connections.append(server.connect())
            connections[-1].sendall(post("/slow", b"xyz"))
        _until_in_flight(server, 20)
    assert [read_answer(connection)[2] for connection in connections] == [b'{"size": 3}'] * 20


def _until_in_flight(server: Running, count: int) -> None:
    end = time.monotonic() + 20
    while server.observers.in_flight != count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_thousand_connections_are_answered() -> None:
    with serving(limits()) as server:
        connections = [server.connect() for _ in range(1000)]
        for connection in connections:
            connection.sendall(post("/v1/models/taxi:predict", b"xyz"))
        assert {read_answer(connection)[2] for connection in connections} == {b'{"size": 3}'}
        for connection in connections:
            connection.close()


def test_tls(tmp_path: Path) -> None:
    import ssl

    from tests.components.model_server.operation.test_certificates import write_pair

    tls = write_pair(tmp_path)
    with serving(settings.Operation(tls=tls)) as server:
        context = ssl.create_default_context(cafile=os.fspath(tls.certificate))
        with context.wrap_socket(server.connect(), server_hostname="localhost") as connection:
            connection.sendall(post("/slow", b"xyz"))
            assert read_answer(connection)[2] == b'{"size": 3}'
        assert server.exchange(post())[0] in (0, 400)  # not in the clear
