"""A table's log, read by the library deltalake: versions, files, what is deleted; and its failures as sentences.

Only the process that opens a source comes here: the library survives no fork, so workers read the data files without.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from penstock.components.example_gen.sources.delta.options import DeltaOptions, Filter
from penstock.core.errors import ConfigError, DataError, PenstockError, ServerError, SystemFailure
from penstock.core.files import object_stores
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from deltalake import DeltaTable

# The library asks a store again by itself: so often, so long.
_RETRIES = {"max_retries": "3", "retry_timeout": "30s"}
_REFUSED = ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401", "Unauthorized")
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "no credential", "CredentialsNotLoaded")


@dataclass(frozen=True)
class DataFile:
    """A data file of a version: its partition's values by column, and the rows of it that are deleted, by number."""

    uri: str
    size: int
    partition: dict[str, Any]
    deleted: np.ndarray | None = None


def table(options: DeltaOptions, version: int | None = None) -> "DeltaTable":
    """Returns the table in a version, by default in that which the options name."""
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise ConfigError("Delta tables need deltalake: pip install 'penstock[delta]'") from None
    where = f"Delta table {options.path}"
    wanted = options.version if version is None else version
    place, storage = _place(options.path)
    with explained(where, options.path):
        try:
            found = _asked_again(where, options.path, lambda: DeltaTable(place, wanted, storage))
        except DataError as error:
            if wanted is None:
                raise
            newest = DeltaTable(place, None, storage).version()
            raise _no_version(where, wanted, newest, error) from None
        if wanted is None and options.timestamp:
            _load_as_of(found, options.timestamp, where)
        return found


def files(found: "DeltaTable", filters: tuple[Filter, ...], options: DeltaOptions) -> list[DataFile]:
    """Returns the data files that may have rows which fit the filters, by their names."""
    root = found.table_uri.removeprefix("file://")
    with explained(f"Delta table {options.path}", options.path):
        kept = {uri.removeprefix(root) for uri in found.file_uris(file_pruning_predicate=list(filters) or None)}
        actions = pa.table(found.get_add_actions()).select(_columns(found))
        deleted = _deleted(found, root)
    result = []
    for action in actions.to_pylist():
        name = unquote(action["path"])  # relative to the table, but for those of a shallow clone
        if name in kept:
            uri = name if "://" in name or name.startswith("/") else object_stores.join(options.path, name)
            result.append(DataFile(uri, action["size_bytes"], action.get("partition", {}), deleted.get(name)))
    return sorted(result, key=lambda file: file.uri)


def _columns(found: "DeltaTable") -> list[str]:
    return ["path", "size_bytes", *(["partition"] if found.metadata().partition_columns else [])]


def _deleted(found: "DeltaTable", root: str) -> dict[str, np.ndarray]:
    """Returns the numbers of the rows that are deleted by a deletion vector, by the files' names."""
    if "deletionVectors" not in (found.protocol().reader_features or ()):
        return {}
    result = {}
    for batch in pa.RecordBatchReader.from_stream(found.deletion_vectors()):
        for uri, keeps in zip(batch.column("filepath").to_pylist(), batch.column("selection_vector"), strict=True):
            kept = keeps.values.to_numpy(zero_copy_only=False)
            result[unquote(uri.removeprefix("file://")).removeprefix(unquote(root))] = np.flatnonzero(~kept)
    return result


def _place(path: str) -> tuple[str, dict[str, str]]:
    """Returns the place of a table as the library wants it, and how a store is found and asked."""
    if "://" not in path:
        return path, {}
    if not path.startswith(("s3://", "minio://", "gs://")):
        raise ConfigError(f"delta.path: expected a local path, s3://, minio:// or gs://, received {path!r}")
    options = dict(_RETRIES)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    if endpoint and not path.startswith("gs://"):
        options |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower()}
    return path.replace("minio://", "s3://", 1), options


def _no_version(where: str, version: int, newest: int, error: DataError) -> DataError:
    if version > newest:
        return DataError(f"{where}: there is no version {version}: the newest is {newest}")
    return DataError(
        f"{where}: version {version} cannot be read any more, its log was cleaned up ({error.message}): the newest is "
        f"{newest}"
    )


def _load_as_of(found: "DeltaTable", moment: str, where: str) -> None:
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        raise ConfigError(
            f"delta.timestamp: expected a time such as 2026-01-31T12:00:00Z, received {moment!r}"
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    found.load_as_version(time)
    begins = datetime.fromtimestamp(found.history(1)[0]["timestamp"] / 1000, UTC)
    if begins > time:  # the library takes the oldest version for any time before it
        raise DataError(f"{where}: there was no version at {moment}: the oldest that is left is of {begins:%F %T} UTC")


def _asked_again[Result](where: str, path: str, ask: Callable[[], Result]) -> Result:
    for number in range(1, retries.TRIES):
        try:
            with explained(where, path):
                return ask()
        except Unanswered as error:
            retries.pause(number, error)
    with explained(where, path):
        return ask()


@contextlib.contextmanager
def explained(where: str, path: str) -> Iterator[None]:
    """Changes an error of the library's into ours."""
    try:
        yield
    except PenstockError:
        raise
    except Exception as error:
        raise _explanation(where, path, error) from None


def _explanation(where: str, path: str, error: Exception) -> PenstockError:
    from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

    said = _short(error)
    if any(word in said for word in _NO_CREDENTIALS):
        return ServerError(f"{where}: no credentials found ({said}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if any(word in said for word in _REFUSED):
        return ServerError(f"{where}: the store refuses this account ({said}): renew its credentials or its leave")
    if isinstance(error, TableNotFoundError):
        return DataError(f"{where} does not exist; {_beside(path)}")
    if isinstance(error, DeltaProtocolError):
        return DataError(f"{where} needs more than the library reads: {said}")
    if isinstance(error, OSError):
        return Unanswered(f"{where}: the store does not answer ({said})", "check its address, or try again later")
    if isinstance(error, DeltaError):
        return DataError(f"{where}: {said}")
    return SystemFailure(f"{where} failed: {type(error).__name__}: {said}")


def _beside(path: str) -> str:
    """Says which table of the same folder is meant."""
    folder = Path(path).parent
    if "://" in path or not folder.is_dir():
        return "expected a folder with a _delta_log in it"
    return did_you_mean(Path(path).name, sorted(log.parent.name for log in folder.glob("*/_delta_log")))


def _short(error: Exception) -> str:
    """Returns what an error says on one line, without the colours of a terminal and the tree of its causes."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip(" ↳\t") for line in text.splitlines() if line.strip(" ↳\t")]
    return ": ".join(dict.fromkeys((lines[0], lines[-1])))[:300] if lines else type(error).__name__
