"""What is at a path that is neither a file nor a folder: a pipe, a socket, a device, a link that leads nowhere.

Reading a pipe may wait for ever, a device may have no end, and neither can be read again. Standard library only.
"""

import os
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special(path: Path) -> str:
    """Returns what is at a path, such as "a named pipe"; "" for a file, a folder, and where there is nothing."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "")
    except (OSError, ValueError):
        return "a link that leads nowhere" if os.path.islink(path) else ""
