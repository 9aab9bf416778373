"""Requests and earlier windows in object stores: what a window needs is fetched, and its record is written there."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from penstock.components.engines import open_engine
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Selection, pieces
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor import places
from penstock.components.window_monitor.places import History
from penstock.core.artifacts import RequestLog
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.errors import ConfigError
from penstock.core.files import object_stores
from tests.components.monitoring.conftest import NOON, examples, prediction, write_log
from tests.servers.object_stores import ObjectStore

__all__ = ["write_log"]
HOUR = Window(NOON, NOON + timedelta(hours=1))


def record(hour: int) -> WindowRecord:
    begin, end = (NOON + timedelta(hours=hour + more) for more in (0, 1))
    return {
        "model": "taxi", "versions": [3], "begin": begin.isoformat(), "end": end.isoformat(), "requests": 1, "rows": 1,
        "sampled": 1.0, "baseline": "", "left_out": [], "notes": [], "findings": [],
    }  # fmt: skip


def upload(log: Path, uri: str) -> None:
    with object_stores.open_store(uri) as store:
        for path in log.rglob("*.parquet"):
            store.upload(path, object_stores.join(uri, path.relative_to(log).as_posix()))


def test_only_files_that_a_window_may_need_are_fetched(
    object_store: ObjectStore, tmp_path: Path, write_log: Callable[..., Path]
) -> None:
    inputs = {"examples": np.array(examples([{"hour": [1]}]), object)}
    for after in (60, 86400):
        write_log("parquet", [prediction(inputs, after)])
    write_log("parquet", [prediction(inputs, 60, model="birds")])
    uri, taxi = object_store.uri("logs"), Selection("taxi")
    upload(tmp_path / "log", uri)
    with places.request_log(uri, taxi, HOUR, open_engine()) as folder:
        (file,) = RequestLog(folder).files("taxi", 3, "serving_default")
        assert file.begin == NOON + timedelta(seconds=60)
        assert RequestLog(folder).files("birds", 3, "serving_default") == []
    with places.request_log(str(tmp_path / "log"), taxi, HOUR, open_engine()) as folder:
        assert folder == tmp_path / "log"


def test_a_quiet_hour_of_one_of_several_models_is_empty_and_no_error(
    object_store: ObjectStore, tmp_path: Path, write_log: Callable[..., Path]
) -> None:
    inputs = {"examples": np.array(examples([{"hour": [1]}]), object)}
    write_log("parquet", [prediction(inputs, 60, model="birds")])
    write_log("parquet", [prediction(inputs, 86400)])
    uri = object_store.uri("logs")
    upload(tmp_path / "log", uri)
    for place in (uri, str(tmp_path / "log")):
        with places.request_log(place, Selection("taxi", 3), HOUR, open_engine()) as folder:
            selection = Selection("taxi", 3).resolved(RequestLog(folder))
            assert pieces(RequestLog(folder), selection, HOUR, Account()) == []
    for asked, words in (
        (Selection("taxy"), "model 'taxy' is not in"),
        (Selection("taxi", 4), "version 4 of taxi is not in"),
    ):
        with (
            pytest.raises(ConfigError, match=f"{words} {uri}"),
            places.request_log(uri, asked, HOUR, open_engine()),
        ):
            pass


def test_the_record_of_a_window_is_written_beside_those_before(object_store: ObjectStore) -> None:
    uri = object_store.uri("history")
    kept = History(uri)
    for hour in (0, 1, 1):
        assert [one["begin"] for one in kept.before("taxi", NOON + timedelta(hours=hour), 9)] == [
            record(earlier)["begin"] for earlier in range(hour)
        ]
        kept.add(record(hour))
    names = ["taxi/20261030T120000Z_20261030T130000Z.json", "taxi/20261030T130000Z_20261030T140000Z.json"]
    with object_stores.open_store(uri) as store:
        assert list(store.files(uri)) == names


def test_windows_of_one_version_stand_apart(object_store: ObjectStore, tmp_path: Path) -> None:
    for uri in (object_store.uri("history"), str(tmp_path)):
        every, first, second = History(uri), History(uri, 1), History(uri, 2)
        every.add(record(0))
        for kept, versions in ((first, [1]), (second, [2])):
            kept.add(record(0) | {"versions": versions})
        after = NOON + timedelta(hours=1)
        assert [one["versions"] for kept in (every, first, second) for one in kept.before("taxi", after, 9)] == [
            [3], [1], [2],
        ]  # fmt: skip


def test_no_more_records_are_fetched_than_are_shown(object_store: ObjectStore) -> None:
    kept = History(object_store.uri("history"))
    for hour in range(3):
        kept.add(record(hour))
    kept.add(record(0) | {"model": "birds"})
    before = kept.before("taxi", NOON + timedelta(hours=9), 1)
    assert [one["begin"] for one in before] == [record(2)["begin"]]
