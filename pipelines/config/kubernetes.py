"""What only Kubernetes knows of a component's pod: nodes, Secrets, volumes, and where credentials of buckets are."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.section import PositiveWhole, Quantity, Section, Variable, Whole, matching

KubernetesName = Annotated[
    str,
    matching(
        r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "a name of small letters, digits, dots and dashes, no dash at its ends"
    ),
]
Region = Annotated[str, matching(r"^[a-z0-9-]+$", "a region, such as europe-west4")]
_StoreAddress = Annotated[
    str, matching(r"^https?://[^/\s]+/?$", "the store's address, such as https://minio.example.com:9000")
]
Mount = Annotated[str, matching(r"^/[^/:][^:]*$", "an absolute path, such as /data, and no colon in it")]
_Key = Annotated[str, matching(r"^[A-Za-z0-9._-]+$", "a key of a Secret or ConfigMap: letters, digits, ., _ and -")]
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


class _Keyed(Section):
    """An object of the namespace whose keys become environment variables or files."""

    name: KubernetesName = Field(description="Its name.")
    env: dict[_Key, Variable] = Field(default={}, description="Environment variables by its keys.")
    mount: Mount | None = Field(default=None, description="The folder that gets its keys as files.")
    optional: bool = Field(default=False, description="Whether the component runs without it as well.")

    @model_validator(mode="after")
    def _used(self) -> Self:
        if bool(self.env) == bool(self.mount):
            raise ValueError("expected either env, such as {password: DB_PASSWORD}, or mount, a folder")
        return self


class Secret(_Keyed):
    """A Secret of the namespace, as environment variables or as files."""


class ConfigMap(_Keyed):
    """A ConfigMap of the namespace, as environment variables or as files."""


class Volume(Section):
    """A PersistentVolumeClaim of the namespace."""

    claim: KubernetesName = Field(description="The claim's name.")
    mount: Mount = Field(description="The folder that it is mounted at.")


class EmptyDir(Section):
    """A folder that begins empty and ends with the pod."""

    mount: Mount = Field(description="The folder; /dev/shm is the shared memory that processes of a task exchange.")
    medium: Literal["Memory"] | None = Field(
        default=None, description="Memory keeps it in memory; by default it is on the node's disk."
    )
    size: Quantity | None = Field(default=None, description="How large it may become, such as 8Gi.")


# KFP's own store, as its manifests set it up since 2.15; the Secret is in the namespace of every profile.
_OWN_STORE = {
    "secret": "mlpipeline-minio-artifact",
    "endpoint": "http://seaweedfs.kubeflow:9000",
    "region": "us-east-1",
}
_NAMED_STORES: dict[str, dict[str, str]] = {"kfp": _OWN_STORE, "pod": {}}
_KEY_FOLDER = "/secret/gcp-credentials"  # KFP's own place for it
# Says in a compiled pipeline, which shows it nowhere else, that the pod's own role has the credentials.
STORE_VARIABLE = "PENSTOCK_OBJECT_STORE"


def _name_stores(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(0, {"enum": list(_NAMED_STORES)})


class ObjectStore(Section):
    """A Secret of the namespace with the credentials of the buckets that a component reads or writes itself."""

    secret: KubernetesName | None = Field(default=None, description="The Secret's name.")
    access_key: _Key | None = Field(
        default=None, description="For s3:// and minio://: the Secret's key of the access key, by default accesskey."
    )
    secret_key: _Key | None = Field(
        default=None, description="For s3:// and minio://: the Secret's key of the secret key, by default secretkey."
    )
    endpoint: _StoreAddress | None = Field(
        default=None, description="For s3:// and minio://: the store's address, by default Amazon's."
    )
    region: Region | None = Field(default=None, description="For s3:// and minio://: the buckets' region.")
    key_file: _Key | None = Field(
        default=None, description="For gs://: the Secret's key of a service account's key file, such as key.json."
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        expected = "expected kfp (KFP's own Secret and store), pod (the role of the pod) or a Secret's keys, such as "
        if isinstance(value, str):
            if value not in _NAMED_STORES:
                raise ValueError(f"{expected}{{secret: NAME}}, received {value!r}")
            return _NAMED_STORES[value]
        if isinstance(value, dict) and not value.get("secret") and value.keys() <= cls.model_fields.keys():
            raise ValueError(f"secret is missing: {expected}{{secret: NAME}}")
        return value

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
        variables = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region}
        return {name: value for name, value in variables.items() if value}


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
    config_maps: list[ConfigMap] = Field(default=[], description="ConfigMaps, as environment variables or files.")
    empty_dirs: list[EmptyDir] = Field(default=[], description="Folders that begin empty and end with the pod.")
    shared_memory: Quantity | None = Field(
        default=None, description="The size of /dev/shm, such as 8Gi; by default it is 64 MB."
    )
    labels: dict[_NodeKey, _NodeValue] = Field(default={}, description="Labels of the pod.")
    annotations: dict[_NodeKey, str] = Field(default={}, description="Annotations of the pod.")
    timeout: PositiveWhole | None = Field(
        default=None, description="Seconds after which a pod that still runs is ended, and its task has failed."
    )
    image_pull_secrets: list[KubernetesName] = Field(default=[], description="Secrets that the image is pulled with.")
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
    def all_empty_dirs(self) -> list[EmptyDir]:
        """The empty folders, also that of the shared memory."""
        shared = [EmptyDir(mount="/dev/shm", medium="Memory", size=self.shared_memory)] if self.shared_memory else []
        return [*self.empty_dirs, *shared]

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that are no secret."""
        return self.object_store.variables if self.object_store else {}

    def twice(self, variables: Iterable[str] = ()) -> str | None:
        """Returns what two settings claim: a folder or a volume of a Secret or ConfigMap, which KFP names after it and
        Kubernetes then refuses, or a variable, of which it takes one. `variables` are those of other settings."""
        keyed: list[_Keyed] = [*self.all_secrets, *self.config_maps]
        mounted = [one for one in keyed if one.mount]
        places: list[Volume | EmptyDir | _Keyed] = [*self.volumes, *self.all_empty_dirs, *mounted]
        mounts = [place.mount or "" for place in places]
        folders = [mount.rstrip("/") for mount in mounts]
        from_keys = [variable for one in keyed for variable in one.env.values()]
        names = [f"the {type(one).__name__} {one.name}" for one in mounted]
        counts = Counter([*folders, *from_keys, *self.variables, *variables, *names])
        return next((name for name, count in counts.items() if count > 1), None)
