"""What each failure of a server means, and which requests are made again: with a client of urllib3 alone."""

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3

from penstock.core.errors import NoServer, PenstockError, ServerError
from penstock.core.services import retries
from penstock.core.services.retries import AlreadyExists, NotFound, Unanswered
from penstock.core.services.transport import Advice, Answer, Refused, Transport, innermost, short
from tests.servers import ports
from tests.servers.loopback import Cut, Hang, Loopback, Request, Status


class Things(Loopback):
    def route(self, path: str) -> str:
        return path

    def answer(self, request: Request) -> Any:
        return {"made": request.method == "POST"}

    def error(self, failure: Status) -> Any:
        return {"message": failure.message}


class Client(Transport):
    advice = Advice("sign-in", "role", "unknown", "address", "no-server", "slow", "certificate", "no-tls")
    timeout = 1

    def __init__(self, host: str) -> None:
        self.host = host
        self.pool = urllib3.PoolManager(retries=False)

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        answer = operation(*arguments, **options, timeout=self.timeout)
        if answer.status >= 300:
            raise Refused(Answer.of_json(answer.status, answer.headers, answer.data.decode()))
        return answer.json()

    def ask(self, method: str = "GET") -> Any:
        return self.request(self.pool.request, method, f"{self.host}/things")


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> Iterator[Things]:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with Things() as server:
        yield server


@pytest.mark.parametrize(
    ("failure", "kind", "sentence"),
    [
        (Status(302, headers={"Location": "/login"}), ServerError, "wants a sign-in (302): sign-in"),
        (Status(401, "who"), ServerError, "wants a sign-in (401): sign-in"),
        (Status(403, "not you."), ServerError, "does not let this account do that (403: not you): role"),
        (Status(404, "none"), NotFound, "does not know that (404: none): unknown"),
        (Status(409, "two"), AlreadyExists, "has that already (409: two): choose another name"),
        (Status(400, html="<html>no</html>"), ServerError, "refuses the request (400)"),
        (Status(429, "slow"), Unanswered, "has too many requests (429: slow): try again later"),
        (Status(500, "oops\nstack"), Unanswered, "failed (500: oops): try again later"),
        (Cut(after=True), Unanswered, "was cut: try again"),
        (Hang(1.3), Unanswered, "did not answer in 1 s: slow"),
    ],
    ids=str,
)
def test_a_failure_is_one_sentence(things: Things, failure: Any, kind: type[PenstockError], sentence: str) -> None:
    things.fail("GET", "/things", failure)
    with pytest.raises(kind) as raised:
        Client(things.url).ask()
    assert type(raised.value) is kind
    assert things.url in raised.value.message
    assert raised.value.message.endswith(sentence)
    assert raised.value.exit_code == (2 if isinstance(raised.value, ServerError) else 1)


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("http://nowhere.invalid", "http://nowhere.invalid: there is no server of that name: address"),
        ("http://127.0.0.1:x", "http://127.0.0.1:x is no address: address"),
    ],
)
def test_a_wrong_address(host: str, sentence: str) -> None:
    with pytest.raises(ServerError) as raised:
        Client(host).ask()
    assert raised.value.message == sentence


def test_tls_where_there_is_none(things: Things) -> None:
    with pytest.raises(ServerError, match="does not speak TLS: no-tls"):
        Client(things.url.replace("http:", "https:")).ask()


def test_a_server_that_was_there_is_only_away() -> None:
    """Nobody answers at a wrong address; a server that has answered is started again."""
    client = Client(f"http://127.0.0.1:{ports.reserve()}")
    with pytest.raises(NoServer, match=r"no server answers at .*: no-server"):
        client.ask()
    client.known = True
    with pytest.raises(Unanswered, match="no server answers at"):
        client.ask()
    with Things() as server:
        client = Client(server.url)
        assert not client.known
        client.ask()
        assert client.known


def test_what_changes_nothing_is_asked_again(things: Things) -> None:
    client = Client(things.url)
    things.fail("GET", "/things", Status(503), Cut(after=True))
    assert client.repeat(client.pool.request, "GET", f"{things.url}/things") == {"made": False}
    assert len(things.requests) == 3
    things.fail("GET", "/things", *[Status(503)] * 3, Status(404))
    with pytest.raises(Unanswered):
        client.repeat(client.pool.request, "GET", f"{things.url}/things")
    with pytest.raises(NotFound):
        client.repeat(client.pool.request, "GET", f"{things.url}/things")
    assert len(things.requests) == 7


def test_what_makes_something_is_sent_once(things: Things) -> None:
    things.fail("POST", "/things", Status(503))
    with pytest.raises(Unanswered):
        Client(things.url).ask("POST")
    assert len(things.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_as_long_as_the_server_asks_for(things: Things, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=slept.append, time=time.time))
    things.fail("GET", "/things", Status(status, headers={"Retry-After": "7"}), Status(status))
    client = Client(things.url)
    client.repeat(client.pool.request, "GET", f"{things.url}/things")
    assert slept == [7, 0.02]


@pytest.mark.parametrize("status", [503, 504])
def test_only_a_gateways_timeout_is_still_under_way(things: Things, status: int) -> None:
    things.fail("POST", "/things", Status(status))
    with pytest.raises(Unanswered) as raised:
        Client(things.url).ask("POST")
    assert raised.value.under_way == (status == 504)


def test_the_error_inside_one_of_requests(things: Things) -> None:
    things.fail("GET", "/things", Cut(after=False), Hang(1.0))
    kinds = []
    for host in (things.url, things.url, f"http://127.0.0.1:{ports.reserve()}", "nonsense"):
        with pytest.raises(requests.RequestException) as raised:
            requests.get(f"{host}/things", timeout=0.5)
        kinds.append(type(innermost(raised.value)))
    exceptions = urllib3.exceptions
    assert kinds == [
        exceptions.ProtocolError,
        exceptions.ReadTimeoutError,
        exceptions.NewConnectionError,
        exceptions.LocationValueError,
    ]


def test_a_long_sentence_keeps_its_end() -> None:
    assert short("a" * 240) == "a" * 240
    told = short("outcome " + "a" * 300 + " cause\nand a line more")
    assert (len(told), told.startswith("outcome "), told.endswith(" cause")) == (240, True, True)
