"""APIs as a source: pages, formats, what is kept, and what is asked again."""

import datetime
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError
from tests.components.example_gen.sources.conftest import ALL, SourceRun
from tests.components.example_gen.sources.http.conftest import document
from tests.servers.api import Api, Asked, Reply
from tests.servers.object_stores import ObjectStore

Run = Callable[..., SourceRun]
ROWS = [{"x": number, "y": f"text {number % 3}", "z": {"w": number / 2}} for number in range(25)]
EXPECTED = [{"x": row["x"], "y": row["y"], "z.w": row["z"]["w"]} for row in ROWS]  # type: ignore[index]


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


def test_tables_are_written_in_many_ways(api: Api, run_source: Run) -> None:
    pages = {"0": b"1;2,5\n-;3,5\n", "2": b"7;0,5\n", "3": b""}
    api.answer = lambda asked: Reply(pages[asked.query["offset"]])
    csv = {"delimiter": ";", "decimal_point": ",", "column_names": ["x", "y"], "null_values": ["-"]}
    options = {"url": api.url, "format": "csv", "csv": csv, "paging": {"by": "offset"}}
    assert run_source("http", options).rows() == [{"x": 1, "y": 2.5}, {"x": 7, "y": 0.5}, {"y": 3.5}]
    pages = {number: page.decode().encode("utf-16") for number, page in pages.items()}
    options["csv"] = {**csv, "encoding": "utf-16"}
    assert run_source("http", options).rows() == [{"x": 1, "y": 2.5}, {"x": 7, "y": 0.5}, {"y": 3.5}]


def test_splits_are_addresses_and_columns_are_chosen(api: Api, run_source: Run) -> None:
    api.answer = lambda asked: document([{"x": int(asked.query["year"]), "y": "a"}, {"x": 1, "y": "a"}])
    splits = [{"name": name, "pattern": f"?year={year}"} for name, year in (("train", 2024), ("eval", 2025))]
    options = {"url": f"{api.url}/rows?all=1", "columns": ["x"]}
    found = run_source("http", options, input_config=json.dumps({"splits": splits}))
    assert found.rows("train") == [{"x": 1}, {"x": 2024}]
    assert found.rows("eval") == [{"x": 1}, {"x": 2025}]


def test_spans_are_days_of_the_address(api: Api, run_source: Run) -> None:
    api.answer = lambda asked: document([{"day": asked.path, "from": asked.query.get("from", "")}])
    options = {"url": f"{api.url}/{{YYYY}}-{{MM}}-{{DD}}?from=@span_begin_timestamp"}
    days = {"static_range": {"start_span_number": "2026-01-31", "end_span_number": "2026-02-01"}}
    found = run_source("http", options, range_config=json.dumps(days))
    assert found.rows() == [
        {"day": "/2026-01-31", "from": "1769817600"},
        {"day": "/2026-02-01", "from": "1769904000"},
    ]
    assert (found.found.span, found.metadata["spans"]) == (20485, "2026-01-31, 2026-02-01")
    newest = run_source("http", options, range_config=json.dumps({"rolling_range": {"num_spans": 3}}))
    yesterday = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(1)
    assert [row["day"] for row in newest.rows()][-1] == f"/{yesterday}"
    with pytest.raises(ConfigError, match=r"expected \{YYYY\}, \{MM\} and \{DD\} in http.url, found none"):
        run_source("http", {"url": api.url}, range_config=json.dumps(days))


def test_an_unchanged_api_is_not_read_again(api: Api, run_source: Run, tmp_path: Path) -> None:
    version = {"a": 1}

    def answer(asked: Asked) -> Reply:
        tag = f'"{version["a"]}"'
        if asked.headers.get("If-None-Match") == tag and asked.path == "/a":
            return Reply(status=304, headers={"ETag": tag})
        if asked.path == "/a":
            return document([{"x": version["a"]}], ETag=tag, Link='</b>; rel="next"')
        moment = "Wed, 21 Oct 2026 07:28:00 GMT"
        if asked.headers.get("If-Modified-Since") == moment:
            return Reply(status=304)
        return Reply(b'[{"x": 7}]', {"Last-Modified": moment})

    api.answer = answer
    options = {"url": f"{api.url}/a", "paging": {"by": "link"}, "keep": 2}
    first = run_source("http", options)
    again = run_source("http", options)
    assert again.found == first.found
    assert again.content() == first.content()
    assert [asked.headers.get("If-None-Match") for asked in api.requests] == [None, None, '"1"', None]
    version["a"] = 2
    changed = run_source("http", options)
    assert changed.found.fingerprint != first.found.fingerprint
    assert [row["x"] for row in changed.rows()] == [2, 7]
    version["a"] = 3
    run_source("http", options)
    (kept,) = tmp_path.glob("state/http-*")
    assert len(list((kept / "snapshots").iterdir())) == 2
    assert len(list((kept / "content").iterdir())) == 3


def test_a_rerun_reads_what_was_read(api: Api, run_source: Run, tmp_path: Path) -> None:
    api.answer = lambda asked: document([{"x": 1}])
    found = run_source("http", {"url": api.url})
    api.answer = lambda asked: document([{"x": 2}])
    parameters = {"input_base": json.dumps({"http": {"url": api.url}}), **found.found._asdict()}
    executor.run(examples=str(tmp_path / "again"), engine="local:1", output_config=ALL, **parameters)
    again = SourceRun(found.found, artifacts.Examples(tmp_path / "again"), {})
    assert again.content() == found.content()
    (content,) = tmp_path.glob("state/http-*/content/*")
    content.write_bytes(b'{"x": 3}\n')
    with pytest.raises(DataError, match=f"content/{content.name}: it was changed after it was written"):
        executor.run(examples=str(tmp_path / "third"), engine="local:1", **parameters)
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(ConfigError, match="what was read is not kept any more: run the whole pipeline again"):
        executor.run(examples=str(tmp_path / "fourth"), engine="local:1", **parameters)


def test_pages_are_kept_in_a_bucket(api: Api, run_source: Run, object_store: ObjectStore) -> None:
    api.answer = paged
    options = {"url": f"{api.url}/rows", "records": "data.items", "paging": {"by": "link"}}
    found = run_source("http", options, state=object_store.uri("state"))
    assert found.rows() == in_order(EXPECTED)
    assert run_source("http", options, state=object_store.uri("state")).found == found.found


def test_types_that_differ_between_pages(api: Api, run_source: Run) -> None:
    pages = [[{"x": 1, "y": None}], [{"x": 2.5, "y": "late"}], [{"x": None, "z": [1, 2]}], []]
    api.answer = lambda asked: document(pages[int(asked.query["page"]) - 1])
    options = {"url": api.url, "paging": {"by": "page"}}
    assert run_source("http", options).rows() == [{"x": 1.0}, {"x": 2.5, "y": "late"}, {"z": [1, 2]}]
    pages[1] = [{"x": "text"}]
    with pytest.raises(DataError, match=r"page=2.*: column 'x': expected numbers, as in other rows, found text"):
        run_source("http", options)
