"""Objects of stores whose buckets are not mounted: gs:// through gcsfs, s3:// and minio:// through s3fs.

This is the only module that knows fsspec, which it imports when a store is opened: compiling to a local folder does not
need it. Each store has its own event loop and connections, which end with it. So no thread of fsspec is alive when a
process forks.

    with open_store("gs://bucket") as store:
        store.write("gs://bucket/folder/name", b"content")
"""

import contextlib
import errno
import functools
import importlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from penstock.core.errors import ConfigError, NoCredentials, PenstockError, SystemFailure, UserError
from penstock.core.files import atomic

if TYPE_CHECKING:
    import asyncio

    from fsspec.asyn import AsyncFileSystem

_URI = re.compile(r"(?P<scheme>gs|s3|minio)://(?P<bucket>[^/]*)/?(?P<key>.*)", re.DOTALL)
_LIBRARIES = {"gs": "gcsfs", "s3": "s3fs", "minio": "s3fs"}
_CREDENTIALS = {
    "gs": "`gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
}
# Errors by the names of their classes, because the libraries that define them may not be installed.
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ProfileNotFound"}
_REFUSED_CREDENTIALS = {"RefreshError", "TokenRetrievalError", "UnauthorizedSSOTokenError", "CredentialRetrievalError"}
_UNREACHABLE = {"EndpointConnectionError", "ConnectTimeoutError", "TransportError", "FSTimeoutError"}
# What fsspec's libraries make of an answer that another wrote the object at the same time.
_CONFLICTS = (errno.EBUSY, errno.EIO, errno.EINVAL)


@dataclass(frozen=True)
class Entry:
    """An object: its size in bytes, and a tag that changes with its content (a checksum, else the time of writing)."""

    size: int
    tag: str


def is_remote(uri: str) -> bool:
    """Whether `uri` is in an object store whose buckets are not mounted here."""
    return bool(_URI.match(uri)) and not atomic.is_mounted(uri)


def join(uri: str, name: str) -> str:
    """Returns the URI of `name` below a folder's URI, whether that ends in a slash or not."""
    return f"{uri.rstrip('/')}/{name}"


def import_for(text: str) -> None:
    """Imports what reads the stores that a text names, so that each of the processes that are forked need not.

    A library that is missing is told of where it is used.
    """
    for library in {library for scheme, library in _LIBRARIES.items() if f"{scheme}://" in text}:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)


