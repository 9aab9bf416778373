"""What goes wrong with Google's services, in a sentence each, and what is tried again.

Google's own clients try again for ten minutes; here it is three times, as with every other service.
"""

import re
from collections.abc import Callable
from typing import Any

from penstock.core.errors import (
    ConfigError,
    DataError,
    NoCredentials,
    PenstockError,
    ServerError,
    SystemFailure,
)
from penstock.core.services import retries
from penstock.core.services.retries import NotFound, Unanswered
from penstock.core.services.transport import short

MISSING = "data: bigquery: expected Google's client: pip install 'penstock[bigquery]'"
_SIGN_IN = (
    "sign in (`gcloud auth application-default login`), name a key file in GOOGLE_APPLICATION_CREDENTIALS, or run the "
    "task as a service account"
)
_PERMISSION = re.compile(r"bigquery\.[a-z]+\.[A-Za-z]+")
_ROLES = {
    "bigquery.jobs": "roles/bigquery.jobUser on the project that is billed",
    "bigquery.readsessions": "roles/bigquery.readSessionUser on the project that is billed",
}
_READER = "roles/bigquery.dataViewer on the dataset"
_PLACE = re.compile(r"\[(\d+):(\d+)\]")
_TRANSIENT = ("rateLimitExceeded", "jobRateLimitExceeded", "backendError", "internalError", "jobBackendError")


def ask[Answer](call: Callable[[], Answer], where: str, query: str = "") -> Answer:
    """Calls Google's client; again where that may help, and else raises what `meaning` says."""
    for number in range(1, retries.TRIES):
        try:
            return call()
        except Exception as error:
            failure = _meaning_of(error, where, query)
        retries.pause(number, failure)
    try:
        return call()
    except Exception as error:
        raise _meaning_of(error, where, query) from None


def _meaning_of(error: Exception, where: str, query: str) -> Unanswered:
    """Returns what may pass soon; raises anything else."""
    meant = meaning(error, where, query)
    if meant is None:
        raise error
    if not isinstance(meant, Unanswered):
        raise meant from None
    return meant


def meaning(error: Exception, where: str, query: str = "") -> PenstockError | None:
    """Returns what an error of Google's clients means; None for one that is none of theirs.

    `where` is what was asked for, the table or the query, and `query` its text.
    """
    import requests
    from google.api_core import exceptions
    from google.auth import exceptions as sign_in

    if isinstance(error, sign_in.DefaultCredentialsError):
        return NoCredentials(f"{where}: there are no credentials of Google Cloud: {_SIGN_IN}")
    if isinstance(error, sign_in.TransportError):
        return Unanswered(f"{where}: Google's sign-in does not answer", "try again later")
    if isinstance(error, sign_in.GoogleAuthError):
        return ServerError(f"{where}: Google refuses the credentials ({short(str(error))}): {_SIGN_IN}")
    if isinstance(error, exceptions.RetryError | requests.RequestException):
        return Unanswered(f"{where}: the connection to BigQuery failed ({short(str(error))})", "try again later")
    if isinstance(error, exceptions.GoogleAPICallError):
        first: dict[str, Any] = next((one for one in error.errors if isinstance(one, dict)), {})
        message = str(first.get("message") or error.message)
        return answered(int(error.code or 0), str(first.get("reason") or ""), message, where, query)
    return None


def answered(status: int, reason: str, message: str, where: str, query: str = "") -> PenstockError:
    """Returns what BigQuery's answer means: its status, 0 for none, its `reason` and its message."""
    said = short(message).removesuffix(".")
    if reason == "quotaExceeded":
        return ServerError(
            f"{where}: a quota of the project is used up ({said}): wait for the next day, or have it raised"
        )
    if reason in _TRANSIENT or status == 429 or status >= 500:
        return Unanswered(f"{where}: BigQuery cannot answer now ({said})", "try again later")
    if "bytesBilledLimitExceeded" in (reason, message) or "bytes billed" in message:
        return ServerError(f"{where}: {said}: raise maximum_bytes_billed, or read fewer columns or days")
    if reason in ("billingNotEnabled", "billingTierLimitExceeded"):
        return ServerError(f"{where}: {said}: expected a project with billing in data.bigquery.project")
    if status == 401:
        return ServerError(f"{where}: BigQuery wants a sign-in: {_SIGN_IN}")
    if status == 403 or reason == "accessDenied":
        return ServerError(f"{where}: BigQuery refuses this account ({said}): {_role(message)}")
    if status == 404 or reason == "notFound":
        return NotFound(f"{where}: {said}")
    if reason in ("invalidQuery", "invalid") or (status == 400 and query):
        return DataError(f"{where}: {said}{_line(message, query)}")
    return ServerError(f"{where}: BigQuery refuses the request ({said})")


def ended(where: str) -> SystemFailure:
    """Returns what it means that a read session is gone."""
    return SystemFailure(
        f"{where}: BigQuery's read session has ended, as all do after some hours: run again, and with more workers or "
        "fewer columns if it was time that ran out"
    )


def missing() -> ConfigError:
    """Returns what is raised where Google's client is not installed."""
    return ConfigError(MISSING)


def _role(message: str) -> str:
    found = _PERMISSION.search(message)
    if found is None:
        return f"it needs {_READER}, and roles/bigquery.jobUser on the project that is billed"
    permission = found[0]
    role = _ROLES.get(permission.rpartition(".")[0], _READER)
    return f"it needs the permission {permission}, which {role} has"


def _line(message: str, query: str) -> str:
    """Returns the line of the query that a message is about."""
    found = _PLACE.search(message)
    lines = query.splitlines()
    if found is None or not 0 < int(found[1]) <= len(lines):
        return ""
    return f": line {found[1]} of the query is {lines[int(found[1]) - 1].strip()!r}"
