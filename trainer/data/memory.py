"""How much memory this process may still take: that of the machine, or less where a container has a limit."""

import contextlib
from pathlib import Path

_MACHINE = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 writes no limit as a number near 2 ** 63


def free(machine: Path = _MACHINE, groups: Path = _GROUPS) -> int:
    """Returns the free bytes: the least of what the machine has and what each control group has left.

    Both versions of control groups are read; a container's own group is mounted at the root. A group's inactive page
    cache counts as free, since the kernel reclaims it when memory is needed.
    """
    return max(0, min([_available(machine), *_left(groups)]))


def _available(machine: Path) -> int:
    with contextlib.suppress(OSError):
        for line in machine.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
    import psutil  # type: ignore[import-untyped]  # no /proc: macOS

    return int(psutil.virtual_memory().available)


def _left(groups: Path) -> list[int]:
    files = (
        (groups / "memory.max", groups / "memory.current", groups / "memory.stat", "inactive_file"),
        (
            groups / "memory" / "memory.limit_in_bytes",
            groups / "memory" / "memory.usage_in_bytes",
            groups / "memory" / "memory.stat",
            "total_inactive_file",
        ),
    )
    left = []
    for limit_file, usage_file, stat_file, cache in files:
        with contextlib.suppress(OSError, ValueError):  # no such group; "max" is no limit
            limit = int(limit_file.read_text())
            if limit < _UNLIMITED:
                statistics = dict(line.split() for line in stat_file.read_text().splitlines())
                left.append(limit - int(usage_file.read_text()) + int(statistics.get(cache, 0)))
    return left
