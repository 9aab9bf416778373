"""Texts that anybody may have written: files that are none, and JSON that says something twice or without end."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from penstock.core.files import documents
from penstock.core.files.documents import DocumentError


def test_text_without_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert documents.read_text(tmp_path / "a.yaml") == "a: 1"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfea\x00", "found UTF-16: save it as UTF-8"),
        (b"a: \xe9", "expected UTF-8 text: invalid continuation byte at byte 3|unexpected end of data at byte 3"),
        (b"x" * 101, "expected at most .* found more"),
    ],
)
def test_what_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, sentence: str) -> None:
    monkeypatch.setattr(documents, "LARGEST", 100)
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(DocumentError, match=sentence):
        documents.read_text(tmp_path / "a.yaml")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    for path in (tmp_path / "a.yaml", Path("/dev/zero")):
        with pytest.raises(DocumentError, match=r"is a (named pipe|device): expected a file"):
            documents.read_text(path)
    with pytest.raises(IsADirectoryError):
        documents.read_text(tmp_path)


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(DocumentError, match="/proc/self/mem: it cannot be read: Input/output error"):
        documents.read_text(Path("/proc/self/mem"))


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}), ('"\\ud83d\\ude00"', "😀"), ("-12", -12)],
)
def test_json(text: str, value: Any) -> None:
    assert documents.parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' is here twice"),
        ("[" * 100_000, "expected at most 64 lists and mappings in one another"),
        ("[" * 100 + "]" * 100, "expected at most 64 lists and mappings in one another"),
        ('{"a": "\\ud800"}', "found half a character"),
        ('{"\\ud800": 1}', "found half a character"),
        ("9" * 5000, "a number of 5,000 digits"),
        ("{", "Expecting property name"),
    ],
)
def test_what_is_no_json(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        documents.parse_json(text)


def test_an_error_while_reading_names_the_file(tmp_path: Path) -> None:
    unreadable = Path("/proc/self/mem")  # it opens, and reading its first byte is an error
    with pytest.raises(OSError, match=r"it cannot be read: .*'/proc/self/mem'"), documents.reading(unreadable):
        unreadable.read_bytes()
    with pytest.raises(FileNotFoundError, match=r"No such file"), documents.reading(tmp_path / "nix"):
        (tmp_path / "nix").read_bytes()


def test_json_that_people_read() -> None:
    value = {"slice": "城市=北京", "path": "caf\udce9", "sum": [1, None]}
    text = documents.json_text(value)
    assert text == '{"slice": "城市=北京", "path": "caf\\udce9", "sum": [1, null]}'
    assert json.loads(text.encode()) == value