@contextlib.contextmanager
def open_store(uri: str) -> Iterator["Store"]:
    """Yields the store that `uri` is in. It takes any URI of the same scheme.

    Its methods raise a UserError if a bucket or an object does not exist, or if credentials are missing or do not
    permit the operation. The same if the address of a MinIO server is not set, or the library is not installed. They
    raise a SystemFailure if the store cannot be reached.
    """
    import asyncio  # slow to import, and most runs open no store

    scheme = _parts(uri)[0]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="penstock-store", daemon=True)
    thread.start()
    store: Store | None = None
    try:
        with _explained(uri):
            store = _gcs(loop) if scheme == "gs" else _s3(loop, uri)
        yield store
    finally:
        if store is not None:
            asyncio.run_coroutine_threadsafe(store.close(), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Store:
    """The objects of a store by their URIs. A folder is a prefix that ends in a slash: it exists with its objects."""

    def __init__(self, filesystem: "AsyncFileSystem"):
        self._filesystem = filesystem

    def files(self, folder: str) -> dict[str, Entry]:
        """Returns every object at any depth below a folder, by its path below it, sorted.

        It makes one request per thousand objects. Raises a ConfigError if there is no such bucket.
        """
        path = _path(folder)
        with _explained(folder):
            try:
                objects = self._filesystem.find(path, detail=True)
            except FileNotFoundError:
                objects = {}
            if not objects:
                self._require_bucket(folder)
        below = {name.removeprefix(f"{path}/"): entry for name, entry in objects.items() if name.startswith(f"{path}/")}
        return {name: _entry(entry) for name, entry in sorted(below.items()) if name and not name.endswith("/")}

    def children(self, folder: str) -> tuple[list[str], list[str]]:
        """Returns the names of the objects and of the subfolders directly in a folder, each sorted.

        Raises a ConfigError if there is no such bucket.
        """
        path = _path(folder)
        with _explained(folder):
            try:
                entries = self._filesystem.ls(path, detail=True)
            except FileNotFoundError:
                self._require_bucket(folder)
                entries = []
        objects: list[str] = []
        subfolders: list[str] = []
        for entry in entries:
            name = entry["name"].rstrip("/").removeprefix(f"{path}/")
            if name and entry["name"].rstrip("/") != path:
                (subfolders if entry["type"] == "directory" else objects).append(name)
        return sorted(objects), sorted(subfolders)

    def is_file(self, uri: str) -> bool:
        """Whether there is an object at this URI; a folder is none."""
        with _explained(uri):
            try:
                return bool(self._filesystem.info(_path(uri))["type"] == "file")
            except FileNotFoundError:
                return False

    def read(self, uri: str) -> bytes:
        """Returns the content of an object; a ConfigError if there is none."""
        with _explained(uri):
            return bytes(self._filesystem.cat_file(_path(uri)))

    def open(self, uri: str) -> BinaryIO:
        """Returns an object as a file, of which only what is asked for is fetched.

        A FileNotFoundError if there is none. What fails later, while it is read, is raised as the client has it.
        """
        try:
            file: BinaryIO = self._filesystem.open(_path(uri), "rb")
        except FileNotFoundError:
            raise
        except Exception as error:
            raise _explanation(uri, error) from error
        return file

    def read_range(self, uri: str, start: int, end: int) -> bytes:
        """Returns the bytes of an object from `start` to `end`, fewer where it ends before; a ConfigError of none."""
        with _explained(uri):
            return bytes(self._filesystem.cat_file(_path(uri), start=start, end=end))

    def fetch(self, files: Mapping[str, Path]) -> None:
        """Downloads objects, several at a time: each URI to its local path, whose folder is created."""
        if not files:
            return
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with _explained(next(iter(files))):
            self._filesystem.get(list(map(_path, files)), list(map(str, files.values())))

    def write(self, uri: str, content: bytes) -> None:
        """Writes a whole object: readers see all of it or nothing."""
        with _explained(uri):
            try:
                self._filesystem.pipe_file(_path(uri), content)
            except FileNotFoundError:
                self._require_bucket(uri)
                raise

    def create(self, uri: str, content: bytes) -> bool:
        """Writes an object unless there is one of its name: of several who try at once, one does. Whether it is this.

        Stores that know no conditional requests write it in any case.
        """
        with _explained(uri):
            try:
                self._filesystem.pipe_file(_path(uri), content, mode="create")
            except FileExistsError:  # perhaps of this call, whose answer was lost, so that the client tried again
                return self.read(uri) == content
            except FileNotFoundError:
                self._require_bucket(uri)
                raise
            except OSError as error:
                if error.errno not in _CONFLICTS or not self.is_file(uri):
                    raise
                return self.read(uri) == content
        return True

    def remove(self, uri: str) -> None:
        """Removes an object; nothing happens if there is none."""
        with _explained(uri), contextlib.suppress(FileNotFoundError):
            self._filesystem.rm_file(_path(uri))

    def upload(self, path: Path, uri: str) -> None:
        """Writes a local file of any size as an object: readers see all of it or nothing."""
        with _explained(uri):
            try:
                self._filesystem.put_file(str(path), _path(uri))
            except FileNotFoundError:
                self._require_bucket(uri)
                raise

    async def close(self) -> None:
        """Ends the connections; on the store's own event loop."""
        raise NotImplementedError

    def _list_bucket(self, bucket: str) -> None:
        """Lists at most one object, which needs no other permission than reading a folder."""
        raise NotImplementedError

    def _require_bucket(self, uri: str) -> None:
        scheme, bucket, _ = _parts(uri)
        try:
            self._list_bucket(bucket)
        except FileNotFoundError:
            raise ConfigError(f"{uri}: there is no bucket {scheme}://{bucket}: make it, or correct the name") from None


class _Gcs(Store):
    async def close(self) -> None:
        if self._filesystem._session is not None:
            await self._filesystem._session.close()

    def _list_bucket(self, bucket: str) -> None:
        self._filesystem.call("GET", "b/{}/o", bucket, maxResults=1, json_out=True)


class _S3(Store):
    async def close(self) -> None:
        client = getattr(self._filesystem, "_s3creator", None)  # exists once it has connected
        if client is not None:
            await client.__aexit__(None, None, None)

    def _list_bucket(self, bucket: str) -> None:
        self._filesystem.call_s3("list_objects_v2", Bucket=bucket, MaxKeys=1)


def _gcs(loop: "asyncio.AbstractEventLoop") -> Store:
    from gcsfs.core import GCSFileSystem  # gcsfs.GCSFileSystem first asks for each bucket's type over gRPC

    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if emulator and "://" not in emulator:
        emulator = f"http://{emulator}"
    options = {"token": "anon", "endpoint_url": emulator} if emulator else {"token": "google_default"}
    return _Gcs(GCSFileSystem(loop=loop, skip_instance_cache=True, use_listings_cache=False, **options))


def _s3(loop: "asyncio.AbstractEventLoop", uri: str) -> Store:
    from aiobotocore.session import AioSession  # type: ignore[import-untyped]
    from s3fs import S3FileSystem

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    if endpoint is None and uri.startswith("minio://"):  # or Amazon would be asked for a bucket of that name
        raise ConfigError(f"{uri}: expected the MinIO server's address in AWS_ENDPOINT_URL, such as http://minio:9000")
    session = AioSession()
    session.register_component("data_loader", _descriptions())
    options = {"skip_instance_cache": True, "use_listings_cache": False, "endpoint_url": endpoint}
    return _S3(S3FileSystem(loop=loop, session=session, **options))


@functools.cache
def _descriptions() -> Any:
    """Returns the descriptions of Amazon's services: to read them takes most of the time in which a store is opened."""
    from botocore.loaders import Loader

    return Loader()


@contextlib.contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """Yields a temporary folder with a copy of everything below `uri`; it is empty if there is nothing."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        with open_store(uri) as store:
            store.fetch({join(uri, name): Path(folder) / name for name in store.files(uri)})
        yield Path(folder)


@contextlib.contextmanager
def opened(uri: str) -> Iterator[BinaryIO]:
    """Yields a file, or an object as one, of which only what is asked for is fetched.

    A FileNotFoundError if there is none. A failure of the store in the body is a PenstockError.
    """
    if not is_remote(uri):
        with open(atomic.local_path(uri), "rb") as file:
            yield file
        return
    with open_store(uri) as store, store.open(uri) as file:
        try:
            yield file
        except (PenstockError, FileNotFoundError):
            raise
        except OSError as error:
            raise _explanation(uri, error) from error


@contextlib.contextmanager
def reading(uri: str) -> Iterator[Path]:
    """Yields the path of a file, or of a temporary copy of an object in a store that is not mounted.

    A PenstockError in the body that names the copy is changed to name the object.
    """
    if not is_remote(uri):
        yield atomic.local_path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        copy = Path(folder) / uri.rpartition("/")[2]
        with open_store(uri) as store:
            store.fetch({uri: copy})
        try:
            yield copy
        except PenstockError as error:
            error.message = error.message.replace(str(copy), uri)
            raise


def _parts(uri: str) -> tuple[str, str, str]:
    match = _URI.fullmatch(uri)
    if not match or not match["bucket"]:
        raise ConfigError(f"expected gs://bucket/path, s3://bucket/path or minio://bucket/path, received {uri!r}")
    return match["scheme"], match["bucket"], match["key"].strip("/")


def _path(uri: str) -> str:
    """Returns `bucket/key`, which is fsspec's path for any scheme."""
    _, bucket, key = _parts(uri)
    return f"{bucket}/{key}" if key else bucket


def _entry(details: Mapping[str, Any]) -> Entry:
    tags = ("md5Hash", "crc32c", "ETag", "updated", "LastModified")
    return Entry(int(details["size"]), next((f"{key}={details[key]}" for key in tags if details.get(key)), ""))


@contextlib.contextmanager
def _explained(uri: str) -> Iterator[None]:
    try:
        yield
    except PenstockError:
        raise
    except ImportError as error:
        library = _LIBRARIES[_parts(uri)[0]]
        message = f"{uri}: expected a mounted bucket or a library that reads it: pip install {library}"
        raise UserError(f"{message} ({error})") from None
    except Exception as error:
        raise _explanation(uri, error) from error


def _explanation(uri: str, error: Exception) -> PenstockError:
    scheme, bucket, _ = _parts(uri)
    service = "gs" if scheme == "gs" else "s3"
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__
    names = {base.__name__ for cause in chain for base in type(cause).__mro__}
    codes = {str(getattr(cause, "code", "")) for cause in chain}
    if names & _NO_CREDENTIALS:
        return NoCredentials(f"{uri}: no credentials found: {_CREDENTIALS[service]}")
    if names & _REFUSED_CREDENTIALS or "401" in codes:
        return UserError(f"{uri}: the credentials were refused ({_short(error)}): renew them: {_CREDENTIALS[service]}")
    if isinstance(error, PermissionError) or "403" in codes or str(error).startswith("Forbidden"):
        return UserError(
            f"{uri}: permission denied (403): give this account leave to list, read and write in {scheme}://{bucket}"
        )
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"{uri} does not exist: expected an object in an existing bucket")
    if names & _UNREACHABLE or any(name.startswith("ClientConnect") for name in names):
        return SystemFailure(f"{uri}: the object store cannot be reached: {_short(error)}")
    return SystemFailure(f"{uri}: the object store failed: {type(error).__name__}: {_short(error)}")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
