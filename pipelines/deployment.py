"""What a pipeline needs of the machines it runs on, stated once per component, in terms of no target.

resources:
  default: {cpu: 2, memory: 8G}
  trainer: {cpu: 8, memory: 32G, accelerator: {type: L4}}
kubernetes:                            # Kubeflow only
  trainer: {node_selector: {pool: gpu}, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}

kubeflow: {host: https://kubeflow.example.com/pipeline, namespace: team, token_env: KFP_TOKEN}   # the server
vertex: {project: my-project, location: europe-west4, service_account: runs@my-project.iam.gserviceaccount.com}

`default` is for every component; what a component's own entry sets replaces it there, key by key.
"""

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from penstock.pipelines.section import AnyPath, PositiveNumber, PositiveWhole, Section, Whole, matching

_Model = Literal["T4", "P4", "P100", "V100", "L4", "A100", "A100_80GB", "H100", "H200", "B200"]


def _model(given: Any) -> Any:
    """Refuses the targets' own names of accelerators with the model's, which is meant."""
    models = get_args(_Model)
    if given in models:
        return given
    stem = re.sub(r"[^A-Z0-9]", "_", str(given).upper()).removeprefix("NVIDIA_").removeprefix("TESLA_")
    near = next((model for model in sorted(models, key=len, reverse=True) if stem.startswith(model)), None)
    advice = f"did you mean {near!r}?" if near else "on Kubeflow, where any may come, a node_selector chooses it"
    raise ValueError(f"expected the model's name, one of {', '.join(models)}, received {given!r}; {advice}")


# By the names that NVIDIA gives them; targets.py has each target's own.
AcceleratorType = Annotated[_Model, BeforeValidator(_model)]
_Quantity = Annotated[
    str, matching(r"^[0-9]+(\.[0-9]+)?([EPTGMK]i?)?$", "bytes with a unit of Kubernetes, such as 16G or 512Mi")
]
_KubernetesName = Annotated[
    str,
    matching(
        r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "a name of small letters, digits, dots and dashes, no dash at its ends"
    ),
]
_Host = Annotated[str, matching(r"^https?://[^/\s]+", "an address that begins with http:// or https://")]
_Region = Annotated[str, matching(r"^[a-z0-9-]+$", "a region, such as europe-west4")]
_Bucket = Annotated[str, matching(r"^gs://[^/\s]+", "gs://BUCKET/FOLDER")]
_Network = Annotated[str, matching(r"^projects/[^/]+/global/networks/[^/]+$", "projects/NUMBER/global/networks/NAME")]
_Key = Annotated[
    str,
    matching(
        r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$",
        "projects/NAME/locations/REGION/keyRings/RING/cryptoKeys/KEY",
    ),
]
_Endpoint = Annotated[str, matching(r"^(https?://)?[^/\s]+$", "a host, with http:// before it or without")]
_Mount = Annotated[str, matching(r"^/[^/:][^:]*$", "an absolute path, such as /data, and no colon in it")]
_Variable = Annotated[
    str, matching(r"^[A-Za-z_][A-Za-z0-9_]*$", "a variable's name of letters, digits and _, no digit first")
]
_SecretKey = Annotated[str, matching(r"^[A-Za-z0-9._-]+$", "a key of a Secret: letters, digits, ., _ and -")]
_NodeKey = Annotated[
    str,
    matching(
        r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
        "a key of Kubernetes, such as example.com/pool",
    ),
]
_NodeValue = Annotated[
    str,
    matching(r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$", "63 letters, digits, ., _ and - at most"),
]
_LabelKey = Annotated[
    str, matching(r"^[a-z][a-z0-9_-]{0,62}$", "small letters, digits, _ and -, a letter first, 63 at most")
]
_LabelValue = Annotated[str, matching(r"^[a-z0-9_-]{0,63}$", "small letters, digits, _ and -, 63 at most")]


class Accelerator(Section):
    """Graphics processors."""

    type: AcceleratorType = Field(description="The model. On Kubeflow, where any may come, a node_selector chooses it.")
    count: PositiveWhole = Field(default=1, description="How many, all in one machine.")

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, given: Any) -> Any:
        if isinstance(given, str):
            raise ValueError(f"expected the model and how many, such as {{type: T4, count: 1}}, received {given!r}")
        return given


class Resources(Section):
    """What a component's container may use. A run on this machine takes what it has; in Docker it asks for the GPUs."""

    cpu: PositiveNumber | None = Field(default=None, description="Processor cores.")
    memory: _Quantity | None = Field(default=None, description="Memory, such as 16G or 512Mi.")
    accelerator: Accelerator | None = Field(default=None, description="Graphics processors.")


class Toleration(Section):
    """A taint of nodes that the component may be put on nevertheless."""

    key: _NodeKey | None = Field(default=None, description="The taint's key, by default all.")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="How the taint's value is compared.")
    value: _NodeValue | None = Field(default=None, description="The taint's value, for Equal.")
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = Field(
        default=None, description="The taint's effect, by default all."
    )
    seconds: Whole | None = Field(default=None, description="How long, for NoExecute; by default for ever.")

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if self.operator == "Equal" and self.key is None:
            raise ValueError("key: expected the taint's key, or operator Exists for all taints")
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("value: with operator Exists no value is compared: leave it out")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("seconds: expected effect NoExecute with it, the only one that ends running pods")
        return self


