"""What a pipeline needs of the machines it runs on, stated once per component, in terms of no target.

resources:
  default: {cpu: 2, memory: 8G}
  trainer: {cpu: 8, memory: 32G, accelerator: {type: L4}}
kubernetes:                            # Kubeflow only
  default: {object_store: kfp}         # where pods have the credentials of buckets from
  trainer: {node_selector: {pool: gpu}, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}

kubeflow: {host: https://kubeflow.example.com/pipeline, namespace: team, token_env: KFP_TOKEN}   # the server
vertex: {project: my-project, location: europe-west4, service_account: runs@my-project.iam.gserviceaccount.com}

`default` is for every component; what a component's own entry sets replaces it there, key by key.
"""

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from penstock.pipelines.config.section import AnyPath, PositiveNumber, PositiveWhole, Section, Whole, matching

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
_StoreAddress = Annotated[
    str, matching(r"^https?://[^/\s]+/?$", "the store's address, such as https://minio.example.com:9000")
]
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


# KFP's own store, as its manifests set it up since 2.15; the Secret is in the namespace of every profile.
_OWN_STORE = {
    "secret": "mlpipeline-minio-artifact",
    "endpoint": "http://seaweedfs.kubeflow:9000",
    "region": "us-east-1",
}
_NAMED_STORES: dict[str, dict[str, str]] = {"kfp": _OWN_STORE, "pod": {}}
_KEY_FOLDER = "/secret/gcp-credentials"  # KFP's own place for it
# What the configuration says of a container and a compiled pipeline shows nowhere else, as variables: that the pod's
# own role has the credentials, and the folders that it has beside what is mounted.
STORE_VARIABLE = "PENSTOCK_OBJECT_STORE"
SHARED_VARIABLE = "PENSTOCK_SHARED_FOLDERS"


def _name_stores(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(0, {"enum": list(_NAMED_STORES)})


class ObjectStore(Section):
    """A Secret of the namespace with the credentials of the buckets that a component reads or writes itself."""

    secret: _KubernetesName | None = Field(default=None, description="The Secret's name.")
    access_key: _SecretKey | None = Field(
        default=None, description="For s3:// and minio://: the Secret's key of the access key, by default accesskey."
    )
    secret_key: _SecretKey | None = Field(
        default=None, description="For s3:// and minio://: the Secret's key of the secret key, by default secretkey."
    )
    endpoint: _StoreAddress | None = Field(
        default=None, description="For s3:// and minio://: the store's address, by default Amazon's."
    )
    region: _Region | None = Field(default=None, description="For s3:// and minio://: the buckets' region.")
    key_file: _SecretKey | None = Field(
        default=None, description="For gs://: the Secret's key of a service account's key file, such as key.json."
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        expected = "expected kfp (KFP's own Secret and store), pod (the role of the pod) or a Secret's keys, such as "
        if isinstance(given, str):
            if given not in _NAMED_STORES:
                raise ValueError(f"{expected}{{secret: NAME}}, received {given!r}")
            return _NAMED_STORES[given]
        if isinstance(given, dict) and not given.get("secret") and given.keys() <= cls.model_fields.keys():
            raise ValueError(f"secret is missing: {expected}{{secret: NAME}}")
        return given

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        others = [key for key in ("access_key", "secret_key", "endpoint", "region") if getattr(self, key)]
        if self.key_file and others:
            raise ValueError(f"{others[0]}: expected either key_file, for gs://, or what s3:// and minio:// need")
        if self.access_key and self.access_key == self.secret_key:
            raise ValueError(f"secret_key: expected another key than access_key, received {self.secret_key!r} twice")
        return self

    @property
    def credentials(self) -> list[Secret]:
        """The Secret as the pod gets it; none where the pod's role has the credentials."""
        if not self.secret:
            return []
        if self.key_file:
            return [Secret(name=self.secret, mount=_KEY_FOLDER)]
        keys = {self.access_key or "accesskey": "AWS_ACCESS_KEY_ID"}
        return [Secret(name=self.secret, env={**keys, self.secret_key or "secretkey": "AWS_SECRET_ACCESS_KEY"})]

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that are no secret."""
        if not self.secret:
            return {STORE_VARIABLE: "pod"}
        if self.key_file:
            return {"GOOGLE_APPLICATION_CREDENTIALS": f"{_KEY_FOLDER}/{self.key_file}"}
        # botocore reads AWS_DEFAULT_REGION alone, other SDKs, such as that of KFP's launcher, AWS_REGION.
        given = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region}
        return {name: value for name, value in given.items() if value}


class Kubernetes(Section):
    """What only Kubernetes knows of a component's pod."""

    node_selector: dict[_NodeKey, _NodeValue] = Field(default={}, description="Labels that the node must have.")
    tolerations: list[Toleration] = Field(default=[], description="Taints of nodes that do not keep it away.")
    secrets: list[Secret] = Field(default=[], description="Secrets, as environment variables or files.")
    volumes: list[Volume] = Field(default=[], description="Volumes, by their claims.")
    object_store: ObjectStore | None = Field(
        default=None,
        description="Where the pod has the credentials of buckets from: kfp, KFP's own Secret and store; pod, the role "
        "of the pod's service account; or a Secret's name and keys.",
        json_schema_extra=_name_stores,
    )
    image_pull_secrets: list[_KubernetesName] = Field(default=[], description="Secrets that the image is pulled with.")
    image_pull_policy: Literal["Always", "Never", "IfNotPresent"] | None = Field(
        default=None, description="When the image is pulled."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = self.twice()
        if twice:
            raise ValueError(f"expected each folder, variable and mounted Secret once, received {twice} twice")
        return self

    @property
    def all_secrets(self) -> list[Secret]:
        """The Secrets, also that of the object store."""
        return [*self.secrets, *(self.object_store.credentials if self.object_store else [])]

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that are no secret."""
        return self.object_store.variables if self.object_store else {}

    def twice(self) -> str | None:
        """Returns what two settings claim: a folder or a volume of a Secret, which KFP names after it and Kubernetes
        then refuses, or a variable, of which it takes one."""
        mounted = [secret for secret in self.all_secrets if secret.mount]
        mounts = [volume.mount for volume in self.volumes] + [secret.mount or "" for secret in mounted]
        folders = [mount.rstrip("/") for mount in mounts]
        variables = [variable for secret in self.all_secrets for variable in secret.env.values()]
        names = [f"the Secret {secret.name}" for secret in mounted]
        counts = Counter([*folders, *variables, *self.variables, *names])
        return next((name for name, count in counts.items() if count > 1), None)


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
    shared_folders: list[_Mount] = Field(
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
    shared_folders: list[_Mount] = Field(
        default=[], description="Folders that the image has at the same path as this machine, beside /gcs."
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
