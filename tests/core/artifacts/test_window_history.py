"""Where the windows of models are kept: no two in one place, and what is damaged is none."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from penstock.core.artifacts.window_history import WindowHistory
from tests.components.window_monitor.test_places import record

MORNING = datetime(2026, 11, 30, tzinfo=UTC)


def test_models_and_versions_have_folders_of_their_own(tmp_path: Path) -> None:
    history = WindowHistory(tmp_path)
    places = [
        ("", None),
        ("", 2),
        ("2", None),
        ("%", None),
        (".", None),
        ("..", None),
        ("a/2", None),
        ("a", 2),
        ("a", None),
    ]
    folders = [history.folder(model, version) for model, version in places]
    assert len(set(folders)) == len(places)
    assert all(folder.resolve().is_relative_to(tmp_path) and folder != tmp_path for folder in folders)


def test_windows_before_are_the_newest_and_those_that_end_late_enough(tmp_path: Path) -> None:
    history, hours = WindowHistory(tmp_path), [record(hour) for hour in range(6)]
    for one in hours:
        history.add(one)
    begin = datetime.fromisoformat(hours[5]["begin"])
    assert history.before("taxi", begin, 2) == hours[3:5]
    assert history.before("taxi", begin, 2, since=datetime.fromisoformat(hours[1]["end"])) == hours[1:5]
    east = begin.astimezone(timezone(timedelta(hours=9)))
    assert history.before("taxi", east, 2) == hours[3:5]


def test_counts_stand_beside_their_window(tmp_path: Path) -> None:
    history, window = WindowHistory(tmp_path), record(0)
    counts = {"feature": {"miles": {"values": [1, 2], "lengths": [3], "words": []}}}
    assert history.counts(window) is None
    history.add(window, counts=counts)
    history.add(window)  # as labels come
    assert history.counts(window) == counts
    begin = datetime.fromisoformat(window["begin"])
    assert history.at(window["model"], begin) == [window]
    assert history.before(window["model"], begin, 9) == []
    assert history.all() == [window]
    history.counts_path(window).write_text("{")
    assert history.counts(window) is None
