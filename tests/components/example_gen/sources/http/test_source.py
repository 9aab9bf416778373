"""APIs as a source: pages, formats, what is kept, and what is asked again."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.services import retries
from tests.components.example_gen.sources.conftest import SourceRun
from tests.servers.api import Api, Asked, Reply

Run = Callable[..., SourceRun]
ROWS = [{"x": number, "y": f"text {number % 3}", "z": {"w": number / 2}} for number in range(25)]
EXPECTED = [{"x": row["x"], "y": row["y"], "z.w": row["z"]["w"]} for row in ROWS]  # type: ignore[index]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with Api(lambda asked: Reply()) as api:
        yield api


@pytest.fixture
def api(server: Api) -> Api:
    server.requests.clear()
    return server


def document(value: Any, **headers: str) -> Reply:
    return Reply(json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def paged(asked: Asked) -> Reply:
    """25 rows, 10 a page, by every way of paging."""
    start = int(asked.query.get("offset") or asked.query.get("cursor") or 10 * (int(asked.query.get("page", 1)) - 1))
    rows, after = ROWS[start : start + 10], start + 10
    more = after < len(ROWS)
    following = f"/rows?cursor={after}" if more else ""
    link = {"Link": f'</rows?page=1>; rel="first", <{following}>; rel="next"'} if more else {}
    return document({"data": {"items": rows}, "cursor": after if more else None, "next": following}, **link)


@pytest.mark.parametrize(
    ("paging", "pages"),
    [
        ({"by": "link"}, 3),
        ({"by": "next_url"}, 3),
        ({"by": "cursor", "at": "cursor"}, 3),
        ({"by": "offset"}, 4),
        ({"by": "page", "size": 10, "size_parameter": "per_page"}, 4),
    ],
    ids=lambda value: value["by"] if isinstance(value, dict) else "",
)
def test_every_way_of_paging_gives_all_rows(paging: dict[str, Any], pages: int, api: Api, run_source: Run) -> None:
    api.answer = paged
    found = run_source("http", {"url": f"{api.url}/rows", "records": "data.items", "paging": paging})
    assert found.rows() == in_order(EXPECTED)
    assert len(api.requests) == pages
    assert json.loads(found.metadata["origin"])["pages"] == "3"


def test_json_lines_and_csv(api: Api, run_source: Run) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    api.answer = lambda asked: Reply(gzip.compress(lines), {"Content-Encoding": "gzip"})
    assert run_source("http", {"url": api.url, "format": "json_lines"}).rows() == in_order(EXPECTED)
    table = "x;ä\n1;é\n2;ü\n".replace(";", ",").encode("latin-1")
    api.answer = lambda asked: Reply(table, {"Content-Type": "text/csv; charset=ISO-8859-1"})
    found = run_source("http", {"url": api.url, "format": "csv"})
    assert found.rows() == [{"x": 1, "ä": "é"}, {"x": 2, "ä": "ü"}]
