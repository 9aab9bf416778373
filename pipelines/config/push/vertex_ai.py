"""An endpoint of Vertex AI that a model is pushed to.

push:
  vertex_ai:
    storage: gs://my-bucket/serving/taxi
    image: europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:0.1.0
    canary: 10
"""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.kubernetes import Region
from penstock.pipelines.config.push.serving import Serving
from penstock.pipelines.config.resources import Accelerator
from penstock.pipelines.config.section import NO_BOOL, AnyPath, Number, PositiveWhole, Section, matching
from penstock.pipelines.config.servers import Address, Bucket, KmsKey, LabelKey, LabelValue, Network

_Alias = Annotated[
    str, matching(r"^[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]$", "letters, digits and dashes, a small letter first")
]
_MachineType = Annotated[str, matching(r"^[a-z][a-z0-9]*-[a-z0-9-]+$", "a machine type, such as n1-standard-2")]
_Image = Annotated[
    str,
    matching(
        r"^[^/\s]*[.:][^/\s]*/\S+$",
        "an image with its registry, from which Vertex AI pulls it: build it with `python3 image.py --target serving`, "
        "and push it to Artifact Registry, such as europe-west4-docker.pkg.dev/PROJECT/REPOSITORY/penstock-serving:1.0",
    ),
]
_FROM_VERTEX = ("project", "location", "api_endpoint", "credentials_file", "encryption_spec_key_name", "labels")


class Explanation(Section):
    """Explanations of predictions by sampled Shapley values: Vertex AI asks the server about changed instances."""

    inputs: dict[str, str | Number | None] = Field(
        min_length=1,
        description="The features that are explained, as instances name them, each with the value that stands for its "
        "absence; null leaves that to Vertex AI.",
    )
    output: str = Field(
        default="predictions",
        min_length=1,
        description="What is explained: the name of an output, or any name where an answer has only one.",
    )
    path_count: Annotated[int, Field(ge=1, le=50), NO_BOOL] = Field(
        default=25, description="How many permutations of the features are tried: more are more exact and slower."
    )


class VertexAI(Serving):
    """An endpoint of Vertex AI. Project, region, sign-in, key and labels are those of the section `vertex`."""

    storage: Bucket = Field(
        description="The folder, gs://BUCKET/FOLDER, that gets a version, <unix seconds>/, for each pushed model."
    )
    image: _Image = Field(description="The model server's image, penstock-serving, in Artifact Registry.")
    endpoint: str | None = Field(
        default=None,
        min_length=1,
        description="The endpoint's display name or id, by default the pipeline's name. It is made if it is missing.",
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="The display name or id of the model in the registry whose versions are pushed, by default the "
        "endpoint's name.",
    )
    aliases: list[_Alias] = Field(
        default=[], description="Aliases that the version gets, beside default, when it has all requests."
    )
    machine_type: _MachineType = Field(default="n1-standard-2", description="The machines that serve a version.")
    accelerator: Accelerator | None = Field(
        default=None,
        description="The machines' GPUs. The image penstock-serving computes without; one with CUDA uses them.",
    )
    min_replica_count: PositiveWhole = Field(default=1, description="How many machines a version has at least.")
    max_replica_count: PositiveWhole | None = Field(
        default=None, description="How many machines a version has at most, under load; by default min_replica_count."
    )
    service_account: str | None = Field(
        default=None, description="The account that the server runs as, by default one that can read the model only."
    )
    network: Network | None = Field(
        default=None,
        description="The peered network of the endpoint, projects/NUMBER/global/networks/NAME. There an endpoint has "
        "one model at most: no canary, and another endpoint for the next version.",
    )
    dedicated_endpoint: bool = Field(
        default=False, description="Whether the endpoint has an address, and traffic, of its own."
    )
    explanation: Explanation | None = Field(
        default=None,
        description="How Vertex AI explains predictions of the version, which monitoring.vertex_ai.attributions needs.",
    )
    keep_previous: bool = Field(
        default=True,
        description="Whether the version that served before stays deployed, so that a rollback takes seconds. Its "
        "machines cost; without, a rollback deploys it again.",
    )
    project: str | None = Field(default=None, min_length=1, description="By default vertex.project.")
    location: Region | None = Field(default=None, description="The endpoint's region, by default vertex.location.")
    api_endpoint: Address | None = Field(default=None, description="By default vertex.api_endpoint.")
    credentials_file: AnyPath | None = Field(
        default=None,
        description="By default vertex.credentials_file. Where there is no such file, as in a task elsewhere, it is "
        "Google's application default credentials.",
    )
    encryption_spec_key_name: KmsKey | None = Field(
        default=None, description="By default vertex.encryption_spec_key_name."
    )
    labels: dict[LabelKey, LabelValue] | None = Field(
        default=None, description="Labels of the endpoint and the model's versions, by default vertex.labels."
    )
    request_timeout: PositiveWhole | None = Field(
        default=None, description="How many seconds the API has to answer a request, by default 60."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.max_replica_count is not None and self.max_replica_count < self.min_replica_count:
            raise ValueError(
                f"max_replica_count: expected min_replica_count ({self.min_replica_count}) or more, received "
                f"{self.max_replica_count}"
            )
        if self.network and self.canary:
            raise ValueError(
                "canary: an endpoint in a network has one model at most, so no canary: leave out one of both"
            )
        if self.accelerator and self.image.rpartition("/")[2].partition(":")[0] == "penstock-serving":
            raise ValueError(
                "accelerator: the image penstock-serving has TensorFlow for processors, which leaves a GPU idle: "
                "expected none, or an image with TensorFlow for CUDA that runs the same server"
            )
        return self


def fill(values: Any) -> Any:
    """Fills in what `push.vertex_ai` of a configuration leaves out: `vertex`'s settings, and the pipeline's name."""
    push = values.get("push") if isinstance(values, dict) else None
    if not isinstance(push, dict) or not isinstance(push.get("vertex_ai"), dict):
        return values
    vertex = values.get("vertex")
    known = {key: vertex[key] for key in _FROM_VERTEX if key in vertex} if isinstance(vertex, dict) else {}
    defaults = {**known, **({"endpoint": values["name"]} if "name" in values else {})}
    return values | {"push": push | {"vertex_ai": defaults | push["vertex_ai"]}}
