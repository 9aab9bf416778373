"""Where a blessed model goes: a folder, or services that serve it. Each service has a module with its section."""

from typing import Any, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.push.kserve import KServe
from penstock.pipelines.config.push.sagemaker import SageMaker
from penstock.pipelines.config.push.serving import Canary, Serving
from penstock.pipelines.config.push.vertex_ai import VertexAI
from penstock.pipelines.config.section import ModelFolder, Section


class Push(Section):
    """Where a blessed model goes. Several places may be named."""

    directory: ModelFolder | None = Field(
        default=None, description="The folder that gets a version, <unix seconds>/, for each pushed model."
    )
    canary: Canary | None = Field(
        default=None,
        description="The percentage of the requests that a new version in `directory` gets at first, from our model "
        "server, until `penstock promote`; left out, it gets all at once.",
    )
    vertex_ai: VertexAI | None = Field(default=None, description="An endpoint of Vertex AI that serves the model.")
    kserve: KServe | None = Field(default=None, description="An InferenceService of KServe that serves the model.")
    sagemaker: SageMaker | None = Field(default=None, description="An endpoint of AWS SageMaker that serves the model.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.destination:
            places = [name for name in type(self).model_fields if name != "canary"]
            raise ValueError(f"expected a place to push to: {', '.join(places)}")
        if self.canary and not self.directory:
            raise ValueError("canary: expected a directory, whose canary it is; each service has a canary of its own")
        return self

    @property
    def folders(self) -> dict[str, str]:
        """The folders and buckets that get versions, by the keys that name them."""
        services = {f"push.{name}.storage": section.storage for name, section in self._services.items()}
        return ({"push.directory": self.directory} if self.directory else {}) | services

    @property
    def destination(self) -> dict[str, dict[str, Any]]:
        """TFX's PushDestination, and the services beside it (components/pusher/destinations)."""
        destinations: dict[str, dict[str, Any]] = {}
        if self.directory:
            share = {"canary": self.canary} if self.canary else {}
            destinations["filesystem"] = {"base_directory": self.directory} | share
        return destinations | {name: section.settings for name, section in self._services.items()}

    @property
    def _services(self) -> dict[str, Serving]:
        sections = {"vertex_ai": self.vertex_ai, "kserve": self.kserve, "sagemaker": self.sagemaker}
        return {name: section for name, section in sections.items() if section}
