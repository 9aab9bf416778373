"""What a killed process leaves is removed by the next one, and what a living one writes is not."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core import processes
from penstock.core.files import atomic, temporary

_MACHINE = processes.name().partition("-")[0]


@pytest.fixture
def gone() -> str:
    """The name of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return f"{_MACHINE}-{child.pid}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's place for temporary files, of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(path: Path) -> Path:
    os.utime(path, (1, 1))
    return path


def test_a_folder_goes_with_its_context(place: Path) -> None:
    with temporary.folder() as folder:
        (folder / "file").touch()
        assert folder.parent == place
    assert not list(place.iterdir())


def test_folders_of_processes_that_ended_are_removed(place: Path, gone: str) -> None:
    names = {name: place / f"penstock-{name}-abc" for name in (gone, f"{_MACHINE}-{os.getpid()}", "00000000-7")}
    for folder in (*names.values(), place / "penstock-ports", place / "penstock-docker-abc123"):
        (folder / "deep").mkdir(parents=True)
    aged(place / "penstock-ports")
    with temporary.folder():
        pass
    left = {path.name for path in place.iterdir()}
    assert left == {path.name for name, path in names.items() if name != gone} | {
        "penstock-ports", "penstock-docker-abc123"
    }, "what lives, what another machine has left today, and what is not ours"  # fmt: skip


def test_workspaces_of_killed_runs_are_removed(tmp_path: Path, gone: str) -> None:
    for name in (f".workspace-{gone}-x", ".workspace-abc123", ".workspace-new123", "small-2026"):
        (tmp_path / name).mkdir()
    aged(tmp_path / ".workspace-abc123")  # named as earlier versions did
    with temporary.folder(tmp_path, ".workspace-"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".workspace-new123", "small-2026"]


def test_a_folder_that_is_written_to_again_loses_what_was_left(tmp_path: Path, gone: str) -> None:
    folder = tmp_path / "serving"
    folder.mkdir()
    (folder / f".model.json.{gone}.tmp").touch()
    (folder / f".Split-train.{gone}.tmp").mkdir()
    aged(folder / f".Split-train.{gone}.tmp")
    alive, hidden = folder / f".other.{_MACHINE}-{os.getppid()}.tmp", folder / ".users.tmp"
    for path in (alive, hidden):
        path.touch()
        aged(path)
    atomic.write_text(folder / "model.json", "{}")
    assert sorted(path.name for path in folder.iterdir()) == sorted(["model.json", alive.name, hidden.name])


def test_what_an_interrupted_task_left_is_removed_at_any_depth(tmp_path: Path, gone: str) -> None:
    inside = tmp_path / "transform_graph"
    inside.mkdir()
    for name in (f".scratch.{gone}.tmp", ".old.4711.tmp", ".new.4711.tmp", ".elsewhere.00000000-7.tmp"):
        (inside / name).touch()
    aged(inside / ".old.4711.tmp")
    temporary.remove_leftovers(tmp_path)
    assert sorted(path.name for path in inside.iterdir()) == [".elsewhere.00000000-7.tmp", ".new.4711.tmp"]


def test_long_names_stay_within_what_a_file_system_takes(tmp_path: Path) -> None:
    name = "ü" * 127
    atomic.write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


def test_a_scratch_folder_goes_and_takes_an_earlier_ones_place(tmp_path: Path, gone: str) -> None:
    (tmp_path / f".scratch.{gone}.tmp").mkdir()
    with atomic.scratch(tmp_path) as folder:
        (folder / "half").touch()
        assert list(tmp_path.iterdir()) == [folder]
    assert not list(tmp_path.iterdir())
