"""The connection to Vertex AI: the address, the sign-in, and every failure as one sentence.

The generated clients (google.cloud.aiplatform_v1) make the requests, over REST. `aiplatform.PipelineJob.submit` above
them is not used: it asks Resource Manager for the project's number first, and has no id of its own for each run.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.core.errors import ConfigError, NoServer, ServerError
from penstock.core.services.retries import TRIES, AlreadyExists, NotFound, Unanswered, pause, seconds

ENDPOINT_VARIABLE = "PENSTOCK_VERTEX_ENDPOINT"
PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class Settings(Protocol):
    """What a connection needs to know; the section `vertex` of a configuration says so."""

    @property
    def project(self) -> str | None: ...
    @property
    def location(self) -> str: ...
    @property
    def api_endpoint(self) -> str | None: ...
    @property
    def credentials_file(self) -> str | None: ...
    @property
    def timeout(self) -> int: ...


@dataclass(frozen=True)
class Connection:
    """The settings of a task on Vertex AI, which has the credentials of the account that it runs as."""

    project: str
    location: str
    timeout: int
    api_endpoint: str | None = None
    credentials_file: str | None = None


class Server:
    """A signed-in client of Vertex AI in a project and a region.

    `jobs`, `schedules` and `job_service` are the generated services; their methods go through `request`, or through
    `repeat` where asking twice does no harm.
    """

    def __init__(self, settings: Settings) -> None:
        services = _services()
        self.project = settings.project or os.environ.get(PROJECT_VARIABLE, "")
        if not self.project:
            raise ConfigError(f"vertex.project is missing: expected it there, in --project or {PROJECT_VARIABLE}")
        self.location = settings.location
        self.parent = f"projects/{self.project}/locations/{self.location}"
        self.timeout = settings.timeout
        self.host = (
            settings.api_endpoint
            or os.environ.get(ENDPOINT_VARIABLE)
            or f"https://{self.location}-aiplatform.googleapis.com"
        )
        self._credentials = _credentials(settings, self.host)
        self.types = services.types

    @functools.cached_property
    def jobs(self) -> Any:
        return self._client(_services().PipelineServiceClient)

    @functools.cached_property
    def schedules(self) -> Any:
        return self._client(_services().ScheduleServiceClient)

    @functools.cached_property
    def job_service(self) -> Any:
        return self._client(_services().JobServiceClient)

    def _client(self, kind: Any) -> Any:
        return kind(credentials=self._credentials, client_options={"api_endpoint": self.host}, transport="rest")

    def request(self, operation: Callable[..., Any], **options: Any) -> Any:
        """Makes one request, once; a ServerError or an Unanswered says what went wrong."""
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from google.protobuf.json_format import ParseError

        try:
            # The clients' own retries are off: what may be repeated is decided here.
            return operation(retry=None, timeout=self.timeout, **options)
        except GoogleAPICallError as error:
            raise self._refusal(error) from None
        except GoogleAuthError as error:
            raise self._unsigned(str(error)) from None
        except requests.RequestException as error:
            raise self._failure(error) from None
        except (ParseError, ValueError) as error:
            raise ServerError(
                f"{self.host} does not answer as Vertex AI: check vertex.api_endpoint ({error})"
            ) from None

    def repeat(self, operation: Callable[..., Any], **options: Any) -> Any:
        """Makes a request that changes nothing when made twice; tries again where no answer came."""
        for number in range(1, TRIES):
            try:
                return self.request(operation, **options)
            except Unanswered as error:
                pause(number, error)
        return self.request(operation, **options)

    def _refusal(self, error: Any) -> ServerError | Unanswered:
        status = int(error.code or 0)
        told = f": {' '.join(_message(error).split())[:240]}" if _message(error) else ""
        wait = seconds(getattr(error.response, "headers", {}).get("Retry-After", ""))
        if status == 401:
            return self._unsigned(f"401{told}")
        if status == 403:
            return ServerError(
                f"{self.host} does not let this account do that (403{told}): give it the role Vertex AI User in "
                f"{self.project}, Service Account User of vertex.service_account, and see that the API is enabled"
            )
        if status == 404:
            return NotFound(f"{self.host} does not know that (404{told}): check the id, vertex.project and location")
        if status == 409:
            return AlreadyExists(f"{self.host} has that already (409{told}): choose another name")
        if status == 429:
            text = f"{self.host} has too many requests or no quota left (429{told})"
            return Unanswered(text, "try again later", retry_after=wait)
        if status >= 500:
            text = f"{self.host} failed ({status}{told})"
            return Unanswered(text, "try again later", retry_after=wait, under_way=status == 504)
        return ServerError(f"{self.host} refuses the request ({status}{told})")

    def _unsigned(self, told: str) -> ServerError:
        if self.host.startswith("http://"):  # Google's client tries to renew what there is not, and tells of that
            return ServerError(
                f"{self.host} wants a sign-in (401), and none is sent to http://: write https:// in "
                "vertex.api_endpoint, or let the emulator ask for none"
            )
        return ServerError(
            f"{self.host} wants a sign-in ({' '.join(told.split())[:240]}): run `gcloud auth application-default "
            "login`, or name a file in vertex.credentials_file"
        )

    def _failure(self, error: Exception) -> ServerError | Unanswered:
        import requests

        if isinstance(error, requests.exceptions.SSLError):
            return ServerError(f"{self.host}: no trusted connection: check vertex.api_endpoint and the network's proxy")
        if isinstance(error, requests.exceptions.ConnectTimeout) or any(
            type(reason).__name__ in ("NewConnectionError", "NameResolutionError") for reason in _reasons(error)
        ):
            return NoServer(f"no server answers at {self.host}: check vertex.location, api_endpoint and the network")
        if isinstance(error, requests.exceptions.Timeout):
            text = f"{self.host} did not answer in {self.timeout} s"
            return Unanswered(text, "try again, or raise vertex.timeout", under_way=True)
        if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
            return Unanswered(f"the connection to {self.host} was cut", "try again")
        return ServerError(f"{self.host} is no address of Vertex AI: check vertex.api_endpoint")


def _services() -> Any:
    try:
        from google.cloud import aiplatform_v1
    except ImportError:
        raise ConfigError(
            "target vertex needs google-cloud-aiplatform: pip install 'google-cloud-aiplatform>=1.165'"
        ) from None
    return aiplatform_v1


def _credentials(settings: Settings, host: str) -> Any:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError

    if host.startswith("http://"):
        return AnonymousCredentials()
    try:
        if settings.credentials_file:
            return google.auth.load_credentials_from_file(settings.credentials_file, scopes=[_SCOPE])[0]
        return google.auth.default(scopes=[_SCOPE])[0]
    except (GoogleAuthError, OSError, ValueError) as error:
        if settings.credentials_file:
            raise ConfigError(f"vertex.credentials_file: {settings.credentials_file}: {error}") from None
        raise ServerError(
            "no Google credentials: run `gcloud auth application-default login`, or name a file in "
            "vertex.credentials_file"
        ) from None


def _message(error: Any) -> str:
    """Returns what the server says; an answer without JSON says no more than the status."""
    text = str(error.message or "")
    head, separator, rest = text.partition(": ")
    text = rest if separator and head.startswith(("GET ", "POST ", "DELETE ", "http")) else text
    return "" if text == "unknown error" or text.lstrip().startswith("<") else text


def _reasons(error: Any) -> list[Any]:
    inner = error.args[0] if error.args else None
    return [inner, getattr(inner, "reason", None)]
