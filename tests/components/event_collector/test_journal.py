"""Journals: what is added is there, and what was cut off at any byte is not, nor anything after it."""

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.components.event_collector.journal import JournalFile, JournalWriter
from tests.components.event_collector.conftest import event


def test_what_was_left_by_the_one_before_is_known_apart(tmp_path: Path) -> None:
    carried = event("request", 1)
    JournalFile.create(tmp_path, 1, [], [])
    journal = JournalFile.create(tmp_path, 2, [carried], [event("request", 0).half])
    writer = JournalWriter(journal)
    writer.append([event("response", 1), event("request", 2)])
    writer.append([event("response", 2, body=bytes(range(256)))])
    writer.close()
    content = journal.read()
    assert content.events == [
        carried,
        event("response", 1),
        event("request", 2),
        event("response", 2, body=bytes(range(256))),
    ]
    assert (content.carried, content.finished) == ({carried.half}, {event("request", 0).half})
    assert [one.number for one in JournalFile.all(tmp_path)] == [1, 2]
    assert JournalWriter(journal).bytes == journal.bytes


def test_a_journal_that_is_cut_at_any_byte_has_what_is_whole(tmp_path: Path) -> None:
    journal = JournalFile.create(tmp_path, 1, [], [])
    writer = JournalWriter(journal)
    ends = []
    for number in (1, 2):
        writer.append([event("request", number)])
        ends.append(writer.bytes)
    whole = journal.path.read_bytes()
    for size in range(ends[0] - 3, ends[1]):
        journal.path.write_bytes(whole[:size])
        kept = [event("request", 1)] if size >= ends[0] else []
        assert journal.read().events == kept
        again = JournalWriter(journal)
        again.append([event("request", 3)])
        again.close()
        assert journal.read().events == [*kept, event("request", 3)], size


def test_a_disk_that_is_full_keeps_what_is_there_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = JournalFile.create(tmp_path, 1, [], [])
    writer = JournalWriter(journal)
    writer.append([event("request", 1)])
    write = os.pwrite

    def full(descriptor: int, content: bytes, offset: int) -> int:
        write(descriptor, content[: len(content) // 2], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        writer.append([event("request", 2), event("request", 3)])
    assert journal.read().events[0] == event("request", 1)
    monkeypatch.setattr(os, "pwrite", write)
    writer.append([event("request", 4)])
    assert [one.id for one in journal.read().events] == ["id-1", "id-4"]
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        writer.append([event("request", 5)])
    assert journal.bytes == writer.bytes  # what was refused is no damage


def test_damage_in_the_middle_is_kept_before_it_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = JournalFile.create(tmp_path, 1, [], [])
    writer = JournalWriter(journal)
    writer.append([event("request", 1)])
    whole = writer.bytes
    writer.append([event("request", 2), event("request", 3)])
    writer.close()
    content = bytearray(journal.path.read_bytes())
    content[whole + 20] ^= 1
    journal.path.write_bytes(content)
    again = JournalWriter(journal)
    again.append([event("request", 4)])
    again.close()
    assert [one.id for one in journal.read().events] == ["id-1", "id-4"]
    kept = tmp_path / f"{journal.path.name}.{whole}.damaged"
    assert kept.read_bytes() == content[whole:]
    assert f"{journal.path}: from byte {whole} on, {len(content) - whole} bytes cannot be read" in caplog.text


def test_a_second_damage_takes_nothing_from_the_first(tmp_path: Path) -> None:
    journal = JournalFile.create(tmp_path, 1, [], [])
    whole = journal.bytes
    for rest in (b"first", b"second", b"second", b"third"):
        with open(journal.path, "ab") as file:
            file.write(rest)
        JournalWriter(journal).close()
    names = [f"{journal.path.name}.{whole}{number}.damaged" for number in ("", "-2", "-3")]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"first", b"second", b"third"]
    assert len(os.listdir(tmp_path)) == 1 + len(names)


def test_damage_that_cannot_be_kept_stays_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = JournalFile.create(tmp_path, 1, [], [])
    whole = journal.bytes
    with open(journal.path, "ab") as file:
        file.write(b"damaged")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        writer = JournalWriter(journal)
        with pytest.raises(OSError, match="No space left"):
            writer.append([event("request", 1)])
        assert journal.path.read_bytes().endswith(b"damaged")
    writer.append([event("request", 1)])
    writer.close()
    assert journal.read().events == [event("request", 1)]
    assert (tmp_path / f"{journal.path.name}.{whole}.damaged").read_bytes() == b"damaged"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_journal_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception
) -> None:
    rename = os.replace

    def failing(*arguments: Path) -> None:
        if broken == "replace":
            rename(*arguments)
        raise error

    monkeypatch.setattr(os, broken, failing)
    with pytest.raises(type(error)):
        JournalFile.create(tmp_path, 1, [event("request", 1)], [])
    assert os.listdir(tmp_path) == []


def test_a_journal_whose_name_may_not_be_on_the_disk_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync

    def failing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        JournalFile.create(tmp_path, 1, [], [])
    assert os.listdir(tmp_path) == []


def test_an_events_size_is_what_it_takes(tmp_path: Path) -> None:
    writer = JournalWriter(JournalFile.create(tmp_path, 1, [], []))
    for one in (
        event("request", 1),
        replace(event("response", 2), id='\1"ä' * 900, content_type="x" * 900),
    ):
        before = writer.bytes
        writer.append([one])
        assert writer.bytes - before <= one.size <= writer.bytes - before + 60
    writer.close()
