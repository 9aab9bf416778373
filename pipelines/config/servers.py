"""The servers that runs are sent to: their addresses, how to sign in, and what every run there is given.

kubeflow: {host: https://kubeflow.example.com/pipeline, namespace: team, token_env: KFP_TOKEN}
vertex: {project: my-project, location: europe-west4, service_account: runs@my-project.iam.gserviceaccount.com}
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.kubernetes import KubernetesName, Mount, Region
from penstock.pipelines.config.section import AnyPath, PositiveWhole, Section, matching

_Host = Annotated[str, matching(r"^https?://[^/\s]+", "an address that begins with http:// or https://")]
Bucket = Annotated[str, matching(r"^gs://[^/\s]+", "gs://BUCKET/FOLDER")]
Network = Annotated[str, matching(r"^projects/[^/]+/global/networks/[^/]+$", "projects/NUMBER/global/networks/NAME")]
KmsKey = Annotated[
    str,
    matching(
        r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$",
        "projects/NAME/locations/REGION/keyRings/RING/cryptoKeys/KEY",
    ),
]
Address = Annotated[str, matching(r"^(https?://)?[^/\s]+$", "a host, with http:// before it or without")]
LabelKey = Annotated[
    str, matching(r"^[a-z][a-z0-9_-]{0,62}$", "small letters, digits, _ and -, a letter first, 63 at most")
]
LabelValue = Annotated[str, matching(r"^[a-z0-9_-]{0,63}$", "small letters, digits, _ and -, 63 at most")]
# The folders of `shared_folders`, which a compiled pipeline shows nowhere else.
SHARED_VARIABLE = "PENSTOCK_SHARED_FOLDERS"


class Kubeflow(Section):
    """The Kubeflow Pipelines server that `penstock submit` talks to. Secrets are named here, never written."""

    host: _Host | None = Field(
        default=None,
        description="The server's address, with http:// or https://, by default the variable PENSTOCK_KFP_HOST.",
    )
    namespace: str | None = Field(default=None, description="The profile's namespace, where Kubeflow has many users.")
    experiment: str | None = Field(
        default=None, min_length=1, description="The experiment that runs are in, by default the pipeline's name."
    )
    service_account: KubernetesName | None = Field(
        default=None, description="The Kubernetes service account that tasks run as, by default the server's choice."
    )
    shared_folders: list[Mount] = Field(
        default=[], description="Folders that pods have at the same path as this machine, beside mounted volumes."
    )
    token_env: str | None = Field(default=None, description="The environment variable that holds a bearer token.")
    token_file: AnyPath | None = Field(default=None, description="The file that holds a bearer token.")
    cookies_env: str | None = Field(
        default=None, description="The environment variable that holds the session's cookies, such as Dex sets them."
    )
    iap_client_id: str | None = Field(
        default=None, description="The client ID of Google's Identity-Aware Proxy, signed in to as KFP's client does."
    )
    service_account_token: bool = Field(
        default=False, description="Whether to sign in with the token that Kubernetes mounts into this pod."
    )
    ssl_ca_cert: AnyPath | None = Field(
        default=None, description="The certificates that the server's is checked against, by default the public ones."
    )
    verify_ssl: bool = Field(default=True, description="Whether the server's certificate is checked.")
    timeout: PositiveWhole = Field(default=30, description="How many seconds the server has to answer a request.")
    cluster_host: _Host | None = Field(
        default=None,
        description="The address by which tasks reach the server, to start a retraining: by default KFP's own in its "
        "cluster, with the token that Kubernetes mounts into the pod.",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = ("token_env", "token_file", "cookies_env", "iap_client_id", "service_account_token")
        chosen = [way for way in ways if getattr(self, way)]
        if len(chosen) > 1:
            raise ValueError(f"expected one way to sign in, received {', '.join(chosen)}")
        return self

    @property
    def in_cluster(self) -> dict[str, Any]:
        """The Retrainer's `server`: how a task reaches it. What only this machine has to sign in is left out."""
        kept = self.model_dump(include={"namespace", "experiment", "service_account", "timeout"}, exclude_defaults=True)
        if self.cluster_host is None:
            return kept
        ways = self.model_dump(include={"token_env", "ssl_ca_cert", "verify_ssl"}, exclude_defaults=True)
        return {"host": self.cluster_host, **ways, **kept}


class Vertex(Section):
    """The project on Vertex AI that `penstock submit --target vertex` talks to. Secrets are never written here."""

    project: str | None = Field(
        default=None,
        min_length=1,
        description="The Google Cloud project, by default the variable GOOGLE_CLOUD_PROJECT.",
    )
    location: Region = Field(default="us-central1", description="The region that runs are in.")
    pipeline_root: Bucket | None = Field(
        default=None,
        description="Where tasks' outputs go, gs://BUCKET/FOLDER, by default the pipeline's own pipeline_root.",
    )
    service_account: str | None = Field(
        default=None, description="The account that tasks run as, by default Compute Engine's."
    )
    network: Network | None = Field(
        default=None,
        description="The peered network of the tasks, projects/NUMBER/global/networks/NAME.",
    )
    encryption_spec_key_name: KmsKey | None = Field(
        default=None,
        description="Your own key (CMEK): projects/NAME/locations/REGION/keyRings/RING/cryptoKeys/KEY.",
    )
    shared_folders: list[Mount] = Field(
        default=[], description="Folders that the image has at the same path as this machine, beside /gcs."
    )
    labels: dict[LabelKey, LabelValue] = Field(default={}, description="Labels of every run.")
    failure_policy: Literal["slow", "fast"] = Field(
        default="slow", description="After a task has failed: slow goes on with what does not need it, fast does not."
    )
    credentials_file: AnyPath | None = Field(
        default=None, description="The credentials' file, by default Google's application default credentials."
    )
    api_endpoint: Address | None = Field(
        default=None,
        description="Another address of the API, by default PENSTOCK_VERTEX_ENDPOINT, else the region's. To http://, "
        "which is for emulators, no credentials are sent.",
    )
    timeout: PositiveWhole = Field(default=60, description="How many seconds the API has to answer a request.")
    tuning_service: bool = Field(
        default=False,
        description="Whether Vertex AI's own tuning service searches where tuning.parameters says what. Elsewhere the "
        "same search is KerasTuner's.",
    )

    @property
    def in_task(self) -> dict[str, Any]:
        """The Retrainer's `server`: how a task reaches it, with the credentials of its own account."""
        return self.model_dump(exclude={"shared_folders", "credentials_file", "tuning_service"}, exclude_defaults=True)
