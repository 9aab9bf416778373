"""Files that a flow lands: only what a manifest lists is read, and only as it says."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError, DataError, UserError
from penstock.core.files import object_stores
from tests.components.example_gen.sources.conftest import SourceRun
from tests.servers.nifi_site_to_site import PORT, NifiSiteToSite
from tests.servers.object_stores import ObjectStore

Run = Callable[..., SourceRun]


def manifest(**files: bytes) -> bytes:
    return json.dumps(
        {
            "files": [
                {"name": name.replace("__", "."), "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in files.items()
            ]
        }
    ).encode()


def lines(*numbers: int) -> bytes:
    return "".join(json.dumps({"x": number}) + "\n" for number in numbers).encode()


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


def land(folder: Path, number: int, **files: bytes) -> None:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    (folder / f"trips-{number}.manifest.json").write_bytes(manifest(**files))


def numbers(found: SourceRun) -> list[int]:
    return [row["x"] for row in found.rows()]


def test_a_manifest_is_a_span_and_only_what_it_lists_is_read(landing: Path, run_source: Run) -> None:
    land(landing, 1000, a__jsonl=lines(1, 2))
    land(landing, 2000, b__jsonl=lines(3), c__jsonl=lines(4))
    (landing / "d.jsonl").write_bytes(lines(5))  # half-landed: its manifest is not there yet
    options = {"landing": str(landing)}
    newest = run_source("nifi", options)
    assert (numbers(newest), newest.found.span) == ([3, 4], 2000)
    assert json.loads(newest.metadata["origin"])["landing"] == str(landing)
    both = run_source("nifi", options, range_config=json.dumps({"rolling_range": {"num_spans": 2}}))
    assert numbers(both) == [1, 2, 3, 4]
    assert both.metadata["spans"] == "1000, 2000"
    first = json.dumps({"static_range": {"start_span_number": 0, "end_span_number": 1500}})
    assert numbers(run_source("nifi", options, range_config=first)) == [1, 2]
    again = run_source("nifi", options)
    assert (again.found, again.content()) == (newest.found, newest.content())


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_landed_files_of_every_format(kind: str, landing: Path, run_source: Run, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"x": 1, "y": "é"}, {"x": 2, "y": None}]
    if kind == "json":
        content = json.dumps({"rows": rows}).encode()
    elif kind == "csv":
        content = "x,y\n1,é\n2,\n".encode()
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "table")
        content = (tmp_path / "table").read_bytes()
    land(landing, 1, a=content, b=content)
    options = {"landing": str(landing), "format": kind} | ({"records": "rows"} if kind == "json" else {})
    assert run_source("nifi", options).rows() == [{"x": 1, "y": "é"}] * 2 + [{"x": 2}] * 2


def test_splits_are_files_by_their_names(landing: Path, run_source: Run) -> None:
    land(landing, 1, train__jsonl=lines(1, 2), eval__jsonl=lines(3))
    splits = json.dumps({"splits": [{"name": name, "pattern": f"{name}*"} for name in ("train", "eval")]})
    found = run_source("nifi", {"landing": str(landing)}, input_config=splits)
    assert [row["x"] for row in found.rows("eval")] == [3]


def test_a_bucket_is_a_landing_folder_and_keeps_flow_files(object_store: ObjectStore, run_source: Run) -> None:
    files = {"a.jsonl": lines(1, 2), "1.manifest.json": manifest(a__jsonl=lines(1, 2))}
    assert numbers(run_source("nifi", {"landing": object_store.write(dict(files), "landing")})) == [1, 2]
    with NifiSiteToSite() as nifi:
        options = {"site_to_site": {"url": nifi.url, "port": PORT, "keep": 1}}
        for number in range(2):
            nifi.offer(lines(number))
            assert numbers(run_source("nifi", options, state=object_store.uri("state"))) == [number]
    with object_stores.open_store(object_store.uri()) as store:
        assert len([name for name in store.files(object_store.uri("state")) if "/content/" in name]) == 1


def test_splits_may_be_flows_of_their_own(landing: Path, run_source: Run, tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    land(landing, 1, a__jsonl=lines(1, 2))
    land(other, 1, a__jsonl=lines(3))
    with NifiSiteToSite() as nifi:
        nifi.offer(lines(4))
        parts = {"train": {"landing": str(landing)}, "eval": {"landing": str(other)}}
        parts["test"] = {"site_to_site": {"url": nifi.url, "port": PORT}}  # type: ignore[dict-item]
        found = run_source("splits", {name: {"nifi": part} for name, part in parts.items()}, output_config="")
    rows = {name: [row["x"] for row in found.rows(name)] for name in parts}
    assert rows == {"train": [1, 2], "eval": [3], "test": [4]}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (manifest(gone__jsonl=b"x"), r"trips-1.manifest.json lists gone.jsonl, which is not there: land the files"),
        (manifest(a__jsonl=lines(1, 2)), r"a.jsonl: expected as trips-1.manifest.json says 18 bytes, found 9"),
        (manifest(a__jsonl=lines(2)), r"a.jsonl: expected as .* says the checksum there, found another: land it again"),
        (b'{"files": []}', "files: expected at least one, found none"),
        (b'{"files": [{"name": "../a"', "expected JSON such as .*, received"),
        (b'{"files": [{"name": "../a", "size": 1}]}', r"files\[0\].name: expected a name below the landing folder"),
        (
            b'{"files": [{"name": "a.jsonl", "size": 1, "sha256": "abc"}]}',
            "expected 64 hexadecimal digits, found 'abc'",
        ),
        (b"\xff", "trips-1.manifest.json: expected JSON in UTF-8"),
    ],
)
def test_a_manifest_that_does_not_fit_is_a_sentence(text: bytes, error: str, landing: Path, run_source: Run) -> None:
    (landing / "a.jsonl").write_bytes(lines(1))
    (landing / "trips-1.manifest.json").write_bytes(text)
    with pytest.raises(DataError, match=error):
        run_source("nifi", {"landing": str(landing)})


def test_mistakes_are_sentences(landing: Path, run_source: Run) -> None:
    options: dict[str, Any] = {"landing": str(landing)}
    with pytest.raises(DataError, match=r"no manifest has landed: expected <name><number>.manifest.json"):
        run_source("nifi", options)
    land(landing, 1, a__jsonl=b"[1]\n")
    with pytest.raises(DataError, match=r"a.jsonl, record 1: expected an object with a row's columns, found '\[1\]'"):
        run_source("nifi", options)
    land(landing, 1, a__jsonl=lines(1))
    with pytest.raises(DataError, match=r"there is no column 'y'; expected one of x"):
        run_source("nifi", {**options, "columns": ["x", "y"]})
    land(landing, 2, a__jsonl=lines(1))
    with pytest.raises(DataError, match=r"a.jsonl is listed in trips-1.manifest.json and in trips-2.manifest.json"):
        run_source("nifi", options, range_config=json.dumps({"rolling_range": {"num_spans": 2}}))
    for wrong, error in (
        ({"site_to_site": {"url": "http://nifi", "port": "x"}}, "expected either landing or site_to_site"),
        ({"format": "xml"}, "nifi.format: expected json_lines, .* received 'xml'"),
        ({"formaat": "csv"}, "unknown key 'formaat'; did you mean 'format'"),
        ({"records": "a.b"}, "nifi.records: expected none for json_lines"),
    ):
        with pytest.raises(ConfigError, match=error):
            run_source("nifi", {**options, **wrong})


def test_a_manifest_that_changes_within_a_run_is_told(landing: Path, run_source: Run) -> None:
    land(landing, 1, a__jsonl=lines(1))
    found = run_source("nifi", {"landing": str(landing)})
    land(landing, 1, a__jsonl=lines(1, 2))
    with pytest.raises(UserError, match=r"trips-1.manifest.json: it has changed since the run began: run again"):
        _executed(found, landing)


def _executed(found: SourceRun, landing: Path) -> None:
    from penstock.components.example_gen import executor

    base = json.dumps({"nifi": {"landing": str(landing)}})
    out = found.examples.root.with_name("again")
    executor.run(examples=str(out), input_base=base, engine="local:1", **found.found._asdict())


def test_a_landed_file_is_looked_at_before_a_run(landing: Path, look: Callable[..., str]) -> None:
    land(landing, 1000, a__jsonl=lines(1, 2, 1, 2))
    land(landing, 2000, b__jsonl=lines(3, 4, 5), c__jsonl=lines(4, 5))
    data = {"nifi": {"landing": str(landing)}}
    assert "data: 2 rows looked at; columns: x (integers)\n" in look(data)
    assert "label 'y' does not exist; the columns are x" in look(data, label="y", code=2)
    (landing / "c.jsonl").write_bytes(lines(4, 6))
    assert "expected as trips-2000.manifest.json says the checksum" in look(data, code=2)
    pulled = {"nifi": {"site_to_site": {"url": "http://127.0.0.1:1/nifi", "port": "trips"}}}
    assert look(pulled).startswith("data: not looked at, for FlowFiles are taken out of the flow as they are read")
