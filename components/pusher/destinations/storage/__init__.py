"""Where versions of a model are kept: a folder, or a bucket that is not mounted, `<base>/<number>/saved_model.pb …`."""

from penstock.components.pusher.destinations.storage.filesystem import LocalFolder
from penstock.components.pusher.destinations.storage.object_store import Bucket
from penstock.components.pusher.destinations.storage.storage import Storage
from penstock.components.pusher.destinations.storage.version import Version
from penstock.core.files import atomic, object_stores

__all__ = ["Storage", "Version", "open_storage"]


def open_storage(base: str) -> Storage:
    """Returns the storage at a path or URI; a ConfigError if there can be none."""
    if object_stores.is_remote(base):
        return Bucket(base.rstrip("/"))
    return LocalFolder(atomic.local_path(base).absolute())
