"""A compiled pipeline as rules look at it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock.core.errors import ConfigError

_EXPECTED = "expected a compiled pipeline of KFP v2, as `penstock compile` writes it"


@dataclass(frozen=True)
class Constant:
    """A value that is known when the pipeline is compiled: where it stands, what it is called there."""

    place: str
    name: str
    value: Any


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline, in the names of its protocol's JSON form: the spec, the platform's or {}, the parameters
    that a run is given, and views of them that rules share."""

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]
    run_parameters: Mapping[str, Any]

    @classmethod
    def of(cls, documents: Sequence[Any], run_parameters: Mapping[str, Any] = MappingProxyType({})) -> "Pipeline":
        """Reads documents by the messages of KFP's protocol; a ConfigError says what is none."""
        spec, *platforms = documents or [None]
        if not isinstance(spec, Mapping) or not {"root", "deploymentSpec"} <= spec.keys():
            raise ConfigError(f"{_EXPECTED}, with root and deploymentSpec")
        if len(platforms) > 1:
            raise ConfigError(f"{_EXPECTED}: the pipeline and at most one document for platforms, not {len(documents)}")
        read = _read(spec, pipeline_spec_pb2.PipelineSpec)
        _read(read.get("deploymentSpec", {}), pipeline_spec_pb2.PipelineDeploymentConfig)  # a Struct in the spec
        platform = _read(platforms[0], pipeline_spec_pb2.PlatformSpec) if platforms else {}
        return cls(read, platform, run_parameters)

    @property
    def name(self) -> str:
        return str(self.spec.get("pipelineInfo", {}).get("name", ""))

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """The pipeline's own parameters."""
        parameters: Mapping[str, Mapping[str, Any]] = (
            self.spec["root"].get("inputDefinitions", {}).get("parameters", {})
        )
        return parameters

    @property
    def arguments(self) -> dict[str, Any]:
        """The values of the pipeline's own parameters: those that the run is given, else their defaults."""
        defaults = {name: one["defaultValue"] for name, one in self.parameters.items() if "defaultValue" in one}
        return {**defaults, **self.run_parameters}

    @property
    def components(self) -> Mapping[str, Mapping[str, Any]]:
        components: Mapping[str, Mapping[str, Any]] = self.spec.get("components", {})
        return components

    @cached_property
    def graphs(self) -> list[Mapping[str, Mapping[str, Any]]]:
        """The tasks of each graph by their names: the pipeline's, then those of conditions, loops and sub-pipelines."""
        components = [self.spec["root"], *self.components.values()]
        return [component["dag"]["tasks"] for component in components if component.get("dag", {}).get("tasks")]

    def tasks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields every task of every graph, with its name, which is unique in its graph only."""
        for graph in self.graphs:
            yield from graph.items()

    def component(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the component of a task; {} for one that the spec lacks."""
        return self.components.get(task.get("componentRef", {}).get("name", ""), {})

    def container(self, executor: str) -> Mapping[str, Any]:
        """Returns the container of an executor by its label; {} for an importer."""
        executors = self.spec.get("deploymentSpec", {}).get("executors", {})
        container: Mapping[str, Any] = executors.get(executor, {}).get("container", {})
        return container

    def kubernetes(self, executor: str) -> Mapping[str, Any]:
        """Returns what only Kubernetes is told of an executor's pod."""
        platform = self.platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
        settings: Mapping[str, Any] = platform.get("executors", {}).get(executor, {})
        return settings

    def containers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields the containers that tasks run in, by the component's name."""
        for label, executor in self.spec.get("deploymentSpec", {}).get("executors", {}).items():
            if "container" in executor:
                yield label.removeprefix("exec-"), executor["container"]

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Yields the conditions of `dsl.If` as KFP writes them, by the tasks that wait for them."""
        for name, task in self.tasks():
            if task.get("triggerPolicy", {}).get("condition"):
                yield name, task["triggerPolicy"]["condition"]

    def constants(self) -> Iterator[Constant]:
        """Yields the defaults of the pipeline's and of components' parameters, what a run and tasks are given, and
        variables."""
        for name, entry in self.parameters.items():
            if "defaultValue" in entry:
                yield Constant(f"parameter {name}", name, entry["defaultValue"])
        for name, value in self.run_parameters.items():
            yield Constant(f"parameter {name}", name, value)
        for task_name, task in self.tasks():
            for name, source in task.get("inputs", {}).get("parameters", {}).items():
                if "constant" in source.get("runtimeValue", {}):
                    yield Constant(f"{task_name}: parameter {name}", name, source["runtimeValue"]["constant"])
        for label, component in self.components.items():
            for name, entry in component.get("inputDefinitions", {}).get("parameters", {}).items():
                if "defaultValue" in entry:
                    place = f"component {label.removeprefix('comp-')}: parameter {name}"
                    yield Constant(place, name, entry["defaultValue"])
        for component_name, container in self.containers():
            for variable in container.get("env", []):
                place = f"component {component_name}: variable {variable.get('name', '')}"
                yield Constant(place, variable.get("name", ""), variable.get("value", ""))


def named_output(task: Mapping[str, Any], channel: str) -> str | None:
    """Returns which output of a task beside it a task's channel carries, `task.output`, if it has a name of its own.

    What comes from further outside is a parameter of the graph around, and kfp.local finds it.
    """
    source = task.get("inputs", {}).get("parameters", {}).get(channel, {}).get("taskOutputParameter", {})
    if source.get("outputParameterKey", "Output") == "Output":
        return None
    return f"{source['producerTask']}.{source['outputParameterKey']}"


def _read(document: Any, message: Any) -> dict[str, Any]:
    """Returns a document as the protocol writes it, so that rules meet one spelling of each key and no odd types."""
    try:
        read: dict[str, Any] = json_format.MessageToDict(json_format.ParseDict(document, message()))
    except (json_format.Error, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{_EXPECTED}: {' '.join(str(error).split())}") from None
    return read
