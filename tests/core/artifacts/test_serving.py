"""The names of a request log's files: they sort by time, and say which window they belong to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.core.artifacts import LoggedFile, RequestLog

NOON = datetime(2026, 11, 30, 12, 0, 0, 250, UTC)
MINUTE = timedelta(minutes=1)


def write(log: RequestLog, begin: datetime, end: datetime, process: str = "pod_a-1", number: int = 1) -> Path:
    path = log.path(log.folder("taxi", 3, "serving_default"), begin, end, process, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_a_name_has_the_times_the_process_and_a_number(tmp_path: Path) -> None:
    path = write(RequestLog(tmp_path), NOON, NOON + MINUTE)
    assert path.relative_to(tmp_path).as_posix() == (
        "taxi/3/serving_default/2026-11-30/20261130T120000.000250Z_20261130T120100.000250Z_pod_a-1_000001.tfrecord.gz"
    )
    assert LoggedFile.of(path) == LoggedFile(path, NOON, NOON + MINUTE, "pod_a-1")
    assert LoggedFile.of(path.with_name(f".{path.name}.3f2a9c1e-1.tmp")) is None
    assert LoggedFile.of(path.with_name("README")) is None


def test_a_window_has_the_files_that_reach_into_it(tmp_path: Path) -> None:
    log = RequestLog(tmp_path)
    other_pod = write(log, NOON, NOON, "pod_b-1")
    first = write(log, NOON, NOON + MINUTE)
    second = write(log, NOON + MINUTE * 2, NOON + MINUTE * 3, number=2)
    tomorrow = write(log, NOON + timedelta(days=1), NOON + timedelta(days=1), number=3)
    (second.parent / "notes.txt").write_text("not a prediction")

    def files(begin: datetime, end: datetime) -> list[Path]:
        return [file.path for file in log.files("taxi", 3, "serving_default", begin, end)]

    every = [file.path for file in log.files("taxi", 3, "serving_default")]
    assert every == [other_pod, first, second, tomorrow]
    assert files(NOON + MINUTE, NOON + MINUTE * 2) == [first]
    assert files(NOON + MINUTE, NOON + MINUTE * 2 + timedelta(microseconds=1)) == [first, second]
    assert files(NOON + timedelta(hours=1), NOON + timedelta(days=2)) == [tomorrow]
    assert log.files("taxi", 4, "serving_default") == []


def test_any_name_of_a_signature_is_one_folder(tmp_path: Path) -> None:
    log = RequestLog(tmp_path)
    names = ["a/b", "..", ".hidden", "ü %", "serving_default"]
    for name in names:
        folder = log.folder("taxi", 1, name)
        assert folder.parent == tmp_path / "taxi" / "1"
        folder.mkdir(parents=True)
    assert sorted(signature for _, _, signature in log.signatures()) == sorted(names)
