"""A Git repository with DVC at one commit: what it tracks, by which hashes, and the files themselves."""

import contextlib
import functools
import hashlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from penstock.components.example_gen.sources.dvc import faults
from penstock.components.example_gen.sources.dvc.options import DvcOptions
from penstock.core import progress
from penstock.core.errors import ConfigError, DataError
from penstock.core.files.data_files import RangedFile
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean

_TOGETHER = 500  # files between two words of progress


@dataclass(frozen=True)
class Tracked:
    """A file or folder of a commit.

    Args:
        commit: The commit, in full.
        hash: DVC's hash of it (`md5:…`), or of all that is in it where a folder holds what DVC tracks.
        files: The hash of each file by its name below the path, "" for the path itself where that is a file.
    """

    commit: str
    hash: str
    files: Mapping[str, str]


class Repository:
    """A repository at a revision. A folder without one is read at its HEAD, for what is not committed has no name."""

    def __init__(self, options: DvcOptions, rev: str) -> None:
        self._options, self._where = options, faults.where(options)
        self._is_here = os.path.isdir(options.repo)
        rev = rev or ("HEAD" if self._is_here else "")
        self._files = _file_system(options, rev)
        self.commit: str = self._asked(lambda: self._files.repo.get_rev())  # which is when it is cloned

    def check_committed(self) -> None:
        """Raises a DataError if the folder's own data is not that of its HEAD."""
        if not self._is_here:
            return
        from dvc.repo import Repo  # type: ignore[import-untyped]

        status = self._asked(lambda: Repo(self._options.repo).data_status(targets=[self._options.path]))
        changed = {kind: found for kind, found in status["uncommitted"].items() if kind != "deleted" and found}
        if changed or status["committed"]:
            what = "changed since `dvc add`" if changed else "not committed to Git"
            raise DataError(
                f"{self._where}: it is {what}: `dvc add` and `git commit` it, or name with rev: HEAD what is committed"
            )

    def tracked(self) -> Tracked:
        """Finds the path; a DataError with the nearest name if the commit has no such."""
        path = self._options.path
        try:
            information = self._asked(lambda: self._files.info(path))
            found = self._asked(lambda: self._files.find(path, detail=True))
        except FileNotFoundError:
            raise DataError(self._not_there()) from None
        files = {name.removeprefix(path).lstrip("/"): self._hash(name, each) for name, each in found.items()}
        if not files:
            raise DataError(f"{self._where}: it is a folder without files")
        whole = _md5(information) or _together(files)
        return Tracked(self.commit, whole, files)

    def fetch(self, names: Sequence[str], folder: Path) -> None:
        """Copies files, by their names below the path, to a folder; a path that is a file to a file of its name."""
        path = self._options.path
        for start in range(0, len(names), _TOGETHER):
            some = names[start : start + _TOGETHER]
            progress.say(f"{start:,} of {len(names):,} files fetched")
            here = [folder / (name or PurePosixPath(path).name) for name in some]
            for file in here:
                file.parent.mkdir(parents=True, exist_ok=True)
            there = [f"{path}/{name}" if name else path for name in some]
            self._asked(functools.partial(self._files.get, there, list(map(str, here))))

    def file(self, name: str) -> RangedFile:
        """Returns a file by its name below the path, of which ranges are read from where it is."""
        path = f"{self._options.path}/{name}" if name else self._options.path
        return _TrackedFile(f"dvc://{path}", self._asked(lambda: self._size(path)), self, path)

    def _size(self, path: str) -> int:
        """Returns how many bytes a file has, which DVC need not have noted."""
        known = self._files.info(path).get("size")
        if known is not None:
            return int(known)
        with self._files.open(path, "rb") as file:
            return int(file.seek(0, io.SEEK_END))

    def content(self, path: str, start: int, end: int) -> bytes:
        """Returns the bytes of a file from `start` to `end`."""

        def read() -> bytes:
            with self._files.open(path, "rb") as file:
                file.seek(start)
                return bytes(file.read(end - start))

        return self._asked(read)

    def _hash(self, name: str, information: Mapping[str, Any]) -> str:
        """Returns DVC's hash of a file, or, where Git has the file itself, a hash of it."""
        return _md5(information) or f"sha256:{hashlib.sha256(self._files.cat_file(name)).hexdigest()}"

    def _not_there(self) -> str:
        path = PurePosixPath(self._options.path)
        for folder in path.parents:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                names = [PurePosixPath(name).name for name in self._files.ls(f"/{folder}", detail=False)]
                names = [name for name in names if not name.startswith(".") and not name.endswith(".dvc")]
                missing = path.relative_to(folder).parts[0]
                here = "" if str(folder) == "." else f" in {folder}"
                return (
                    f"{self._where}: it is not tracked at {self.commit[:12]}: there is no {missing!r}{here}; "
                    f"{did_you_mean(missing, names, 'there are')}"
                )
        return f"{self._where}: it is not tracked at {self.commit[:12]}"

    def _asked[Answer](self, call: Callable[[], Answer]) -> Answer:
        """Calls DVC; again where a server does not answer. A FileNotFoundError of a path comes as it is."""
        for number in range(1, retries.TRIES + 1):
            try:
                with _quiet():
                    return call()
            except Exception as error:
                failure = faults.meaning(error, self._options, self._known)
                if failure is None:
                    raise
                if not isinstance(failure, Unanswered) or number == retries.TRIES:
                    raise failure from None
            retries.pause(number, failure)
        raise AssertionError

    def _known(self, what: str) -> list[str]:
        """Returns the names of the repository's revisions, or of its remotes."""
        if what == "remotes":
            return list(self._files.repo.config["remote"])
        with _quiet():
            scm = _file_system(self._options, "HEAD" if self._is_here else "").repo.scm
            return [*scm.list_tags(), *scm.list_branches()]


@dataclass(frozen=True)
class _TrackedFile(RangedFile):
    """A file of an open repository."""

    repository: Repository
    path: str

    def content(self, start: int, end: int) -> bytes:
        return self.repository.content(self.path, start, min(end, self.size)) if start < self.size else b""


@contextlib.contextmanager
def opened(options: DvcOptions, rev: str) -> Iterator[Repository]:
    """Gives a repository at a revision; what was cloned for it is removed at the end."""
    try:
        yield Repository(options, rev)
    finally:
        with contextlib.suppress(ImportError):
            from dvc.repo.open_repo import clean_repos  # type: ignore[import-untyped]

            clean_repos()


def _file_system(options: DvcOptions, rev: str) -> Any:
    try:
        from dvc.api import DVCFileSystem  # type: ignore[import-untyped]
    except ImportError:
        raise ConfigError("data: dvc: expected DVC: pip install 'penstock[dvc]'") from None
    from penstock.components.example_gen.sources.dvc import stores  # of which DVC is the base

    stores.register()
    return DVCFileSystem(options.repo, rev=rev or None, remote=options.remote or None)


def _md5(information: Mapping[str, Any]) -> str:
    """Returns DVC's hash, "" of what Git tracks."""
    entry = (information.get("dvc_info") or {}).get("entry")
    found = getattr(entry, "hash_info", None)
    return f"{found.name}:{found.value}" if found else ""


def _together(files: Mapping[str, str]) -> str:
    lines = "".join(f"{name}\0{hashed}\n" for name, hashed in sorted(files.items()))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps DVC's bars and its warnings off the task's log: what matters of them is an error's sentence."""
    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