class Secret(Section):
    """A Secret of the namespace, as environment variables or as files."""

    name: _KubernetesName = Field(description="The Secret's name.")
    env: dict[_SecretKey, _Variable] = Field(default={}, description="Environment variables by the Secret's keys.")
    mount: _Mount | None = Field(default=None, description="The folder that gets the Secret's keys as files.")
    optional: bool = Field(default=False, description="Whether the component runs without it as well.")

    @model_validator(mode="after")
    def _used(self) -> Self:
        if bool(self.env) == bool(self.mount):
            raise ValueError("expected either env, such as {password: DB_PASSWORD}, or mount, a folder")
        return self


class Volume(Section):
    """A PersistentVolumeClaim of the namespace."""

    claim: _KubernetesName = Field(description="The claim's name.")
    mount: _Mount = Field(description="The folder that it is mounted at.")


class Kubernetes(Section):
    """What only Kubernetes knows of a component's pod."""

    node_selector: dict[_NodeKey, _NodeValue] = Field(default={}, description="Labels that the node must have.")
    tolerations: list[Toleration] = Field(default=[], description="Taints of nodes that do not keep it away.")
    secrets: list[Secret] = Field(default=[], description="Secrets, as environment variables or files.")
    volumes: list[Volume] = Field(default=[], description="Volumes, by their claims.")
    image_pull_secrets: list[_KubernetesName] = Field(default=[], description="Secrets that the image is pulled with.")
    image_pull_policy: Literal["Always", "Never", "IfNotPresent"] | None = Field(
        default=None, description="When the image is pulled."
    )

    @model_validator(mode="after")
    def _one_mount_each(self) -> Self:
        twice = self.twice_mounted()
        if twice:
            raise ValueError(f"expected a folder of its own for each volume and Secret, received {twice} twice")
        return self

    def twice_mounted(self) -> str | None:
        """Returns a folder that two volumes or Secrets are mounted at, which Kubernetes refuses."""
        mounts = [volume.mount for volume in self.volumes] + [secret.mount for secret in self.secrets if secret.mount]
        counts = Counter(mount.rstrip("/") for mount in mounts)
        return next((mount for mount, count in counts.items() if count > 1), None)


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
    service_account: _KubernetesName | None = Field(
        default=None, description="The Kubernetes service account that tasks run as, by default the server's choice."
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

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = ("token_env", "token_file", "cookies_env", "iap_client_id", "service_account_token")
        given = [way for way in ways if getattr(self, way)]
        if len(given) > 1:
            raise ValueError(f"expected one way to sign in, received {', '.join(given)}")
        return self


class Vertex(Section):
    """The project on Vertex AI that `penstock submit --target vertex` talks to. Secrets are never written here."""

    project: str | None = Field(
        default=None,
        min_length=1,
        description="The Google Cloud project, by default the variable GOOGLE_CLOUD_PROJECT.",
    )
    location: _Region = Field(default="us-central1", description="The region that runs are in.")
    pipeline_root: _Bucket | None = Field(
        default=None,
        description="Where tasks' outputs go, gs://BUCKET/FOLDER, by default the pipeline's own pipeline_root.",
    )
    service_account: str | None = Field(
        default=None, description="The account that tasks run as, by default Compute Engine's."
    )
    network: _Network | None = Field(
        default=None,
        description="The peered network of the tasks, projects/NUMBER/global/networks/NAME.",
    )
    encryption_spec_key_name: _Key | None = Field(
        default=None,
        description="Your own key (CMEK): projects/NAME/locations/REGION/keyRings/RING/cryptoKeys/KEY.",
    )
    labels: dict[_LabelKey, _LabelValue] = Field(default={}, description="Labels of every run.")
    failure_policy: Literal["slow", "fast"] = Field(
        default="slow", description="After a task has failed: slow goes on with what does not need it, fast does not."
    )
    credentials_file: AnyPath | None = Field(
        default=None, description="The credentials' file, by default Google's application default credentials."
    )
    api_endpoint: _Endpoint | None = Field(
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


class ByComponent[Settings: Section](Section):
    """Settings for every component, and for single ones."""

    default: Settings | None = Field(default=None, description="For every component.")
    input_resolver: Settings | None = Field(default=None, description="For the InputResolver.")
    example_gen: Settings | None = Field(default=None, description="For ExampleGen.")
    statistics_gen: Settings | None = Field(default=None, description="For StatisticsGen.")
    schema_gen: Settings | None = Field(default=None, description="For SchemaGen.")
    example_validator: Settings | None = Field(default=None, description="For ExampleValidator.")
    transform: Settings | None = Field(default=None, description="For Transform.")
    tuner: Settings | None = Field(default=None, description="For the Tuner.")
    trainer: Settings | None = Field(default=None, description="For the Trainer.")
    latest_blessed_model: Settings | None = Field(default=None, description="For LatestBlessedModel.")
    evaluator: Settings | None = Field(default=None, description="For the Evaluator.")
    pusher: Settings | None = Field(default=None, description="For the Pusher.")

    def of(self, component: str) -> Settings | None:
        """Returns the settings of a component, named as KFP does: csv_example_gen has those of example_gen."""
        own = next((getattr(self, name) for name in type(self).model_fields if component.endswith(name)), None)
        if self.default is None or own is None:
            return own or self.default
        return self.default.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
