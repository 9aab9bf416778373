"""Files that are written whole or not at all: nobody mistakes a half-written file for a finished one."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from penstock.core.errors import ConfigError
from penstock.core.files import documents
from penstock.core.files.temporary import beside

# The folder with the buckets of each scheme, one subfolder per bucket. Vertex AI mounts them below /gcs, and KFP's
# executor writes the files of an artifact there whether or not a bucket is mounted.
_MOUNTS = {"gs": Path("/gcs"), "s3": Path("/s3"), "minio": Path("/minio")}
# The errors of file systems that cannot rename a folder unless it is empty.
_NO_FOLDER_RENAME = (errno.EMFILE, errno.ENOTSUP, errno.ENOSYS)
# The errors of systems and file systems that cannot open a folder, or cannot sync one.
_NO_FOLDER_SYNC = (errno.EACCES, errno.EISDIR, errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_MOUNT_TABLE = Path("/proc/self/mountinfo")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, and renames it to `path` if the body succeeds.

    The body creates a file or a folder there. If it fails, `path` stays as it was and the temporary one is removed.

        with replacing(Path("model.json")) as temporary:
            temporary.write_text("{}")
    """
    temporary = beside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        _rename(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _rename(source: Path, target: Path) -> None:
    """Renames a file or a folder; file by file where the file system cannot rename a folder.

    A file that an engine's worker keeps elsewhere (temporary.kept_in) may have to go to another disk.

    Cloud Storage FUSE cannot, by which Vertex AI mounts buckets: its --rename-dir-limit is 0 by default. A reader could
    then see a part of the folder, but no task reads it before the task that writes it has ended.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno == errno.EXDEV and source.is_file():
            _move_to_other_disk(source, target)
            return
        if error.errno not in _NO_FOLDER_RENAME or not source.is_dir():
            raise
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            new_path = target / path.relative_to(source)
            new_path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, new_path)


def _move_to_other_disk(source: Path, target: Path) -> None:
    copy = target.with_name(source.name)
    try:
        shutil.copyfile(source, copy)
        os.replace(copy, target)
    finally:
        copy.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Yields a new folder in `folder`, on the disk of what is moved out of it; it is removed at the end."""
    temporary = beside(folder / "scratch")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a whole file under a temporary name, then renames it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes a whole UTF-8 file under a temporary name, then renames it."""
    write_bytes(path, content.encode())


def sync_folder(folder: Path) -> None:
    """Has a folder's new names written to the disk, where the file system can; an OSError if the disk fails."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def copy_tree(source: Path, target: Path, last: Sequence[str] = (), link: bool = False) -> None:
    """Copies a folder file by file, each whole or not at all.

    Files whose names are in `last` are copied last, in that order: readers may wait for them. With `link` the copies
    are hard links where the file system has them, for files that are never changed in place.
    """
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: last.index(path.name) + 1 if path.name in last else 0):
        copy = target / path.relative_to(source)
        with replacing(copy) as temporary:
            if not (link and _linked(path, temporary)):
                shutil.copyfile(path, temporary)


def _linked(path: Path, copy: Path) -> bool:
    try:
        os.link(path.resolve(), copy)
    except OSError:  # another file system, or one without hard links
        return False
    return True


def local_path(uri: str) -> Path:
    """Returns the path of a local URI (`file:///data`, `data`), or of one in an object store whose bucket is mounted.

    `gs://bucket` is mounted at `/gcs/bucket`, `s3://bucket` at `/s3/bucket`, `minio://bucket` at `/minio/bucket`.
    Raises a ConfigError for any other URI.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return Path(uri)
    if scheme == "file":
        return Path(rest)
    if is_mounted(uri):
        return _MOUNTS[scheme] / rest
    raise ConfigError(f"expected a local folder, or a bucket that is mounted, received {uri!r}")


def is_mounted(uri: str) -> bool:
    """Whether the bucket of a URI is mounted here by FUSE, as Vertex AI mounts buckets.

    That the folder exists proves nothing: Kubeflow Pipelines mounts empty ones at /gcs, /s3 and /minio into every task,
    and what is written there is lost with the task. So the type of the file system decides.
    """
    scheme, _, rest = uri.partition("://")
    if scheme not in _MOUNTS:
        return False
    kinds = _file_systems()
    root = _MOUNTS[scheme]
    kind = kinds.get(root / rest.partition("/")[0]) or kinds.get(root, "")
    return kind == "fuse" or kind.startswith("fuse.")


def _file_systems() -> dict[Path, str]:
    """Returns the type of the file system at each mount point; nothing where the system has no such table."""
    try:
        lines = _MOUNT_TABLE.read_text(errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return {}
    kinds = {}
    for line in lines:  # of two mounts at a folder the later one is visible; proc(5) describes the fields
        mount, _, file_system = line.partition(" - ")
        kinds[Path(_unescaped(mount.split(" ")[4]))] = file_system.split(" ")[0]
    return kinds


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def in_bucket(path: Path, scheme: str) -> bool:
    """Whether a path is below the folder where buckets of this scheme (`gs`, `s3`, `minio`) are mounted."""
    return path.is_relative_to(_MOUNTS[scheme])


def digest(paths: Iterable[Path], root: Path) -> str:
    """Returns the SHA-256, in hexadecimal, of the files' contents and of their paths below `root`, in any order."""
    total = hashlib.sha256()
    for path in sorted(paths):
        with documents.reading(path), open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        total.update(path.relative_to(root).as_posix().encode() + b"\0" + content)
    return total.hexdigest()
