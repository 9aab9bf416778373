"""What is neither a file nor a folder."""

import os
import socket
from pathlib import Path

import pytest

from penstock.core.files import kinds


def test_pipes_sockets_devices_and_links_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to-pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)  # a socket's path has at most 108 bytes
        server.bind("socket")
        special = {path.name: kinds.special(path) for path in tmp_path.iterdir()}
    assert special == {
        "pipe": "a named pipe",
        "to-pipe": "a named pipe",
        "socket": "a socket",
        "broken": "a link that leads nowhere",
        "loop": "a link that leads nowhere",
    }
    assert kinds.special(Path("/dev/null")) == "a device"


def test_files_folders_and_nothing_are_not_special(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for path in ("file", "link", "", "nothing", "file/below", "x" * 300, "a\0b"):
        assert kinds.special(tmp_path / path) == ""
