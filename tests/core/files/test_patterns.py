"""Patterns, and the names that look like them."""

import glob
import os
import re
from pathlib import Path

import pytest

from penstock.core.errors import DataError
from penstock.core.files import patterns

NAMES = ["data[1].csv", "data1.csv", "data*.csv", "data?.csv", "data{SPAN}.csv", "data].csv", "da[!x]ta.csv", "d^.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_exists_is_meant_by_its_name(tmp_path: Path, name: str) -> None:
    for other in NAMES:
        (tmp_path / other).touch()
    pattern = patterns.literal_below(tmp_path, name)
    assert patterns.files(tmp_path, pattern) == [name]
    assert [other for other in NAMES if re.fullmatch(patterns.translate(pattern), other)] == [name]
    assert "{" not in patterns.without_escapes(pattern)


def test_what_does_not_exist_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "data1.csv").touch()
    pattern = patterns.literal_below(tmp_path, "data[1].csv")
    assert (pattern, patterns.files(tmp_path, pattern)) == ("data[1].csv", ["data1.csv"])


@pytest.mark.parametrize("folder", ["old [1]", "{old}", "o*d"])
def test_folders_that_exist_are_meant_by_their_names(tmp_path: Path, folder: str) -> None:
    for name in (folder, "old 1", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").touch()
        (tmp_path / name / "b.csv").touch()
    everything = patterns.literal_below(tmp_path, folder)
    assert patterns.files(tmp_path, everything) == [f"{folder}/a.csv", f"{folder}/b.csv"]
    below = patterns.literal_below(tmp_path, f"{folder}/a*.csv")
    assert patterns.files(tmp_path, below) == [f"{folder}/a.csv"]
    spans = patterns.literal_below(tmp_path, f"{folder}/{{SPAN}}.csv")
    assert spans == f"{patterns.escape(folder)}/{{SPAN}}.csv"


def test_names_without_wildcards_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.csv").touch()
    for pattern in ("sub/a.csv", "sub/*.csv", "none.csv", "*"):
        assert patterns.literal_below(tmp_path, pattern) == pattern
    assert patterns.literal_below(tmp_path, "sub") == "sub/*", "a folder is the files in it"


@pytest.mark.parametrize("pattern", ["[]a]x", "[!]a]x", "[a^]x", "[]x", "[[]x", "[^a]x", "[a-c]x", "[!a-c]x", "?[]]"])
def test_sets_are_those_of_the_library(tmp_path: Path, pattern: str) -> None:
    """An object store is searched by the expression, a folder by Python's glob."""
    names = ["ax", "bx", "]x", "^x", "[x", "[]x", "x]", "dx"]
    for name in names:
        (tmp_path / name).touch()
    matches = sorted(glob.glob(pattern, root_dir=tmp_path))
    assert sorted(name for name in names if re.fullmatch(patterns.translate(pattern), name)) == matches


def test_what_is_no_file_is_not_left_out_silently(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / ".hidden.csv")
    (tmp_path / "_mark.csv").symlink_to("nowhere")
    assert patterns.files(tmp_path, "*.csv") == ["a.csv"]
    (tmp_path / "b.csv").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"b.csv is a link that leads nowhere: expected a file; remove it, or name a p"):
        patterns.files(tmp_path, "*.csv")
    (tmp_path / "b.csv").unlink()
    os.mkfifo(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"b.csv is a named pipe: expected a file"):
        patterns.files(tmp_path, "*")
