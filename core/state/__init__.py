"""What a component remembers from run to run, in a folder or an object store; only one run works with it at a time."""

from penstock.core.files import atomic, object_stores
from penstock.core.state.folder import Folder, Kind, LocalFolder


def open_folder[State](uri: str, kind: Kind[State]) -> Folder[State]:
    """Returns the folder of a state by its path or URI."""
    if object_stores.is_remote(uri) or atomic.is_mounted(uri):  # a mounted bucket has no locks
        from penstock.core.state.store import StoreFolder

        return StoreFolder(uri, kind)
    return LocalFolder(atomic.local_path(uri), kind)
