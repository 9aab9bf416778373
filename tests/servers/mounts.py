"""Buckets mounted as folders.

`as_mounted` makes this process take a folder for the mounted buckets of a scheme. `FUSE` is a script that mounts a file
system of the kernel's FUSE for real: `python -c FUSE FOLDER KIND COMMAND…` runs a command that sees it.
"""

from pathlib import Path

import pytest

from penstock.core.files import atomic

# No process answers for the file system: who only looks at the table of mounts needs none.
FUSE = """
import ctypes, os, sys
folder, kind, *command = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
if libc.mount(b"bucket", folder.encode(), kind.encode(), 0, options.encode()):
    sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
os.set_inheritable(device, True)
os.execv(command[0], command)
"""


def as_mounted(monkeypatch: pytest.MonkeyPatch, scheme: str, folder: Path, table: Path) -> None:
    """Makes `folder` the place where the buckets of a scheme are mounted, with a table of mounts that says so."""
    escaped = str(folder).replace(" ", r"\040")
    table.write_text(
        f"24 1 0:22 / / rw - ext4 /dev/vda rw\n36 24 0:39 / {escaped} rw,nosuid - fuse.gcsfuse gcsfuse rw\n"
    )
    monkeypatch.setitem(atomic._MOUNTS, scheme, folder)
    monkeypatch.setattr(atomic, "_MOUNT_TABLE", table)
