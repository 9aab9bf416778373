"""Small files that a source remembers from run to run, in a folder of this machine or of an object store."""

from penstock.core.files import atomic, object_stores


def write(folder: str, name: str, content: bytes) -> str:
    """Writes a file, all of it or nothing; returns its path or URI."""
    uri = object_stores.join(folder, name)
    if object_stores.is_remote(uri):
        with object_stores.open_store(uri) as store:
            store.write(uri, content)
        return uri
    path = atomic.local_path(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(content)
    return uri


def read(uri: str) -> bytes | None:
    """Returns what a file holds; None if there is none."""
    try:
        with object_stores.opened(uri) as file:
            return file.read()
    except FileNotFoundError:
        return None


def remove(folder: str, name: str) -> None:
    """Removes a file; nothing happens if there is none."""
    uri = object_stores.join(folder, name)
    if object_stores.is_remote(uri):
        with object_stores.open_store(uri) as store:
            store.remove(uri)
        return
    atomic.local_path(uri).unlink(missing_ok=True)
