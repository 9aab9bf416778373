"""Paths that no file can have, and why one that is written is not there."""

import os
from pathlib import Path

import pytest

from penstock.core.files import paths


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/a/" + "x" * 256, "a name in it has 256 bytes, and 255 is the most"),
        ("/a/" + "ä" * 128, "a name in it has 256 bytes"),
        ("/" + "x/" * 2100, "it has 4,201 bytes, and 4,095 is the most"),
        ("/a\0b", "no path has a NUL in it"),
        ("/a\udcff", "its name is not UTF-8, and no pipeline can hold it: rename it"),
    ],
)
def test_what_is_no_path(path: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        paths.check(path)


def test_the_longest_path_is_one() -> None:
    paths.check("/" + "/".join(["x" * 255] * 15))


def test_a_home_folder() -> None:
    assert paths.expanded("~/a") == Path.home() / "a"
    with pytest.raises(ValueError, match=r"~nouser/a: no home folder of a user 'nouser' is known; .* is \./~nouser/a"):
        paths.expanded("~nouser/a")


def test_why_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "file").touch()
    sentences = {
        "loop": "is a link that leads back to itself",
        "loop/a": "is a link that leads back to itself",
        "dangling": "is a link to gone, which does not exist",
        "nix": "does not exist",
        "file/a": "does not exist",
    }
    for name, sentence in sentences.items():
        with pytest.raises(ValueError, match=rf"/{name} {sentence}$"):
            paths.require(tmp_path / name)
    paths.require(tmp_path / "file")


def test_where_a_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "a" / "b", Path("/data/that/only/pods/have")):
        paths.require_folder(path)
    for path in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(ValueError, match=r"/file is a file: expected a folder"):
            paths.require_folder(path)
    with pytest.raises(ValueError, match="leads back to itself"):
        paths.require_folder(tmp_path / "loop" / "runs")
    with pytest.raises(ValueError, match="nothing can be written there"):
        paths.require_folder(Path("/proc/1/runs"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_looked_into(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(ValueError, match="may not look into"):
        paths.require(tmp_path / "closed" / "a")


def test_a_longer_name_is_shortened_to_one_of_its_own() -> None:
    first, second = (paths.shortened("ä" * 200 + end) for end in "12")
    assert first != second
    assert first.startswith("ä" * 100)
    assert len(first.encode()) <= 240
    assert paths.shortened("a" * 240) == "a" * 240
