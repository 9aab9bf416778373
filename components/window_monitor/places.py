"""Where requests and earlier windows are: folders of this machine, mounted buckets, or object stores."""

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from penstock.components.monitoring.windows.window import Window
from penstock.core.artifacts import LoggedFile
from penstock.core.artifacts.monitoring import WindowHistory
from penstock.core.files import atomic, object_stores

_MARGIN = timedelta(hours=1)  # as far as windows are looked for in files that are named for other times


@contextlib.contextmanager
def request_log(uri: str, window: Window) -> Iterator[Path]:
    """Yields the folder of a request log; of one in an object store a copy of the files that the window may need."""
    if not object_stores.is_remote(uri):
        yield atomic.local_path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder, object_stores.open_store(uri) as store:
        needed = [name for name in store.files(uri) if _may_be_needed(Path(name), window)]
        store.fetch({object_stores.join(uri, name): Path(folder) / name for name in needed})
        yield Path(folder)


def _may_be_needed(path: Path, window: Window) -> bool:
    file = LoggedFile.of(path)
    return file is not None and file.end >= window.begin - _MARGIN and file.begin < window.end + _MARGIN


@contextlib.contextmanager
def history(uri: str) -> Iterator[WindowHistory]:
    """Yields the records of windows; what the body adds to those in an object store is written there at its end."""
    if not object_stores.is_remote(uri):
        yield WindowHistory(atomic.local_path(uri))
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder, object_stores.open_store(uri) as store:
        root = Path(folder)
        store.fetch({object_stores.join(uri, name): root / name for name in store.files(uri)})
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        yield WindowHistory(root)
        for path in sorted(root.rglob("*")):
            if path.is_file() and before.get(path) != (content := path.read_bytes()):
                store.write(object_stores.join(uri, path.relative_to(root).as_posix()), content)
