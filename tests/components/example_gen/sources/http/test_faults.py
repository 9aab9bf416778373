"""APIs that fail, lie or never end: a bounded retry, or one sentence; nothing half-written."""

import gzip
import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError, DataError, ServerError, ServerUnavailable, UserError
from penstock.core.services import retries
from tests.components.example_gen.sources.conftest import SourceRun
from tests.components.example_gen.sources.http.conftest import document
from tests.servers import ports
from tests.servers.api import Api, Asked, Reply

Run = Callable[..., SourceRun]
LINES = b'{"x": 1}\n{"x": 2}\n{"x": 3}\n'


def numbers(found: SourceRun) -> list[int]:
    return [row["x"] for row in found.rows()]


def once(*bad: Reply, good: Reply) -> Callable[[Asked], Reply]:
    """Answers with the bad replies first, one each, then with the good one."""
    left = iter(bad)
    return lambda asked: next(left, good)


GOOD = Reply(LINES, {"Content-Type": "application/x-ndjson"})
PASSING = {
    "500": Reply(b'{"message": "oh"}', {"Content-Type": "application/json"}, status=500),
    "429": Reply(status=429, headers={"Retry-After": "0"}),
    "cut": Reply(LINES, sent=10),
    "more promised than sent": Reply(LINES, length=1000),
    "less promised than sent": Reply(LINES, length=len(LINES) - 3),
    "cut without a length": Reply(LINES[:-5], length=None),
    "half of gzip": Reply(gzip.compress(LINES)[:20], {"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("bad", PASSING)
def test_what_passes_is_tried_again(bad: str, api: Api, run_source: Run) -> None:
    options = {"url": api.url, "format": "json_lines"}
    api.answer = once(PASSING[bad], good=GOOD)
    assert numbers(run_source("http", options)) == [1, 2, 3]
    assert len(api.requests) == 2


@pytest.mark.parametrize("bad", ["500", "cut", "more promised than sent", "less promised than sent"])
def test_what_does_not_pass_ends_in_a_sentence(bad: str, api: Api, run_source: Run, tmp_path: Path) -> None:
    api.answer = lambda asked: PASSING[bad]
    with pytest.raises(ServerUnavailable, match=rf"{api.url}.*(failed|was cut|ends within its last line)"):
        run_source("http", {"url": api.url, "format": "json_lines"})
    assert len(api.requests) == retries.TRIES
    assert not list(tmp_path.glob("state/*/snapshots/*"))
    assert not list(tmp_path.glob("examples*"))


def test_a_busy_api_is_waited_for(api: Api, run_source: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    here, sleep = threading.get_ident(), time.sleep  # servers of other tests have threads of their own, which sleep

    def wait(seconds: float) -> None:
        waits.append(seconds) if threading.get_ident() == here else sleep(seconds)

    monkeypatch.setattr("time.sleep", wait)
    busy = Reply(status=429, headers={"Retry-After": "7"})
    api.answer = once(*[busy] * 5, good=GOOD)
    assert numbers(run_source("http", {"url": api.url, "format": "json_lines"})) == [1, 2, 3]
    assert waits == [7.0] * 5
    api.answer = lambda asked: Reply(status=429, headers={"Retry-After": "86400"})
    waits.clear()
    with pytest.raises(ServerUnavailable, match=r"has too many requests \(429\): try again later"):
        run_source("http", {"url": api.url, "format": "json_lines"})
    assert waits == [retries.LONGEST_PAUSE] * 9


def test_json_that_is_cut_is_asked_for_again(api: Api, run_source: Run) -> None:
    text = json.dumps([{"x": number} for number in range(3)]).encode()
    kind = {"Content-Type": "application/json"}
    api.answer = once(Reply(text[:-4], kind), good=Reply(text, kind))
    assert numbers(run_source("http", {"url": api.url})) == [0, 1, 2]


ANSWERS: dict[str, tuple[Reply, dict[str, Any], str]] = {
    "html": (Reply(b"<html>", {"Content-Type": "text/html"}), {}, "expected json, received a page of HTML: check http"),
    "no json": (
        Reply(b"[1}" + b" 2" * 99),
        {},
        r"expected JSON: Expecting ',' delimiter at character 2: http.format says",
    ),
    "no text": (Reply(b'["\xff"]'), {}, "expected JSON in UTF-8: invalid start byte at byte 2"),
    "too deep": (Reply(b"[" * 200_000 + b"]" * 200_000), {}, "expected JSON of fewer levels"),
    "an object": (
        document({"data": [], "n": 1}),
        {},
        "records: expected a list of rows, found an object with 'data', 'n'",
    ),
    "no path": (
        document({"data": []}),
        {"records": "data.items"},
        "expected rows at 'data.items', found no 'data.items'",
    ),
    "no rows": (document([]), {}, "^http://[^ ]*: no row: expected at least one"),
    "no objects": (document([{"x": 1}, 2]), {}, "record 2: expected an object with a row's columns, found 2"),
    "mixed": (
        document([{"x": 1}, {"x": "a"}]),
        {},
        "column 'x': expected values of one type, found 1 and 'a': write it",
    ),
    "long number": (document([{"x": 1 << 70}]), {}, "column 'x': expected integers of 64 bits, found a greater one"),
    "half a letter": (Reply(b'[{"x": "\\ud800"}]'), {}, "column 'x': expected text, found half a character"),
    "a null in a list": (document([{"x": [1, None]}]), {}, "column 'x': expected no null within a list"),
    "no column": (document([{"x": 1}]), {"columns": ["y"]}, "there is no column 'y'; expected one of x"),
    "charset": (
        Reply(b"x\n1\n", {"Content-Type": "text/csv; charset=klingon"}),
        {"format": "csv"},
        "expected text in UTF-8 or another known encoding, received 'klingon'",
    ),
    "ragged": (
        Reply(b"x,y\n1,2\n3\n"),
        {"format": "csv"},
        r"^http://127.0.0.1:\d+, line 3: expected 2 cells .*found 1",
    ),
    "bad line": (
        Reply(b'{"x": 1}\n' * 9 + b"[]\n{}\n"),
        {"format": "json_lines"},
        r"^http://127.0.0.1:\d+, record 10: expected an object with a row's columns, found '\[\]'",
    ),
    "a bomb": (
        Reply(gzip.compress(bytes(3 << 20)), {"Content-Encoding": "gzip"}),
        {"max_page_mb": 2},
        "expected at most 2 MiB in one answer, received more: ask for fewer rows at once, or raise http.max_page_mb",
    ),
    "ftp": (
        document([{"x": 1}], Link='<ftp://elsewhere/x>; rel="next"'),
        {"paging": {"by": "link"}},
        "the API leads to 'ftp://elsewhere/x': expected an address of http or https",
    ),
    "loop": (
        document([{"x": 1}], Link='</>; rel="next"'),
        {"paging": {"by": "link"}},
        "the pages lead back to it: check http.paging",
    ),
    "a cursor that stays": (
        document({"rows": [{"x": 1}], "next": "a"}),
        {"records": "rows", "paging": {"by": "cursor", "at": "next"}},
        "cursor=a: the pages lead back to it",
    ),
    "a cursor that is none": (
        document({"rows": [{"x": 1}], "next": {}}),
        {"records": "rows", "paging": {"by": "cursor", "at": "next"}},
        "paging.at: expected a text or a number at 'next', found dict",
    ),
    "an offset that is ignored": (
        document([{"x": 1}]),
        {"paging": {"by": "offset", "parameter": "start"}},
        "the same rows as on the page before: is 'start' the name of the parameter",
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_is_no_answer_is_a_sentence(what: str, api: Api, run_source: Run) -> None:
    reply, options, error = ANSWERS[what]
    api.answer = lambda asked: reply
    with pytest.raises(DataError, match=error):
        run_source("http", {"url": api.url, **options})


def test_pages_that_do_not_end(api: Api, run_source: Run) -> None:
    api.answer = lambda asked: document([{"x": asked.query["page"]}])
    with pytest.raises(DataError, match=r"more than 5 pages: raise http.paging.max_pages"):
        run_source("http", {"url": api.url, "paging": {"by": "page", "max_pages": 5}})


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, r"wants a sign-in \(401\): say with http.auth who signs in"),
        (403, r"does not let this account do that \(403: no\): say with http.auth who signs in, and what that account"),
        (
            404,
            r"the API has no page for GET http://\S+ \(404: no\): open the address yourself, and check http.url, w",
        ),
        (400, r"the API refuses GET http://\S+ \(400: no\): check http.url, its parameters and http.paging"),
    ],
)
def test_what_a_person_can_mend_is_not_tried_again(status: int, error: str, api: Api, run_source: Run) -> None:
    api.answer = lambda asked: Reply(b'{"message": "no"}', {"Content-Type": "application/json"}, status=status)
    with pytest.raises(ServerError, match=error):
        run_source("http", {"url": api.url})
    assert len(api.requests) == 1


def test_no_server_is_a_sentence(run_source: Run) -> None:
    with pytest.raises(ServerError, match=r"no server answers at http://127.0.0.1:\d+: check http.url and the network"):
        run_source("http", {"url": f"http://127.0.0.1:{ports.reserve()}/rows"})


@pytest.fixture
def other() -> Iterator[Api]:
    with Api(lambda asked: document([{"x": 7}])) as api:
        yield api


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"token_env": "SECRET"}, "Authorization", "Bearer hunter2"),
        ({"token_env": "SECRET", "header": "X-Api-Key"}, "X-Api-Key", "hunter2"),
        ({"token_env": "SECRET", "scheme": "Token"}, "Authorization", "Token hunter2"),
        ({"user": "me", "password_env": "SECRET"}, "Authorization", f"Basic {b64encode(b'me:hunter2').decode()}"),
    ],
)
def test_credentials_go_to_the_api_alone(
    auth: dict[str, str],
    header: str,
    value: str,
    api: Api,
    other: Api,
    run_source: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    api.answer = lambda asked: {
        "/rows": Reply(status=302, headers={"Location": "/moved"}),
        "/moved": document([{"x": 1}], Link=f'<{api.url}/away>; rel="next"'),
        "/away": Reply(status=307, headers={"Location": f"{other.url}/page"}),
    }[asked.path]
    options = {"url": f"{api.url}/rows", "auth": auth, "paging": {"by": "link"}, "headers": {"X-Tenant": "a"}}
    found = run_source("http", options)
    assert numbers(found) == [1, 7]
    assert [asked.headers.get(header) for asked in api.requests] == [value] * 3
    (asked,) = other.requests
    assert header not in asked.headers
    assert "X-Tenant" not in asked.headers
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter2" not in everything
    assert "hunter2" not in json.dumps(found.metadata)


def test_redirects_without_end(api: Api, run_source: Run) -> None:
    api.answer = lambda asked: Reply(status=302, headers={"Location": "/again"})
    with pytest.raises(ServerError, match="more than 5 redirects for a page"):
        run_source("http", {"url": api.url})


def test_a_token_of_oauth_is_renewed_half_way(
    api: Api, other: Api, run_source: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "hunter2")
    tokens: list[str] = []

    def token(asked: Asked) -> Reply:
        assert asked.headers["Authorization"] == f"Basic {b64encode(b'me:hunter2').decode()}"
        assert asked.body == b"grant_type=client_credentials&scope=read"
        tokens.append(f"token-{len(tokens)}")
        return document({"access_token": tokens[-1], "expires_in": 3600, "token_type": "Bearer"})

    def rows(asked: Asked) -> Reply:
        page = int(asked.query["page"])
        if asked.headers.get("Authorization") != f"Bearer {tokens[-1]}" or (page == 2 and len(tokens) == 1):
            return Reply(status=401)
        return document([{"x": page}] if page < 4 else [])

    other.answer, api.answer = token, rows
    auth = {"token_url": f"{other.url}/token", "client_id": "me", "client_secret_env": "CLIENT_SECRET", "scope": "read"}
    options = {"url": api.url, "paging": {"by": "page"}, "auth": auth}
    assert numbers(run_source("http", options)) == [1, 2, 3]
    assert tokens == ["token-0", "token-1"]
    other.answer = lambda asked: Reply(b'{"error": "invalid_client"}', status=401)
    with pytest.raises(ServerError, match=rf"{other.url} wants a sign-in \(401\): .* http.auth.token_url"):
        run_source("http", options)
    other.answer = lambda asked: document({"token": "x"})
    with pytest.raises(ServerError, match="expected JSON with an access_token"):
        run_source("http", options)


def test_requests_go_through_a_proxy(other: Api, run_source: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", other.url)
    monkeypatch.delenv("no_proxy", raising=False)
    assert numbers(run_source("http", {"url": "http://api.example.com/rows"})) == [7]
    assert other.requests[0].headers["Host"] == "api.example.com"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": "ftp://x"}, "http.url: expected an address that begins with http:// or https://"),
    ({"url": "http://me:pw@x"}, "http.url: expected an address without a user and a password"),
    ({"format": "xml"}, "http.format: expected json, json_lines, csv, received 'xml'"),
    ({"formaat": "csv"}, "http: unknown key 'formaat'; did you mean 'format'"),
    ({"format": "csv", "records": "a"}, "http.records: expected none for csv"),
    ({"format": "csv", "columns": ["a"]}, "http.columns: expected none for csv"),
    (
        {"format": "csv", "paging": {"by": "cursor", "at": "next"}},
        "http.paging.by: expected link, offset or page for csv",
    ),
    (
        {"paging": {"by": "magic"}},
        "http.paging.by: expected one of link, next_url, cursor, offset, page, received 'magic'",
    ),
    ({"auth": {"user": "me", "token_env": "X"}}, "http.auth: expected one of token_env .* received token, user"),
    ({"auth": {"token_env": "NONE"}}, "http.auth.token_env: the environment variable NONE is not set"),
    ({"timeout": "soon"}, "http.timeout: expected a whole number of seconds, 1 or more, received 'soon'"),
    ({"ca_cert": "/none.pem"}, "ca_cert: /none.pem: No such file or directory"),
]


@pytest.mark.parametrize(("options", "error"), WRONG)
def test_options_that_do_not_fit(options: dict[str, Any], error: str, run_source: Run) -> None:
    with pytest.raises(ConfigError, match=error):
        run_source("http", {"url": "http://api.example.com", **options})


def test_a_label_that_no_row_has(api: Api, run_source: Run) -> None:
    api.answer = lambda asked: document([{"tips": 1}])
    with pytest.raises(UserError, match=r"label 'tip' does not exist; did you mean 'tips'\?"):
        run_source("http", {"url": api.url}, label="tip")


def test_columns_that_change_between_two_runs_are_read_as_they_are(api: Api, run_source: Run) -> None:
    api.answer = lambda asked: document([{"x": 1}])
    first = run_source("http", {"url": api.url})
    api.answer = lambda asked: document([{"x": "one", "y": 2}])
    second = run_source("http", {"url": api.url})
    assert second.rows() == [{"x": "one", "y": 2}]
    assert second.found.fingerprint != first.found.fingerprint
