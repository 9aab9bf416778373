"""What a component's container may use and how its tasks run, in terms of no target; and settings by component.

resources:
  default: {cpu: 2, memory: 8G}
  trainer: {cpu: 8, memory: 32G, accelerator: {type: L4}}
tasks:
  default: {retries: 2}
  trainer: {retries: {count: 3, wait: 60}, env: {NCCL_DEBUG: INFO}}
kubernetes:                            # Kubeflow only
  default: {object_store: kfp}         # where pods have the credentials of buckets from
  trainer: {node_selector: {pool: gpu}, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}

`default` is for every component; what a component's own entry sets replaces it there, key by key.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, TypeVar, get_args

from pydantic import BeforeValidator, Field, create_model, model_validator

from penstock.pipelines import registry
from penstock.pipelines.config.section import NO_BOOL, PositiveNumber, PositiveWhole, Quantity, Section, Variable

_Model = Literal["T4", "P4", "P100", "V100", "L4", "A100", "A100_80GB", "H100", "H200", "B200"]


def _model(value: Any) -> Any:
    """Refuses the targets' own names of accelerators with the model's, which is meant."""
    models = get_args(_Model)
    if value in models:
        return value
    stem = re.sub(r"[^A-Z0-9]", "_", str(value).upper()).removeprefix("NVIDIA_").removeprefix("TESLA_")
    near = next((model for model in sorted(models, key=len, reverse=True) if stem.startswith(model)), None)
    advice = f"did you mean {near!r}?" if near else "on Kubeflow, where any may come, a node_selector chooses it"
    raise ValueError(f"expected the model's name, one of {', '.join(models)}, received {value!r}; {advice}")


# By the names that NVIDIA gives them; targets.py has each target's own.
AcceleratorType = Annotated[_Model, BeforeValidator(_model)]


class Accelerator(Section):
    """Graphics processors."""

    type: AcceleratorType = Field(description="The model. On Kubeflow, where any may come, a node_selector chooses it.")
    count: PositiveWhole = Field(default=1, description="How many, all in one machine.")

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"expected the model and how many, such as {{type: T4, count: 1}}, received {value!r}")
        return value


class Resources(Section):
    """What a component's container may use. A run on this machine takes what it has; in Docker it asks for the GPUs."""

    cpu: PositiveNumber | None = Field(default=None, description="Processor cores.")
    memory: Quantity | None = Field(default=None, description="Memory, such as 16G or 512Mi.")
    accelerator: Accelerator | None = Field(default=None, description="Graphics processors.")


class Retries(Section):
    """How a task that failed is tried again."""

    count: PositiveWhole = Field(description="How often at most.")
    wait: PositiveWhole = Field(default=10, description="Seconds before it is first tried again.")
    factor: Annotated[float, Field(ge=1), NO_BOOL] = Field(
        default=2.0, description="By how much each wait is longer than the one before."
    )
    longest: PositiveWhole = Field(default=3600, description="Seconds that a wait takes at most.")

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _as_count(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(0, {"type": "integer", "minimum": 1})


class Task(Section):
    """How a component's tasks run, on every target that can do it."""

    retries: Retries | None = Field(
        default=None,
        description="How often a task that failed is tried again; a number, or with the waits between.",
        json_schema_extra=_as_count,
    )
    cache: bool = Field(default=True, description="Whether a task may be answered from the cache.")
    env: dict[Variable, str] = Field(
        default={}, description="Environment variables. They are no place for secrets: kubernetes.secrets is."
    )

    @model_validator(mode="after")
    def _not_ours(self) -> Self:
        own = next((name for name in self.env if name.startswith("PENSTOCK_")), None)
        if own:
            raise ValueError(f"env.{own}: variables that begin with PENSTOCK_ are set by Penstock: use another name")
        return self


class _ByComponent[Settings: Section](Section):
    """Settings for every component, and for single ones."""

    default: Settings | None = Field(default=None, description="For every component.")

    def of(self, function: str) -> Settings | None:
        """Returns the settings of the component whose tasks execute a function: csv_example_gen has example_gen's."""
        component = registry.component(function)
        own: Settings | None = getattr(self, component.name) if component else None
        if self.default is None or own is None:
            return own or self.default
        return self.default.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


if TYPE_CHECKING:
    ByComponent = _ByComponent
else:  # with a field for each component
    _Settings = TypeVar("_Settings", bound=Section)
    ByComponent = create_model(
        "ByComponent",
        __doc__=_ByComponent.__doc__,
        __base__=(_ByComponent[_Settings], Generic[_Settings]),
        __module__=__name__,
        **{
            component.name: (_Settings | None, Field(default=None, description=f"For {component.title}."))
            for component in registry.COMPONENTS
        },
    )
