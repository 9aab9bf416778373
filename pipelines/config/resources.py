"""What a component's container may use, in terms of no target; and settings by component, which `kubernetes` has too.

resources:
  default: {cpu: 2, memory: 8G}
  trainer: {cpu: 8, memory: 32G, accelerator: {type: L4}}
kubernetes:                            # Kubeflow only
  default: {object_store: kfp}         # where pods have the credentials of buckets from
  trainer: {node_selector: {pool: gpu}, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}

`default` is for every component; what a component's own entry sets replaces it there, key by key.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import BeforeValidator, Field, create_model, model_validator

from penstock.pipelines import registry
from penstock.pipelines.config.section import PositiveNumber, PositiveWhole, Section, matching

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
_Quantity = Annotated[
    str, matching(r"^[0-9]+(\.[0-9]+)?([EPTGMK]i?)?$", "bytes with a unit of Kubernetes, such as 16G or 512Mi")
]


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
    memory: _Quantity | None = Field(default=None, description="Memory, such as 16G or 512Mi.")
    accelerator: Accelerator | None = Field(default=None, description="Graphics processors.")


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
