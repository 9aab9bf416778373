"""Pods without Docker: processes in a mount namespace of their own, with this environment's packages as the image.

Nothing of this machine is seen in it but the system's programs, the interpreter, the environment and the installed
package, all of it read-only. It needs root, for the mounts and for the numeric user.

Its interpreter is the environment's own, or one that has imported (tests/servers/forked.py).
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import bootstrap
from tests.servers.cluster.pods import ROOT, USER, Container, Pod, image_environment, is_root

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc")
_IMPORTED = "/opt/imported"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class ProcessPod(Pod):
    def __init__(self, name: str, folder: Path, container: Container, python: str = "") -> None:
        super().__init__(name, folder, container)
        self._imported = Path(python).parent if python else None

    def command_line(self, command: Sequence[str]) -> list[str]:
        script = "\n".join(["set -e", *self._script()])
        inner = ["sh", "-c", script, "pod", *command]
        return ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child=KILL", *inner]

    def kill_process(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()  # and with it, by --kill-child, all that is in the namespace

    def _script(self) -> Iterator[str]:
        root = shlex.quote(str(self.folder / "root"))
        yield f"mount --make-rprivate / && mkdir {root} && mount -t tmpfs -o mode=755 none {root}"
        yield f"cd {root} && mkdir -p dev proc sys old"
        yield "mount -t proc none proc && mount --rbind /sys sys && mount -t tmpfs -o mode=755 none dev"
        for device in _DEVICES:
            yield f"touch dev/{device} && mount --bind /dev/{device} dev/{device}"
        yield "mkdir -m 1777 dev/shm && mount -t tmpfs -o mode=1777 none dev/shm && ln -s /proc/self/fd dev/fd"
        for folder in _folders():
            if folder.is_symlink():
                yield f"ln -s {shlex.quote(str(folder.readlink()))} .{shlex.quote(str(folder))}"
            else:
                yield _bind(folder, str(folder), writable=False)
        for mount in self.mounts:
            yield _bind(mount.outside, mount.inside, mount.writable)
        programs = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
        if self._imported:
            yield _bind(self._imported, _IMPORTED, writable=False)
            programs = f"{_IMPORTED}:{programs}"
        yield "pivot_root . old && umount -l /old && rmdir /old && mount -o remount,ro /"
        yield f"cd {shlex.quote(image_environment()['HOME'])}"
        settings = image_environment() | {"PATH": programs} | self.environment
        settings.pop("PYTHONPATH", None)  # the package is in the environment here
        given = [f"{name}={value}" for name, value in settings.items()]
        drop = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        words = ["setpriv", "--reuid", str(USER), "--regid", str(USER), *drop, "env", "-i", *given]
        yield "set +e"
        yield f'{shlex.join(words)} "$@"'
        yield "exit $?"  # not exec: the first process of a namespace ignores what would kill it from inside


def _folders() -> Iterator[Path]:
    yield from (folder for folder in map(Path, _SYSTEM) if folder.exists())
    interpreter = Path(sys.executable).resolve()
    whole = [folder for folder in interpreter.parents if folder.name == ".toolchain"]  # with its own C library
    base = whole[0] if whole else Path(sys.base_prefix).resolve()
    if not base.is_relative_to("/usr"):
        yield base
    if sys.prefix != sys.base_prefix:
        yield Path(sys.prefix)
    yield from (ROOT / name for name in bootstrap.PACKAGES)


def _bind(outside: Path, inside: str, writable: bool) -> str:
    source, target = shlex.quote(str(outside)), f".{shlex.quote(inside)}"
    make = f"mkdir -p {target}" if outside.is_dir() else f"mkdir -p $(dirname {target}) && touch {target}"
    once = f"mount --bind {source} {target}"
    return f"{make} && {once}" + ("" if writable else f" && mount -o remount,bind,ro {target}")


def require() -> None:
    """Skips where no such pods can be made."""
    missing = [name for name in ("unshare", "setpriv", "pivot_root", "mount") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no pods here: {', '.join(missing)} not installed (apt-get install util-linux)")
    if not is_root():
        pytest.skip("no pods here: a mount namespace and a numeric user need root")
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no pods here: {done.stderr.strip()}")
