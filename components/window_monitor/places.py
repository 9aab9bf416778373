"""Where requests and earlier windows are: folders of this machine, mounted buckets, or object stores."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from penstock.components.engines import Engine
from penstock.components.monitoring.windows.files import MARGIN, Selection
from penstock.components.monitoring.windows.window import Window
from penstock.core.artifacts import CapturedData, RequestLog, open_log
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.artifacts.window_history import KeptCounts, WindowHistory
from penstock.core.files import atomic, object_stores


@contextlib.contextmanager
def request_log(uri: str, selection: Selection, window: Window, engine: Engine) -> Iterator[Path]:
    """Yields the folder of a request log; of one in an object store a copy of the files that the window may need.

    The copy is where the workers of the engine see it. It has the folders of all models and versions of the log,
    whether they were asked in the window or not.
    Raises a ConfigError if the model or the version is not in the object store.
    """
    if not object_stores.is_remote(uri):
        yield atomic.local_path(uri)
        return
    with engine.folder() as folder, object_stores.open_store(uri) as store:
        names = [PurePosixPath(name) for name in store.files(uri)]
        for name in {name.parent for name in names if len(name.parts) in (RequestLog.PARTS, CapturedData.PARTS)}:
            (folder / name).mkdir(parents=True, exist_ok=True)
        log = open_log(folder)
        needed = _needed(log, selection.resolved(log, uri), window)
        paths = {name: log.root / name for name in names}
        store.fetch({object_stores.join(uri, str(name)): path for name, path in paths.items() if needed(path)})
        yield log.root


def _needed(log: RequestLog | CapturedData, selection: Selection, window: Window) -> Callable[[Path], bool]:
    """Returns whether the window may need a file, by its path. The selection has to be resolved."""
    if isinstance(log, CapturedData):
        folders = {log.folder(*one) for one in log.variants() if selection.includes_variant(*one)}
    else:
        folders = {log.folder(*one) for one in log.signatures() if selection.includes(*one[:2])}

    def needed(path: Path) -> bool:
        if len(path.relative_to(log.root).parts) != log.PARTS or not folders & {*path.parents}:
            return False
        file = log.file(path)
        return file is not None and file.end >= window.begin - MARGIN and file.begin < window.end + MARGIN

    return needed


@dataclass(frozen=True)
class History:
    """The records of the windows of a model, or of one of its versions alone, in a folder or an object store."""

    uri: str
    version: int | None = None

    def before(self, model: str, begin: datetime, most: int, since: datetime | None = None) -> list[WindowRecord]:
        """Returns the newest windows that begin before a moment, and those that end at `since` or later."""
        with self._copy(model, lambda history, names: history.newest(names, begin, most, since)) as history:
            return history.before(model, begin, most, self.version, since)

    def named(self, model: str, begin: datetime) -> WindowRecord | None:
        """Returns the window that begins at a moment, the longest of several; None if there is none."""
        with self._copy(model, lambda history, names: history.named(names, begin)) as history:
            return next(reversed(history.at(model, begin, self.version)), None)

    def counts(self, window: WindowRecord) -> KeptCounts | None:
        """Returns the counts of a window; None if there are none."""
        wanted = WindowHistory(Path()).counts_path(window, self.version).name
        with self._copy(window["model"], lambda _, names: [name for name in names if name == wanted]) as history:
            return history.counts(window, self.version)

    @contextlib.contextmanager
    def _copy(self, model: str, chosen: Callable[[WindowHistory, list[str]], list[str]]) -> Iterator[WindowHistory]:
        """Gives the history; of one in an object store a copy of those files of the model that are chosen."""
        if not object_stores.is_remote(self.uri):
            yield WindowHistory(atomic.local_path(self.uri))
            return
        with tempfile.TemporaryDirectory(prefix="penstock-") as root, object_stores.open_store(self.uri) as store:
            copy = WindowHistory(Path(root))
            folder = copy.folder(model, self.version)
            uri = object_stores.join(self.uri, folder.relative_to(copy.root).as_posix())
            names = chosen(copy, store.children(uri)[0])
            store.fetch({object_stores.join(uri, name): folder / name for name in names})
            yield copy

    def add(self, window: WindowRecord, counts: KeptCounts | None = None) -> None:
        """Writes a window's record and its counts, in the place of earlier ones of the same window."""
        if not object_stores.is_remote(self.uri):
            WindowHistory(atomic.local_path(self.uri)).add(window, self.version, counts)
            return
        with tempfile.TemporaryDirectory(prefix="penstock-") as root, object_stores.open_store(self.uri) as store:
            for path in WindowHistory(Path(root)).add(window, self.version, counts):
                store.write(object_stores.join(self.uri, path.relative_to(root).as_posix()), path.read_bytes())
