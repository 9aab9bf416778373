"""Servers that refuse to run as root: they run as nobody, in a folder of their own."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NOBODY = 65534
_SECONDS = 30.0


@contextmanager
def folder(prefix: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Makes a folder for a server, and says as whom to start it: keywords of `subprocess`.

    It is not below pytest's own folder, which is closed to other accounts.
    """
    path = Path(tempfile.mkdtemp(prefix=prefix))
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        os.chown(path, _NOBODY, _NOBODY)
    try:
        yield path, account
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write(path: Path, text: str) -> Path:
    """Writes a file that the server reads."""
    path.write_text(text)
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)
    return path


def wait(process: "subprocess.Popen[bytes]", log: Path, ask: Callable[[], object]) -> None:
    """Waits until a server answers."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            ask()
            return
        except Exception as error:
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.05)
