"""The requests of a window: what the server has logged comes out, and what does not is counted with its reason."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import UNFINISHED, Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.requests import Requests, WindowRows
from penstock.components.monitoring.windows.window import Window
from penstock.core.artifacts import LoggedFile
from penstock.core.errors import ConfigError
from tests.components.monitoring.conftest import NOON, examples, prediction, schema

HOUR = Window(NOON, NOON + timedelta(hours=1))
ROW: dict[str, Any] = {"miles": [1.5], "hour": [9], "company": [b"blue"]}
# What a tf.SequenceExample has beside its context: a list `pages` of one step, 7.
FEATURE_LISTS = b"\x12\x12\n\x10\n\x05pages\x12\x07\n\x05\x1a\x03\n\x01\x07"
FORMS = pytest.mark.parametrize("form", ["parquet", "tfrecord"])

type WriteLog = Callable[..., Path]


TAXI = Selection("taxi")


def read(folder: Path, window: Window = HOUR, selection: Selection = TAXI) -> tuple[list[Any], Account]:
    """Returns the rows of a window as dictionaries of lists, and the account."""
    batches, account = read_batches(folder, window, selection)
    return [row for batch in batches for row in batch.features.to_pylist()], account


def read_batches(folder: Path, window: Window, selection: Selection) -> tuple[list[WindowRows], Account]:
    requests = Requests.open(folder, selection, window, Features.of(schema(), "tips"))
    account = requests.listed
    return [rows for piece in requests.pieces for rows in requests.read(piece, account)], account


def left_out(account: Account) -> dict[str, int]:
    return {f"{one['unit']}: {one['reason']}": one["count"] for one in account.left_out.listed()}


def odd(account: Account) -> dict[str, int]:
    return {f"{one['unit']}: {one['reason']}": one["count"] for one in account.odd.listed()}


@FORMS
def test_serialized_examples_come_out_as_the_schemas_columns(form: str, write_log: WriteLog, tmp_path: Path) -> None:
    several = examples([ROW, {"miles": [2.5], "company": [b"red", b"green"]}])
    write_log(form, [prediction({"examples": several}), prediction({"examples": examples([ROW])}, 5, 1, sample=0.5)])
    batches, account = read_batches(tmp_path / "log", HOUR, Selection())
    table = pa.concat_tables([pa.Table.from_batches([batch.features]) for batch in batches])
    assert table.schema == pa.schema(
        [
            ("miles", pa.large_list(pa.float32())),
            ("hour", pa.large_list(pa.int64())),
            ("company", pa.large_list(pa.large_binary())),
        ]
    )
    assert table["company"].to_pylist() == [[b"blue"], [b"red", b"green"], [b"blue"]]
    assert table["hour"].to_pylist() == [[9], None, [9]]
    about = [row for batch in batches for row in batch.about.to_pylist()]
    assert [(row["request_id"], row["row"], row["sample"]) for row in about] == [
        ("id-0", 0, 1.0), ("id-0", 1, 1.0), ("id-1", 0, 0.5),
    ]  # fmt: skip
    assert [row["time"] for row in about] == [NOON, NOON, NOON + timedelta(seconds=5)]
    assert [cell for batch in batches for cell in batch.outputs["scores"].to_pylist()] == [[0.5, 0.5]] * 3
    assert (account.requests, account.rows, account.versions, account.sampled) == (2, 3, {3: 3}, 2 / 3)
    assert left_out(account) == {}


@FORMS
def test_a_tensor_for_each_feature_is_converted_to_the_schemas_type(
    form: str, write_log: WriteLog, tmp_path: Path
) -> None:
    tensors = {
        "company": np.array([[b"blue", b"red"], [b"", b"green"]], object),
        "hour": np.array([9.0, 9.5]),
        "miles": np.array([[3], [4]], np.int32),
        "surge": np.array([1.0, 2.0]),
        "tips": np.array([1.0, 2.0]),
    }
    write_log(form, [prediction(tensors)])
    rows, account = read(tmp_path / "log")
    assert rows == [
        {"miles": [3.0], "hour": [9], "company": [b"blue", b"red"]},
        {"miles": [4.0], "hour": None, "company": [b"", b"green"]},
    ]
    assert left_out(account) == {"values: feature 'hour': expected a whole number": 1}
    assert account.unknown == {"surge": 2}  # the label is no news


@FORMS
def test_a_window_has_its_first_moment_and_not_its_last(form: str, write_log: WriteLog, tmp_path: Path) -> None:
    times = [-0.001, 0, 1800, 3599.999999, 3600]
    inputs = [examples([{"hour": [number]}]) for number in range(len(times))]
    write_log(
        form, [prediction({"examples": one}, time, n) for n, (one, time) in enumerate(zip(inputs, times, strict=True))]
    )
    rows, account = read(tmp_path / "log")
    assert [row["hour"] for row in rows] == [[1], [2], [3]]
    assert (account.rows, left_out(account)) == (3, {})


@FORMS
def test_inputs_that_are_no_examples_are_left_out_and_counted(form: str, write_log: WriteLog, tmp_path: Path) -> None:
    good = [{"miles": [float(number)], "hour": [number]} for number in range(40)]
    serialized = examples(good)
    serialized[[7, 23]] = b"\xffno example"
    write_log(form, [prediction({"examples": serialized})])
    batches, account = read_batches(tmp_path / "log", HOUR, Selection("taxi"))
    hours = [row["hour"][0] for batch in batches for row in batch.features.to_pylist()]
    assert hours == [number for number in range(40) if number not in (7, 23)]
    assert all(batch.outputs.num_rows == batch.about.num_rows == batch.features.num_rows for batch in batches)
    (entry,) = account.left_out.listed()
    assert (entry["unit"], entry["reason"], entry["count"]) == ("rows", "an input that is no tf.Example", 2)
    assert entry["example"].startswith("taxi/3/serving_default/2026-10-30/")


@FORMS
def test_of_sequences_the_context_is_measured_and_they_are_counted(
    form: str, write_log: WriteLog, tmp_path: Path
) -> None:
    """On the wire the context is where a tf.Example has its features."""
    serialized = np.array(
        [one + (FEATURE_LISTS if row % 2 else b"") for row, one in enumerate(examples([ROW] * 4))], object
    )
    write_log(form, [prediction({"examples": serialized})])
    rows, account = read(tmp_path / "log")
    assert [row["hour"] for row in rows] == [ROW["hour"]] * 4
    assert left_out(account) == {}
    (odd,) = account.odd.listed()
    assert (odd["count"], odd["unit"]) == (2, "rows")
    assert "its context is measured, and its feature_lists are not" in odd["reason"]
    assert account.unknown == {}


@FORMS
def test_a_request_whose_first_row_cannot_be_read_is_a_request(form: str, write_log: WriteLog, tmp_path: Path) -> None:
    serialized = examples([ROW, ROW])
    serialized[0] = b"\xffno example"
    write_log(form, [prediction({"examples": serialized}, sample=0.5)])
    rows, account = read(tmp_path / "log")
    assert (len(rows), account.requests, account.sampled) == (1, 1, 0.5)


@FORMS
def test_a_file_that_is_cut_gives_what_can_be_read_of_it(form: str, write_log: WriteLog, tmp_path: Path) -> None:
    rows = [
        prediction({"examples": examples([{"hour": [n], "company": [os.urandom(9_000)]}])}, n, n) for n in range(100)
    ]
    path = write_log(form, rows)
    write_log(form, [prediction({"examples": examples([ROW])}, 2)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read_rows, account = read(tmp_path / "log")
    hours = [row["hour"][0] for row in read_rows]
    before = 0 if form == "parquet" else 20  # Parquet says at its end where everything is
    assert hours[:-1] == list(range(len(hours) - 1))
    assert len(hours) > before
    assert hours[-1] == 9
    reason = "a file that is damaged or cut off; what comes before the damage is measured"
    assert left_out(account) == {f"files: {reason}": 1}


def test_columns_may_be_in_any_order_and_others_make_no_log(write_log: WriteLog, tmp_path: Path) -> None:
    path = write_log("parquet", [prediction({"examples": examples([ROW])})])
    other = write_log("parquet", [prediction({"examples": examples([ROW])}, 1)])
    table = pq.read_table(path)
    pq.write_table(table.select(table.column_names[::-1]), path)
    pq.write_table(pq.read_table(other).drop_columns(["time"]), other)
    rows, account = read(tmp_path / "log")
    assert rows == [ROW]
    (entry,) = account.left_out.listed()
    assert (entry["reason"], entry["count"]) == ("a file that is none of a request log", 1)
    assert entry["example"].endswith("there is no column 'time'")


def test_a_record_that_is_no_prediction_is_counted(write_log: WriteLog, tmp_path: Path) -> None:
    from penstock.core.examples import records

    path = write_log("tfrecord", [prediction({"examples": examples([ROW])})])
    kept = [record for batch in records.read(path) for record in batch]
    records.write(path, [b"", *kept, b"\x0a\x03abc"])
    rows, account = read(tmp_path / "log")
    assert rows == [ROW]
    assert left_out(account) == {"rows: a record that is no PredictionLog of a model server": 2}


def test_a_file_named_for_other_times_counts_by_its_rows(write_log: WriteLog, tmp_path: Path) -> None:
    path = write_log("parquet", [prediction({"examples": examples([ROW])}, 60)])
    named = LoggedFile.of(path)
    assert named is not None
    wrong = path.name.replace("20261030T120100", "20261030T114500")
    path.rename(path.with_name(wrong))
    rows, account = read(tmp_path / "log")
    assert rows == [ROW]
    reason = "a row of a time that its file's name does not have: it counts by its own time"
    assert (odd(account), left_out(account)) == ({f"rows: {reason}": 1}, {})


def test_a_server_whose_clock_is_ahead_is_told(write_log: WriteLog, tmp_path: Path) -> None:
    path = write_log("parquet", [prediction({"examples": examples([ROW])}, 600)])
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    rows, account = read(tmp_path / "log")
    assert rows == [ROW]
    reason = "a file of a server whose clock is ahead of the storage's: its rows count by their own times"
    assert (odd(account), left_out(account)) == ({f"files: {reason}": 1}, {})


def test_files_that_are_not_the_logs_are_told(write_log: WriteLog, tmp_path: Path) -> None:
    path = write_log("parquet", [prediction({"examples": examples([ROW])})])
    (path.parent / "notes.txt").write_text("mine")
    unfinished = path.parent / f".{path.name}.x.tmp"
    unfinished.write_bytes(b"PAR1")
    os.utime(unfinished, (NOON.timestamp(), NOON.timestamp()))
    write_log("parquet", [prediction({"examples": examples([ROW])}, signature="other")])
    _, account = read(tmp_path / "log")
    assert left_out(account) == {
        "files: a file of another signature than serving_default": 1,
        "files: a file that is none of a request log": 1,
        f"files: {UNFINISHED}": 1,
    }


def test_a_file_that_the_server_finishes_meanwhile_is_no_error(
    write_log: WriteLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_log("parquet", [prediction({"examples": examples([ROW])})])
    unfinished = path.parent / f".{path.name}.x.tmp"
    unfinished.write_bytes(path.read_bytes())
    os.utime(unfinished, (NOON.timestamp(), NOON.timestamp()))
    finished = path.with_name(path.name.replace("_000000", "_000009"))

    def then_finished(look: Callable[..., Any]) -> Callable[..., Any]:
        def looked(self: Path, **more: Any) -> Any:
            try:
                return look(self, **more)
            finally:
                if self == unfinished and unfinished in unfinished.parent.iterdir():
                    os.rename(unfinished, finished)

        return looked

    for name in ("is_file", "stat"):
        monkeypatch.setattr(Path, name, then_finished(getattr(Path, name)))
    _, account = read(tmp_path / "log")
    assert left_out(account) == {f"files: {UNFINISHED}": 1}


def test_an_empty_window_has_no_rows(write_log: WriteLog, tmp_path: Path) -> None:
    write_log("parquet", [prediction({"examples": examples([ROW])})])
    assert read(tmp_path / "log", Window(HOUR.begin - timedelta(hours=1), HOUR.begin))[0] == []
    (tmp_path / "empty").mkdir()
    rows, account = read(tmp_path / "empty")
    assert (rows, account.requests, account.sampled, account.left_out.listed()) == ([], 0, 1.0, [])


def test_a_version_can_be_chosen(write_log: WriteLog, tmp_path: Path) -> None:
    for version in (3, 4):
        write_log("parquet", [prediction({"examples": examples([{"hour": [version]}])}, version=version)])
    rows, account = read(tmp_path / "log")
    assert sorted(row["hour"][0] for row in rows) == [3, 4]
    assert account.versions == {3: 1, 4: 1}
    assert read(tmp_path / "log", selection=Selection("taxi", 4))[0][0]["hour"] == [4]


def test_what_cannot_be_meant_is_said(write_log: WriteLog, tmp_path: Path) -> None:
    for model in ("taxi", "birds"):
        write_log("parquet", [prediction({"examples": examples([ROW])}, model=model)])
    folder = tmp_path / "log"
    for selection, words in [
        (Selection("taxy"), "model 'taxy' is not in .*; did you mean 'taxi'?"),
        (Selection(), "model: expected one of those in .*: birds, taxi"),
        (Selection("taxi", 9), "version 9 of taxi is not in .*: expected one of 3"),
    ]:
        with pytest.raises(ConfigError, match=words):
            read(folder, selection=selection)
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere"):
        read(tmp_path / "nowhere")
