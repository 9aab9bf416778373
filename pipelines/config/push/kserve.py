"""An InferenceService of KServe that a model is pushed to."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.kubernetes import KubernetesName, Mount
from penstock.pipelines.config.push.serving import Serving
from penstock.pipelines.config.resources import Resources
from penstock.pipelines.config.section import PositiveWhole, Section, Whole, matching

_Name = Annotated[
    str,
    matching(
        r"^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$",
        "a small letter, then small letters, digits and dashes, no dash at the end, 50 at most",
    ),
]
_Sink = Annotated[
    str, matching(r"^https?://[^\s]+$", "the address of what takes CloudEvents, with http:// or https://")
]
_STANDARD = ("Standard", "RawDeployment")
_BUCKETS = ("s3://", "gs://", "minio://")
_PVC = "pvc://"


class Logger(Section):
    """What KServe's logger sends of requests and answers, as CloudEvents."""

    mode: Literal["all", "request", "response"] = Field(default="all", description="What is sent.")
    url: _Sink = Field(description="Where it is sent to, such as the collector that `penstock collect` is.")
    metadata_headers: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[], description="Headers of requests that are sent along, as KServe's `metadataHeaders`."
    )


class KServe(Serving):
    """An InferenceService of KServe."""

    name: _Name = Field(description="The InferenceService's name, which is also that of its model.")
    namespace: KubernetesName | None = Field(
        default=None,
        description="Its namespace, by default that of the tasks; the commands take that of the kubeconfig then.",
    )
    deployment_mode: Literal["Knative", "Standard", "Serverless", "RawDeployment"] | None = Field(
        default=None,
        description="KServe's mode, by default the cluster's. Knative can split requests; before KServe 0.16 its name "
        "is Serverless, and that of Standard is RawDeployment.",
    )
    claim: KubernetesName | None = Field(
        default=None, description="The PersistentVolumeClaim that storage lies on, where it is no bucket."
    )
    claim_mount: Mount | None = Field(
        default=None, description="The folder at which the Pusher has the claim (kubernetes.pusher.volumes)."
    )
    service_account: KubernetesName | None = Field(
        default=None, description="The service account of the server's pods, with which KServe reads the bucket."
    )
    image_pull_secrets: list[KubernetesName] = Field(default=[], description="Secrets that the image is pulled with.")
    min_replicas: Whole | None = Field(default=None, description="How many pods at least; 0 where Knative runs them.")
    max_replicas: PositiveWhole | None = Field(default=None, description="How many pods at most.")
    resources: Resources | None = Field(default=None, description="What each pod may use.")
    node_selector: dict[str, str] = Field(default={}, description="Labels that the nodes must have.")
    request_timeout: PositiveWhole | None = Field(
        default=None, description="For how many seconds a request may take, by default as KServe has it."
    )
    logger: Logger | None = Field(default=None, description="Requests and answers, sent on as CloudEvents.")
    annotations: dict[str, str] = Field(default={}, description="More annotations of the InferenceService.")

    @model_validator(mode="before")
    @classmethod
    def _on_claim(cls, value: Any) -> Any:
        """Reads pvc://CLAIM/FOLDER as the folder that the Pusher writes to."""
        storage = value.get("storage") if isinstance(value, dict) else None
        if not isinstance(storage, str) or not storage.startswith(_PVC):
            return value
        claim, _, folder = storage.removeprefix(_PVC).strip("/").partition("/")
        if not claim or not folder or not value.get("claim_mount"):
            raise ValueError(
                f"storage: expected pvc://CLAIM/FOLDER and claim_mount, the folder at which the Pusher has the claim, "
                f"received {storage!r}"
            )
        return value | {"storage": f"{str(value['claim_mount']).rstrip('/')}/{folder}", "claim": claim}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.claim) != bool(self.claim_mount):
            raise ValueError("expected both claim and claim_mount, or neither")
        if self.claim_mount and not self.storage.startswith(f"{self.claim_mount.rstrip('/')}/"):
            raise ValueError(f"storage: expected a folder below claim_mount, {self.claim_mount}")
        if not self.claim and not self.storage.startswith(_BUCKETS):
            raise ValueError(
                "storage: expected a bucket that the InferenceService's pods can read, s3:// or gs://, or a claim, "
                f"pvc://CLAIM/FOLDER with claim_mount, received {self.storage!r}"
            )
        if self.canary and self.deployment_mode in _STANDARD:
            raise ValueError(
                f"canary: in KServe's mode {self.deployment_mode} a new version gets all requests at once: expected no "
                "canary, or deployment_mode Knative and a cluster that has it"
            )
        if self.min_replicas is not None and self.max_replicas and self.min_replicas > self.max_replicas:
            raise ValueError(f"max_replicas: expected min_replicas ({self.min_replicas}) or more")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        asked = self.resources
        settings = {key: value for key, value in super().settings.items() if value != [] and value != {}}
        if asked:
            gpus = asked.accelerator.count if asked.accelerator else None
            amounts = {"cpu": asked.cpu, "memory": asked.memory, "gpus": gpus}
            settings["resources"] = {name: amount for name, amount in amounts.items() if amount is not None}
        return settings
