"""The catalogue that knows an Iceberg table, and every failure of it, or of a table's files, as one sentence.

PyIceberg talks to it. This is the only module that knows the errors of its clients: by the names of their classes,
because not each of them is installed.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from penstock.components.example_gen.sources.iceberg.options import IcebergOptions, Pinned
from penstock.core.errors import ConfigError, DataError, NoCredentials, PenstockError, ServerError, SystemFailure
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

# Reads objects in any process, forked ones too; the catalogue of SQL makes no tables where there are none.
_DEFAULTS = {"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO", "init_catalog_tables": "false"}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ProfileNotFound"}
_SIGN_IN = {
    *("UnauthorizedError", "OAuthError", "AuthorizationExpiredError", "RefreshError", "TokenRetrievalError"),
    "SignError",
}
_FORBIDDEN = {"ForbiddenError", "PermissionError"}
_PASSING = {
    *("ServiceUnavailableError", "ServerError", "TooManyRequestsError", "ConnectionError", "Timeout", "TimeoutError"),
    *("EndpointConnectionError", "HTTPClientError", "ChunkedEncodingError", "FSTimeoutError"),
    *("TTransportException", "IncompleteRead"),
}
_CODES = {
    "ExpiredToken": _SIGN_IN,
    "ExpiredTokenException": _SIGN_IN,
    "InvalidClientTokenId": _SIGN_IN,
    "InvalidSignatureException": _SIGN_IN,
    "UnrecognizedClientException": _SIGN_IN,
    "AccessDenied": _FORBIDDEN,
    "AccessDeniedException": _FORBIDDEN,
    "InternalServiceException": _PASSING,
    "ServiceUnavailable": _PASSING,
    "SlowDown": _PASSING,
    "ThrottlingException": _PASSING,
}


def table(options: IcebergOptions) -> "Table":
    """Returns a table as its catalogue has it now; it is asked again where it does not answer.

    A DataError if there is none of the name, a ConfigError for properties that do not fit.
    """
    where = f"Iceberg catalogue {options.catalog.name}"
    with explained(where):
        catalog = asked_again(where, lambda: _catalogue(options))
        return asked_again(where, lambda: _loaded(catalog, options.table))


def _catalogue(options: IcebergOptions) -> "Catalog":
    try:
        from pyiceberg.catalog import load_catalog
    except ImportError:
        raise ConfigError("Iceberg tables need PyIceberg: pip install 'penstock[iceberg]'") from None
    return load_catalog(options.catalog.name, **_DEFAULTS | options.catalog.with_secrets())


def _loaded(catalog: "Catalog", name: str) -> "Table":
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    try:
        return catalog.load_table(name)
    except (NoSuchTableError, NoSuchNamespaceError):
        namespace = tuple(name.split(".")[:-1])
        spaces = [".".join(space) for space in catalog.list_namespaces(namespace[:-1])]
        if ".".join(namespace) not in spaces:
            known = did_you_mean(".".join(namespace), spaces)
            raise DataError(f"Iceberg table {name}: there is no namespace {'.'.join(namespace)!r}; {known}") from None
        tables = [".".join(found) for found in catalog.list_tables(namespace)]
        raise DataError(f"Iceberg table {name} does not exist; {did_you_mean(name, tables)}") from None


def kept(options: str, scan: Pinned) -> "Table":
    """Returns the table of options, which are JSON, as this process has found it first for a scan: it asks once."""
    return _kept(os.getpid(), options, scan)


@functools.lru_cache(maxsize=8)
def _kept(process: int, options: str, scan: Pinned) -> "Table":
    return table(IcebergOptions.parse(options))


def asked_again[Result](where: str, ask: Callable[[], Result]) -> Result:
    """Returns what `ask` does; what passes soon is waited for, three times in all."""
    for number in range(1, retries.TRIES):
        try:
            with explained(where):
                return ask()
        except Unanswered as error:
            retries.pause(number, error)
    with explained(where):
        return ask()


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Changes an error of PyIceberg's, or of its clients, into ours."""
    try:
        yield
    except PenstockError:
        raise
    except Exception as error:
        raise explanation(where, error) from error


def explanation(where: str, error: Exception) -> PenstockError:
    """Returns what an error of PyIceberg's or of its clients means: an Unanswered where it may pass soon."""
    names = {base.__name__ for cause in _causes(error) for base in type(cause).__mro__}
    code = next((_code(cause) for cause in _causes(error) if _code(cause)), "")
    names |= _CODES.get(code, set())
    said = short(error)
    if names & (_SIGN_IN | _NO_CREDENTIALS):
        kind = NoCredentials if names & _NO_CREDENTIALS else ServerError
        return kind(
            f"{where} wants a sign-in ({said}): set what it takes, token or credential, by iceberg.catalog"
            ".properties_env, or renew the cloud's credentials"
        )
    if names & _FORBIDDEN:
        return ServerError(f"{where} does not let this account do that ({said}): give it leave to read the table")
    if isinstance(error, FileNotFoundError):
        return DataError(
            f"{where}: a file of the snapshot is gone ({said}): it was removed (expired snapshots, orphan files): read "
            "a newer snapshot, or restore the file"
        )
    if _is_no_database(error):
        return ConfigError(
            f"{where}: its database has no Iceberg tables or cannot be opened ({said}): check uri and name of "
            "iceberg.catalog"
        )
    if names & _PASSING or "OperationalError" in names:
        return Unanswered(f"{where} does not answer ({said})", "check its address and the network, or try again later")
    if names & {"ValueError", "NoSuchPropertyException", "NotInstalledError", "ArgumentError", "ValidationError"}:
        return ConfigError(f"{where}: {said}: check iceberg.catalog, its type, uri and properties")
    return SystemFailure(f"{where} failed: {type(error).__name__}: {said}")


def _is_no_database(error: Exception) -> bool:
    """Whether this is no failure of a server: SQLite's file is missing, or the tables of a catalogue are."""
    text = str(error)
    return any(words in text for words in ("unable to open database file", "no such table", "UndefinedTable"))


def _causes(error: BaseException) -> list[BaseException]:
    """Returns an error and what it came of; errors that are raised again may come of each other."""
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None and cause not in found:
        found.append(cause)
    return found


def _code(error: BaseException) -> str:
    response: Any = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def short(error: BaseException) -> str:
    """Returns what an error says, on one line."""
    return " ".join(str(error).split())[:200].removesuffix(".")
