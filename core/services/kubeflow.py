"""The connection to a Kubeflow Pipelines server: the address, the sign-in, and every failure as one sentence.

KFP's generated client (kfp_server_api) makes the requests. `kfp.Client` above it is not used: it lets no request have
a timeout, asks a silent server five times before its first answer, and reads and writes a file in the home folder.
"""

import contextlib
import importlib
import logging
import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import kfp_server_api
import urllib3
from urllib3 import exceptions

from penstock.core.errors import ConfigError, ServerError
from penstock.core.services.retries import Unanswered
from penstock.core.services.transport import Advice, Answer, Transport, openapi_error, short

HOST_VARIABLE = "PENSTOCK_KFP_HOST"
# A KFP server answers 500 to a pipeline that it cannot read, as to a failure of its own; its words tell them apart.
_INVALID = re.compile(r"Invalid ?input ?error", re.IGNORECASE)
# So its database's words for a name that does not fit.
_UNSTORABLE = re.compile("Incorrect string value|Data too long for column")
_NO_ROUTE = "Not Found"  # what it says of a path that is not in its API
_LOG_PART, _LOG_END = 2**16, 2**18  # bytes: how a log is read, and how much of it is looked at
_WAYS_IN = "kubeflow.token_env, token_file, cookies_env, iap_client_id or service_account_token"


class Settings(Protocol):
    """What a connection needs to know; the section `kubeflow` of a configuration says so. Secrets are named."""

    @property
    def host(self) -> str | None: ...
    @property
    def token_env(self) -> str | None: ...
    @property
    def token_file(self) -> str | None: ...
    @property
    def cookies_env(self) -> str | None: ...
    @property
    def iap_client_id(self) -> str | None: ...
    @property
    def service_account_token(self) -> bool: ...
    @property
    def ssl_ca_cert(self) -> str | None: ...
    @property
    def verify_ssl(self) -> bool: ...
    @property
    def timeout(self) -> int: ...


