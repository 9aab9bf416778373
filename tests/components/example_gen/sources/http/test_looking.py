"""`penstock validate --data` asks an API for one page, and keeps nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen.sampling import http as http_sample
from tests.components.example_gen.sources.http.conftest import document
from tests.servers import ports
from tests.servers.api import Api, Reply

Look = Callable[..., str]
ROWS = [{"x": row % 2, "fare": row / 2, "city": "Bonn" if row % 9 else "bonn"} for row in range(60)]


def test_one_page_is_asked_for(api: Api, look: Look, tmp_path: Path) -> None:
    api.answer = lambda asked: document({"items": ROWS, "next": 2})
    paging = {"by": "cursor", "at": "next", "size": 60}
    told = look({"http": {"url": f"{api.url}/trips", "records": "items", "paging": paging}})
    columns = "x (integers), fare (numbers with decimals), city (text)"
    assert f"data: 60 rows looked at; columns: {columns}\n" in told
    assert "cleaning.rules may have {rule: values, columns: [city], mapping: {bonn: Bonn}}" in told
    assert [asked.query for asked in api.requests] == [{"limit": "60"}]
    assert [path.name for path in tmp_path.iterdir()] == ["look.yaml"]


def test_each_split_is_a_page_of_its_newest_day(api: Api, look: Look) -> None:
    api.answer = lambda asked: document(ROWS)
    days = {"static_range": {"start_span_number": "2026-01-30", "end_span_number": "2026-01-31"}}
    splits = {"train": "?in=a&day={YYYY}-{MM}-{DD}", "eval": "?in=b&day={YYYY}-{MM}-{DD}"}
    look({"http": {"url": api.url}, "splits": splits, "range_config": days})
    assert [asked.query["day"] for asked in api.requests] == ["2026-01-31", "2026-01-31"]
    assert [asked.query["in"] for asked in api.requests] == ["a", "b"]


def test_of_a_long_answer_the_beginning_is_taken(api: Api, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole rows of it, also where a cell holds ends of lines."""
    monkeypatch.setattr(http_sample, "_MOST", 1 << 17)
    line = json.dumps({"x": 1, "text": "." * 1000}).encode() + b"\n"
    body = line.replace(b"1,", b"0,", 1) + line * 2000
    api.answer = lambda asked: Reply(body, {"Content-Type": "application/x-ndjson"})
    told = look({"http": {"url": api.url, "format": "json_lines"}})
    assert "rows looked at; columns: x (integers), text (text)" in told
    table = b"x,text\n" + b"0,a\n" + b'1,"a\nb"\n' * 100_000
    api.answer = lambda asked: Reply(table, {"Content-Type": "text/csv"})
    assert "rows looked at; columns: x (integers), text (text)" in look({"http": {"url": api.url, "format": "csv"}})


def test_what_a_run_would_fail_with_is_told(api: Api, look: Look) -> None:
    data = {"http": {"url": f"{api.url}/trips?token=abc123secret"}}
    api.answer = lambda asked: document(ROWS)
    assert "label 'y' does not exist; the columns are" in look(data, label="y", code=2)
    api.answer = lambda asked: document([])
    assert "no row: expected at least one" in look(data, code=2)
    api.answer = lambda asked: Reply(b'{"message": "no such list"}', {"Content-Type": "application/json"}, status=404)
    told = look(data, code=2)
    assert f"the API has no page for GET {api.url}/trips?token=*** (404: no such list): open the address" in told
    assert "some APIs also say so to who does not sign in (http.auth)" in told
    api.answer = lambda asked: Reply(b"", status=503)
    assert "failed (503): try again later" in look(data, code=2)
    away = {"http": {"url": f"http://127.0.0.1:{ports.reserve()}/rows"}}
    assert "no server answers at http://127.0.0.1:" in look(away, code=2)


def test_a_page_that_names_no_next_one_is_told(api: Api, look: Look) -> None:
    api.answer = lambda asked: document({"items": ROWS, "meta": {"nextCursor": "a"}})
    http = {"url": api.url, "records": "items", "paging": {"by": "cursor", "at": "meta.next_cursor"}}
    told = look({"http": http})
    assert "http.paging.at: the first page has no 'meta.next_cursor'; did you mean 'nextCursor'?" in told


def test_an_api_may_be_left_alone(api: Api, look: Look) -> None:
    told = look({"http": {"url": api.url, "may_be_looked_at": False}})
    assert told == "data: not looked at, for http.may_be_looked_at is false\n"
    assert api.requests == []


@pytest.mark.parametrize(
    ("paging", "sentence"),
    [
        ({"by": "cursor"}, "data.http.paging: at: it is missing: expected the keys down to the cursor in the answer"),
        ({"by": "page", "at": "next"}, "at: expected none with by: page, which does not look into the answer"),
        ({"by": "link", "parameter": "page"}, "parameter: expected none with by: link, which gives the whole address"),
    ],
)
def test_paging_that_cannot_be_is_told_before_anything_is_asked(
    paging: dict[str, Any], sentence: str, api: Api, look: Look
) -> None:
    assert sentence.removeprefix("data.http.paging: ") in look({"http": {"url": api.url, "paging": paging}}, code=2)
    assert api.requests == []
