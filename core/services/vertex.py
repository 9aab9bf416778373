"""The connection to Vertex AI: the address, the sign-in, and every failure as one sentence.

The generated clients (google.cloud.aiplatform_v1) make the requests, over REST. `aiplatform.PipelineJob.submit` above
them is not used: it asks Resource Manager for the project's number first, and has no id of its own for each run.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.core.errors import ConfigError, ServerError
from penstock.core.services.retries import Unanswered
from penstock.core.services.transport import Advice, Answer, Refused, Transport, innermost, short

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


class Server(Transport):
    """A signed-in client of Vertex AI in a project and a region.

    `jobs`, `schedules` and `job_service` are the generated services; their methods go through `request` and `repeat`.
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
        self.advice = _advice(self.project)
        self._credentials = _credentials(settings, self.host)
        self.types = services.types

    @functools.cached_property
    def jobs(self) -> Any:
        """PipelineServiceClient: runs of pipelines."""
        return self._client(_services().PipelineServiceClient)

    @functools.cached_property
    def schedules(self) -> Any:
        """ScheduleServiceClient."""
        return self._client(_services().ScheduleServiceClient)

    @functools.cached_property
    def job_service(self) -> Any:
        """JobServiceClient: CustomJobs and HyperparameterTuningJobs."""
        return self._client(_services().JobServiceClient)

    def _client(self, kind: Any) -> Any:
        return kind(credentials=self._credentials, client_options={"api_endpoint": self.host}, transport="rest")

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        import requests
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from google.protobuf.json_format import ParseError

        try:
            # The clients' own retries are off: what may be repeated is decided in Transport.
            return operation(*arguments, retry=None, timeout=self.timeout, **options)
        except GoogleAPICallError as error:
            headers = getattr(error.response, "headers", {})
            raise Refused(Answer(int(error.code or 0), short(_message(error)), headers)) from None
        except GoogleAuthError as error:
            raise self._unsigned(" ".join(str(error).split())[:240]) from None
        except requests.RequestException as error:
            raise innermost(error) from None
        except (ParseError, ValueError) as error:
            raise ServerError(
                f"{self.host} does not answer as Vertex AI: check vertex.api_endpoint ({error})"
            ) from None

    def _refusal(self, answer: Answer) -> ServerError | Unanswered:
        return self._unsigned(answer.summary[1:-1]) if answer.status == 401 else super()._refusal(answer)

    def _unsigned(self, reason: str) -> ServerError:
        if self.host.startswith("http://"):  # Google's client tries to renew what there is not, and tells of that
            return ServerError(
                f"{self.host} wants a sign-in (401), and none is sent to http://: write https:// in "
                "vertex.api_endpoint, or let the emulator ask for none"
            )
        return ServerError(f"{self.host} wants a sign-in ({reason}): {self.advice.sign_in}")


def _advice(project: str) -> Advice:
    return Advice(
        sign_in="run `gcloud auth application-default login`, or name a file in vertex.credentials_file",
        role=f"give it the role Vertex AI User in {project}, Service Account User of vertex.service_account, and see "
        "that the API is enabled",
        unknown="check the id, vertex.project and location",
        address="check vertex.location and api_endpoint",
        no_server="check vertex.location, api_endpoint and the network",
        slow="try again, or raise vertex.timeout",
        certificate="check vertex.api_endpoint and the network's proxy",
        no_tls="write http:// in vertex.api_endpoint",
        busy="has too many requests or no quota left",
    )


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
