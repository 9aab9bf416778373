"""Requests and earlier windows in object stores: what a window needs is fetched, and its record is written there."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor import places
from penstock.core.artifacts import RequestLog
from penstock.core.artifacts.monitoring import WindowRecord
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


def test_only_files_that_a_window_may_need_are_fetched(
    object_store: ObjectStore, tmp_path: Path, write_log: Callable[..., Path]
) -> None:
    for after in (60, 86400):
        write_log("parquet", [prediction({"examples": np.array(examples([{"hour": [1]}]), object)}, after)])
    uri = object_store.uri("logs")
    with object_stores.open_store(uri) as store:
        for path in (tmp_path / "log").rglob("*.parquet"):
            store.upload(path, object_stores.join(uri, path.relative_to(tmp_path / "log").as_posix()))
    with places.request_log(uri, HOUR) as folder:
        (file,) = RequestLog(folder).files("taxi", 3, "serving_default")
        assert file.begin == NOON + timedelta(seconds=60)
    with places.request_log(str(tmp_path / "log"), HOUR) as folder:
        assert folder == tmp_path / "log"


def test_the_record_of_a_window_is_written_beside_those_before(object_store: ObjectStore) -> None:
    uri = object_store.uri("history")
    for hour in (0, 1, 1):
        with places.history(uri) as kept:
            assert [one["begin"] for one in kept.before("taxi", NOON + timedelta(hours=hour), 9)] == [
                record(earlier)["begin"] for earlier in range(hour)
            ]
            kept.add(record(hour))
    with object_stores.open_store(uri) as store:
        assert list(store.files(uri)) == [
            "taxi/20261130T120000Z_20261130T130000Z.json",
            "taxi/20261130T130000Z_20261130T140000Z.json",
        ]
