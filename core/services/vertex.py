"""The connection to Vertex AI: the address, the sign-in, and every failure as one sentence.

The generated clients (google.cloud.aiplatform_v1) make the requests, over REST. `aiplatform.PipelineJob.submit` above
them is not used: it asks Resource Manager for the project's number first, and has no id of its own for each run.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.core.errors import ConfigError, PenstockError, ServerError, SystemFailure
from penstock.core.services.retries import NotFound, Unanswered
from penstock.core.services.transport import Advice, Answer, Refused, Transport, innermost, short

ENDPOINT_VARIABLE = "PENSTOCK_VERTEX_ENDPOINT"
PROJECT_VARIABLE = "GOOGLE_CLOUD_PROJECT"
ACCELERATORS: Mapping[str, str] = {  # Vertex AI's names of GPUs, by the models'
    "T4": "NVIDIA_TESLA_T4",
    "P4": "NVIDIA_TESLA_P4",
    "P100": "NVIDIA_TESLA_P100",
    "V100": "NVIDIA_TESLA_V100",
    "L4": "NVIDIA_L4",
    "A100": "NVIDIA_TESLA_A100",
    "A100_80GB": "NVIDIA_A100_80GB",
    "H100": "NVIDIA_H100_80GB",
    "H200": "NVIDIA_H200_141GB",
    "B200": "NVIDIA_B200",
}
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PASSING = {1, 4, 10, 13, 14}  # of google.rpc.Code: cancelled, too late, aborted, internal, unavailable


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

    `jobs`, `schedules`, `job_service`, `models` and `endpoints` are the generated services; their methods go through
    `request` and `repeat`. What starts a long-running operation returns it; `ended` asks how it stands.
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

    @functools.cached_property
    def models(self) -> Any:
        """ModelServiceClient: the Model Registry."""
        return self._client(_services().ModelServiceClient)

    @functools.cached_property
    def endpoints(self) -> Any:
        """EndpointServiceClient: endpoints, and what is deployed there."""
        return self._client(_services().EndpointServiceClient)

    @functools.cached_property
    def model_monitors(self) -> Any:
        """ModelMonitoringServiceClient of v1beta1: monitors of models' versions."""
        return self._client(_beta().ModelMonitoringServiceClient)

    @functools.cached_property
    def monitoring_schedules(self) -> Any:
        """ScheduleServiceClient of v1beta1, which alone knows schedules of monitors."""
        return self._client(_beta().ScheduleServiceClient)

    @functools.cached_property
    def beta_types(self) -> Any:
        """The messages of v1beta1."""
        return _beta().types

    def listed(self, operation: Callable[..., Any], field: str, request: Mapping[str, Any]) -> Iterator[Any]:
        """Yields what a list has, page by page; `field` of each answer holds it."""
        token = ""
        while True:
            page = self.repeat(operation, request={**request, "page_token": token})
            yield from getattr(page, field)
            token = page.next_page_token
            if not token:
                return

    def ended(self, operation: str, what: str) -> Any:
        """Asks how a long-running operation stands; returns it (google.longrunning) if it has ended, else None.

        `what` it does is the subject of the sentence if it has failed: a ServerError, or a SystemFailure where a rerun
        may succeed.
        """
        stand = self.repeat(self.endpoints.get_operation, {"name": operation})
        if not stand.done:
            return None
        if stand.HasField("error"):
            raise _failed(what, stand.error)
        return stand

    def running(self, resource: str) -> list[str]:
        """Returns the names of the operations of a model or an endpoint that have not ended."""
        try:
            page = self.repeat(self.endpoints.list_operations, {"name": resource})
        except NotFound:
            return []
        return [operation.name for operation in page.operations if not operation.done]

    def cancel(self, operation: str) -> None:
        """Asks that an operation be ended; the service need not."""
        self.repeat(self.endpoints.cancel_operation, {"name": operation})

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


def _beta() -> Any:
    """Returns aiplatform_v1beta1, which takes seconds to import; only monitoring by version 2 needs it."""
    from google.cloud import aiplatform_v1beta1

    return aiplatform_v1beta1


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


def _failed(what: str, status: Any) -> PenstockError:
    """Returns what the google.rpc.Status of an operation means; its message is whole, for it has the log's address."""
    sentence = f"{what} failed: {' '.join(status.message.split()).removesuffix('.') or f'code {status.code}'}"
    return SystemFailure(f"{sentence}: try again") if status.code in _PASSING else ServerError(sentence)


def _message(error: Any) -> str:
    """Returns what the server says; an answer without JSON says no more than the status."""
    text = str(error.message or "")
    head, separator, rest = text.partition(": ")
    text = rest if separator and head.startswith(("GET ", "POST ", "PATCH ", "DELETE ", "http")) else text
    return "" if text == "unknown error" or text.lstrip().startswith("<") else text
