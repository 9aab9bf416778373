"""A compiled pipeline as rules look at it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock.core.errors import ConfigError
from penstock.core.files.yaml_documents import Location

_EXPECTED = "expected a compiled pipeline of KFP v2, as `penstock compile` writes it"


@dataclass(frozen=True)
class Constant:
    """A value that is known when the pipeline is compiled: where it stands in words, its name there, and its path."""

    place: str
    name: str
    value: Any
    path: Location


class Task(NamedTuple):
    """A task of a graph: its name, which is unique there only; what the spec says of it; its path."""

    name: str
    spec: Mapping[str, Any]
    path: Location


class Container(NamedTuple):
    """The container that a component's tasks run in, by the component's name, and its path."""

    name: str
    spec: Mapping[str, Any]
    path: Location


class Condition(NamedTuple):
    """A condition of `dsl.If` as KFP writes it, by the task that waits for it, and its path."""

    task: str
    text: str
    path: Location


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
    def placed_graphs(self) -> list[tuple[Location, Mapping[str, Mapping[str, Any]]]]:
        """The tasks of each graph by their names: the pipeline's, then those of conditions, loops and sub-pipelines;
        and the path of each graph."""
        components: list[tuple[Location, Mapping[str, Any]]] = [((0, "root"), self.spec["root"])]
        components += [((0, "components", name), component) for name, component in self.components.items()]
        return [
            ((*path, "dag", "tasks"), component["dag"]["tasks"])
            for path, component in components
            if component.get("dag", {}).get("tasks")
        ]

    @property
    def graphs(self) -> list[Mapping[str, Mapping[str, Any]]]:
        """The tasks of each graph by their names."""
        return [graph for _, graph in self.placed_graphs]

    def tasks(self) -> Iterator[Task]:
        """Yields every task of every graph."""
        for path, graph in self.placed_graphs:
            yield from (Task(name, spec, (*path, name)) for name, spec in graph.items())

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

    def containers(self) -> Iterator[Container]:
        """Yields the containers that tasks run in."""
        for label, executor in self.spec.get("deploymentSpec", {}).get("executors", {}).items():
            if "container" in executor:
                path = (0, "deploymentSpec", "executors", label, "container")
                yield Container(label.removeprefix("exec-"), executor["container"], path)

    def conditions(self) -> Iterator[Condition]:
        """Yields the conditions."""
        for name, task, path in self.tasks():
            if task.get("triggerPolicy", {}).get("condition"):
                yield Condition(name, task["triggerPolicy"]["condition"], (*path, "triggerPolicy", "condition"))

    def constants(self) -> Iterator[Constant]:
        """Yields the defaults of the pipeline's and of components' parameters, what a run and tasks are given, and
        variables."""
        yield from _defaults("", self.spec["root"], (0, "root"))
        for name, value in self.run_parameters.items():
            yield Constant(f"parameter {name}", name, value, (0,))
        for task_name, task, path in self.tasks():
            for name, source in task.get("inputs", {}).get("parameters", {}).items():
                if "constant" in source.get("runtimeValue", {}):
                    place = f"{task_name}: parameter {name}"
                    yield Constant(
                        place, name, source["runtimeValue"]["constant"], (*path, "inputs", "parameters", name)
                    )
        for label, component in self.components.items():
            yield from _defaults(f"component {label.removeprefix('comp-')}: ", component, (0, "components", label))
        for component_name, container, path in self.containers():
            for number, variable in enumerate(container.get("env", [])):
                place = f"component {component_name}: variable {variable.get('name', '')}"
                yield Constant(place, variable.get("name", ""), variable.get("value", ""), (*path, "env", number))


def _defaults(place: str, component: Mapping[str, Any], path: Location) -> Iterator[Constant]:
    """Yields the defaults of a component's parameters."""
    for name, entry in component.get("inputDefinitions", {}).get("parameters", {}).items():
        if "defaultValue" in entry:
            where = (*path, "inputDefinitions", "parameters", name)
            yield Constant(f"{place}parameter {name}", name, entry["defaultValue"], where)


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