class Server(Transport):
    """A signed-in client of a server.

    `runs`, `experiments` and `recurring_runs` are the generated services; their operations go through `request` and
    `repeat`.
    """

    advice = Advice(
        sign_in=f"set {_WAYS_IN}, or renew the token or cookie that it names",
        role="check kubeflow.namespace and the account's role there",
        unknown="check the name or id",
        address="check kubeflow.host, such as https://kubeflow.example.com",
        no_server="check kubeflow.host, and that its port is forwarded",
        slow="try again, or raise kubeflow.timeout",
        certificate="name the authority's in kubeflow.ssl_ca_cert, or set kubeflow.verify_ssl to false",
        no_tls="write http:// in kubeflow.host",
        failed="try again, and look into the server's log if it stays so",
    )

    def __init__(self, settings: Settings) -> None:
        self.host = address(settings)
        self.timeout = settings.timeout
        self._client = kfp_server_api.ApiClient(_configuration(settings, self.host), cookie=_cookies(settings))
        self.runs = kfp_server_api.RunServiceApi(self._client)
        self.experiments = kfp_server_api.ExperimentServiceApi(self._client)
        self.recurring_runs = kfp_server_api.RecurringRunServiceApi(self._client)

    def request(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        answer = super().request(operation, *arguments, **options)
        self._require_json()
        return answer

    def log(self, run_id: str, pod: str) -> str:
        """Returns the end of what a run's pod has printed, as far as the server still gets it from the cluster."""
        return str(super().request(self._read_log, run_id, pod))

    def _read_log(self, run_id: str, pod: str, **options: Any) -> str:
        answer = self._client.call_api(
            "/apis/v1alpha1/runs/{run}/nodes/{pod}/log",
            "GET",
            {"run": run_id, "pod": pod},
            header_params={"Accept": "text/plain"},
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            _preload_content=False,
            **options,
        )
        return _end(answer)

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        limits = (self.timeout, self.timeout)  # to connect, and between two pieces of the answer
        try:
            return operation(*arguments, _request_timeout=limits, **options)
        except kfp_server_api.ApiException as error:
            raise openapi_error(error) from None
        except (AttributeError, UnicodeDecodeError) as error:
            # The generated client stumbles over an error without a body (TLS), and over one that is not UTF-8.
            if isinstance(error.__context__, kfp_server_api.ApiException):
                raise openapi_error(error.__context__) from None
            raise
        except OSError as error:
            raise ServerError(f"{self.host}: {error.strerror or error}: check the files named in `kubeflow`") from None

    def _refusal(self, answer: Answer) -> ServerError | Unanswered:
        status, location = answer.status, answer.headers.get("Location", "")
        if location.startswith(self.host.replace("http://", "https://", 1)) and self.host.startswith("http://"):
            return ServerError(f"{self.host} is only there with TLS: write https:// in kubeflow.host")
        if status == 404 and answer.message in ("", _NO_ROUTE):
            return ServerError(f"{self.host} has no KFP API (404): check kubeflow.host, all of it that is before /apis")
        if status >= 500 and _UNSTORABLE.search(answer.body):
            return ServerError(
                f"{self.host} cannot store this name {answer.summary}: its database takes at most 128 characters, and "
                "no emoji: choose another name"
            )
        if status >= 500 and _INVALID.search(answer.body):
            return ServerError(f"{self.host} refuses the request {answer.summary}")
        return super()._refusal(answer)

    def _require_json(self) -> None:
        """A proxy's sign-in page comes with status 200, and the generated client reads it as an empty answer."""
        text = self._client.last_response.data
        if not text.lstrip().startswith("{"):
            raise ServerError(
                f"{self.host} answered with a page, not as a KFP API: check kubeflow.host, or sign in with {_WAYS_IN}"
            )


def _end(answer: urllib3.BaseHTTPResponse) -> str:
    """Reads an answer of any length; returns its last part as text, that of a page as none."""
    end = b""
    with contextlib.closing(answer):
        if "html" in answer.headers.get("Content-Type", ""):
            return ""
        for part in answer.stream(_LOG_PART):
            end = (end + part)[-_LOG_END:]
    return end.decode(errors="replace")


def address(settings: Settings) -> str:
    """Returns the server's address without a slash at its end."""
    host = settings.host or os.environ.get(HOST_VARIABLE, "")
    if not host:
        raise ConfigError(
            f"kubeflow.host is missing: expected the server's address there, in --host or {HOST_VARIABLE}"
        )
    if not host.startswith(("http://", "https://")):
        raise ConfigError(f"{HOST_VARIABLE}: expected an address with http:// or https://, received {host!r}")
    return host.rstrip("/")


def _configuration(settings: Settings, host: str) -> kfp_server_api.Configuration:
    configuration = kfp_server_api.Configuration(host=host)
    # urllib3's own retries are off: it would send what connects badly again, follow a redirect to a sign-in page, and
    # turn a POST into a GET on the way there. What may be repeated is decided here.
    configuration.retries = False
    configuration.verify_ssl = settings.verify_ssl
    if not settings.verify_ssl:
        urllib3.disable_warnings(exceptions.InsecureRequestWarning)
    if settings.ssl_ca_cert:
        _require_certificates(settings.ssl_ca_cert)
        configuration.ssl_ca_cert = settings.ssl_ca_cert
    token = _token(settings)
    if settings.service_account_token:
        credentials = importlib.import_module("kfp.client").ServiceAccountTokenVolumeCredentials()
        _read_mounted(credentials, configuration)
        configuration.refresh_api_key_hook = credentials.refresh_api_key_hook
    elif token:
        configuration.api_key["authorization"] = token
    configuration.api_key_prefix["authorization"] = "Bearer"
    return configuration


def _require_certificates(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = "expected PEM certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"kubeflow.ssl_ca_cert: {path}: {reason}") from None


def _token(settings: Settings) -> str:
    if settings.token_env:
        return _bare(_variable(settings.token_env, "kubeflow.token_env"), "Bearer ")
    if settings.token_file:
        try:
            token = _bare(Path(settings.token_file).read_text(encoding="utf-8").strip(), "Bearer ")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "this is not text"
            raise ConfigError(f"kubeflow.token_file: {settings.token_file}: {reason}") from None
        if not token:
            raise ConfigError(f"kubeflow.token_file: {settings.token_file} is empty: expected a token")
        return token
    return _iap_token(settings.iap_client_id) if settings.iap_client_id else ""


def _iap_token(client_id: str) -> str:
    auth = importlib.import_module("kfp.client.auth")
    other = (os.environ.get(f"KF_PIPELINES_APP_OAUTH2_CLIENT_{name}") for name in ("ID", "SECRET"))
    try:
        token, _ = auth.get_auth_token(client_id, *other)
    except Exception as error:  # whatever google-auth raises: no credentials, no network, a refusal
        raise ServerError(f"kubeflow.iap_client_id: the sign-in failed: {short(str(error))}") from None
    if not token:
        raise ServerError("kubeflow.iap_client_id: no Google credentials: `gcloud auth application-default login`")
    return str(token)


def _read_mounted(credentials: Any, configuration: kfp_server_api.Configuration) -> None:
    logging.disable()  # it logs what is raised as well, and sets logging up for that
    try:
        credentials.refresh_api_key_hook(configuration)
    except OSError as error:
        raise ConfigError(
            f"kubeflow.service_account_token: no token at {error.filename}: expected a pod with KFP's token mounted"
        ) from None
    finally:
        logging.disable(logging.NOTSET)


def _cookies(settings: Settings) -> str | None:
    return _bare(_variable(settings.cookies_env, "kubeflow.cookies_env"), "Cookie:") if settings.cookies_env else None


def _bare(value: str, prefix: str) -> str:
    """Returns a header's value without what a copy from a browser or a terminal brings along."""
    return value[len(prefix) :].lstrip() if value.lower().startswith(prefix.lower()) else value


def _variable(name: str, key: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"{key}: the environment variable {name} is not set")
    return value
