"""The connection to a Kubernetes API: of the cluster that this pod runs in, else of the user's kubeconfig."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes

from penstock.core.errors import ConfigError, ServerError
from penstock.core.services.retries import Unanswered
from penstock.core.services.transport import Advice, Answer, Transport, openapi_error

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # token, ca.crt and namespace of a pod's account
_TIMEOUT = 30.0
_NO_KIND = "the server could not find the requested resource"
_WEBHOOK = "admission webhook"


@dataclass(frozen=True)
class Kind:
    """A kind of objects that an operator adds to Kubernetes.

    `name` is what a person calls them, `operator` what brings them, and `role` the role that may make them.
    """

    group: str
    version: str
    plural: str
    name: str
    operator: str
    role: str

    @property
    def place(self) -> dict[str, str]:
        """Where the API has them, as arguments of CustomObjectsApi."""
        return {"group": self.group, "version": self.version, "plural": self.plural}


class Server(Transport):
    """A client of the API in a namespace.

    `objects` (CustomObjectsApi) and `core` (CoreV1Api) are the generated services; their operations go through
    `request` and `repeat`. The namespace is the pod's, or that of the kubeconfig's context, unless another is given.
    """

    def __init__(self, kind: Kind | None = None, *, namespace: str = "", timeout: float = _TIMEOUT) -> None:
        configuration = kubernetes.client.Configuration()
        self.known = (_ACCOUNT / "namespace").is_file()
        try:
            own = _sign_in(configuration, in_pod=self.known)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise ConfigError(
                f"no Kubernetes API: expected the service account of a pod, or a kubeconfig: {error}"
            ) from None
        configuration.retries = False  # what may be repeated is decided in Transport
        client = kubernetes.client.ApiClient(configuration)
        self.host = configuration.host
        self.timeout = timeout
        self.namespace = namespace or own
        self.objects = kubernetes.client.CustomObjectsApi(client)
        self.core = kubernetes.client.CoreV1Api(client)
        self._kind = kind
        self.advice = _advice(kind)

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return operation(*arguments, namespace=self.namespace, _request_timeout=self.timeout, **options)
        except kubernetes.client.ApiException as error:
            raise openapi_error(error) from None

    def _refusal(self, answer: Answer) -> ServerError | Unanswered:
        # Of a group that it does not have at all the API says so in plain text.
        if answer.status == 404 and self._kind and (_NO_KIND in answer.message or not answer.message):
            return ServerError(
                f"{self.host} has no {self._kind.name} (404): install {self._kind.operator} in the cluster"
            )
        if answer.status == 403 and _WEBHOOK in answer.message:  # what an operator checks, and no matter of roles
            return ServerError(f"{self.host} refuses the request ({answer.message})")
        return super()._refusal(answer)


def _sign_in(configuration: Any, *, in_pod: bool) -> str:
    """Puts the address, the token and the authority into a client's configuration; returns the namespace."""
    config = kubernetes.config
    if in_pod:
        config.load_incluster_config(client_configuration=configuration)
        return (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    file = os.getenv("KUBECONFIG") or None  # the client itself reads the variable once, when it is imported
    config.load_kube_config(config_file=file, client_configuration=configuration)
    _, active = config.list_kube_config_contexts(config_file=file)
    return str(active["context"].get("namespace", "default"))


def _advice(kind: Kind | None) -> Advice:
    check = "check the kubeconfig"
    role = f"the role {kind.role}" if kind else "a role that may"
    return Advice(
        sign_in=f"{check}, or the token of the pod's service account",
        role=f"bind {role} to the service account of the tasks (kubeflow.service_account)",
        unknown="check the name and the namespace",
        address=check,
        no_server=check,
        slow="try again",
        certificate=f"{check}: it names the authority's",
        no_tls=f"{check}: write http:// there",
    )
