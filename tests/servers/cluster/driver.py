"""KFP's driver: what a task is given, from the compiled pipeline and from what the tasks before it gave."""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.cluster import expressions
from tests.servers.cluster.metadata import Artifact, Outputs
from tests.servers.cluster.storage import local_path

_MATCHING = {"NUMBER_DOUBLE": float, "NUMBER_INTEGER": float, "BOOLEAN": bool, "LIST": list}


class DriverError(Exception):
    """The driver gives up: its pod fails, and the task is never started."""


@dataclass
class Inputs:
    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[Artifact]] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """Returns the inputs as ExecutorInput has them."""
        artifacts = {name: {"artifacts": [one.as_input() for one in each]} for name, each in self.artifacts.items()}
        found = {"artifacts": dict(sorted(artifacts.items())), "parameterValues": dict(sorted(self.parameters.items()))}
        return {key: value for key, value in found.items() if value}


@dataclass
class Scope:
    """A graph while it runs: its own inputs, and what its tasks gave, and how those ended that have ended."""

    inputs: Inputs
    names: Mapping[str, str]
    outputs: dict[str, Outputs] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)


def root_inputs(spec: Mapping[str, Any], given: Mapping[str, Any]) -> Inputs:
    """Returns the run's parameters, with defaults for those that were not given."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values = {name: one.get("defaultValue") for name, one in declared.items()} | dict(given)
    return Inputs({name: _number(value) for name, value in values.items()})


def resolve(task: Mapping[str, Any], component: Mapping[str, Any], scope: Scope) -> Inputs:
    """Returns a task's inputs; a DriverError where one of them has no value or one of another type."""
    found, given = Inputs(), task.get("inputs", {})
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    if "dag" in component:
        missing = {name: one for name, one in declared.items() if name not in given.get("parameters", {})}
        found.parameters = {name: one.get("defaultValue") for name, one in missing.items() if one.get("isOptional")}
    for name, source in given.get("parameters", {}).items():
        value = _parameter(name, source, task, scope)
        if value is None:
            if not declared.get(name, {}).get("isOptional"):
                raise DriverError(f"the resolved input parameter is null: {name}")
            continue
        selector = source.get("parameterExpressionSelector")
        found.parameters[name] = _number(expressions.select(value, selector) if selector else value)
    for name, source in given.get("artifacts", {}).items():
        found.artifacts[name] = _artifacts(name, source, scope)
    _check_types(found, declared, task)
    return found


def passes(task: Mapping[str, Any], component: Mapping[str, Any], inputs: Inputs) -> list[Inputs]:
    """Returns the inputs of each pass of a loop."""
    iterator = task["parameterIterator"]
    source = iterator["items"].get("inputParameter")
    items = inputs.parameters[source] if source else json.loads(iterator["items"]["raw"])
    if isinstance(items, str):
        items = json.loads(items)
    others = {name: value for name, value in inputs.parameters.items() if name != source}
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    made = [Inputs({**others, iterator["itemInput"]: _number(item)}, inputs.artifacts) for item in items]
    for one in made:
        _check_types(one, {name: kind for name, kind in declared.items() if name != source}, {})
    return made


def is_triggered(task: Mapping[str, Any], inputs: Inputs) -> bool:
    condition = task.get("triggerPolicy", {}).get("condition")
    return not condition or expressions.holds(condition, inputs.message())


def outputs_of(component: Mapping[str, Any], task_name: str, root: str) -> dict[str, Any]:
    """Returns the outputs of ExecutorInput: places below the run's root that are this task's alone."""
    folder = f"{root}/{task_name}/{uuid.uuid4()}"
    declared = component.get("outputDefinitions", {})
    artifacts = {
        name: {"name": name, "type": dict(one["artifactType"]), "uri": f"{folder}/{name}"}
        for name, one in declared.get("artifacts", {}).items()
    }
    logs = {"name": "executor-logs", "type": {"schemaTitle": "system.Artifact"}, "uri": f"{folder}/executor-logs-0"}
    artifacts["executor-logs"] = logs
    parameters = {name: {"outputFile": f"/tmp/kfp/outputs/{name}"} for name in declared.get("parameters", {})}
    found = {
        "artifacts": {name: {"artifacts": [one]} for name, one in sorted(artifacts.items())},
        "parameters": parameters,
        "outputFile": f"{local_path(folder)}/output_metadata.json",
    }
    return {key: value for key, value in found.items() if value}


def fingerprint(
    executor_input: Mapping[str, Any], component: Mapping[str, Any], container: Mapping[str, Any], claims: list[str]
) -> str:
    """Returns what an earlier execution must share to answer for this one: KFP's own choice of parts."""
    inputs, outputs = executor_input.get("inputs", {}), executor_input["outputs"]
    artifacts = {name: each["artifacts"][0] for name, each in outputs.get("artifacts", {}).items()}
    key = {
        "inputArtifactNames": {
            name: [one["name"] for one in each["artifacts"]] for name, each in inputs.get("artifacts", {}).items()
        },
        "inputParameterValues": inputs.get("parameterValues", {}),
        "outputArtifactsSpec": {name: one["type"] for name, one in artifacts.items()},
        "outputParametersSpec": component.get("outputDefinitions", {}).get("parameters", {}),
        "containerSpec": [
            container["image"],
            container.get("command", []) + container.get("args", []),
            sorted(set(claims)),
            container.get("env", []),
        ],
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def graph_outputs(component: Mapping[str, Any], scope: Scope) -> Outputs:
    """Returns what a graph gives of its tasks' outputs; those of tasks that did not run are left out."""
    declared, found = component["dag"].get("outputs", {}), Outputs()
    for name, source in declared.get("parameters", {}).items():
        choices = source.get("valueFromOneof", {}).get("parameterSelectors") or [source["valueFromParameter"]]
        for choice in choices:
            producer = scope.outputs.get(choice["producerSubtask"], Outputs())
            if choice["outputParameterKey"] in producer.parameters:
                found.parameters[name] = producer.parameters[choice["outputParameterKey"]]
                break
    for name, source in declared.get("artifacts", {}).items():
        for choice in source["artifactSelectors"]:
            producer = scope.outputs.get(choice["producerSubtask"], Outputs())
            if choice["outputArtifactKey"] in producer.artifacts:
                found.artifacts[name] = producer.artifacts[choice["outputArtifactKey"]]
                break
    return found


def collected(given: list[Outputs]) -> Outputs:
    """Returns what a loop gives: of each output, the list of what its passes gave."""
    found = Outputs()
    for one in given:
        for name, value in one.parameters.items():
            found.parameters.setdefault(name, []).append(value)
        for name, artifacts in one.artifacts.items():
            found.artifacts.setdefault(name, []).extend(artifacts)
    return found


def dependencies(task: Mapping[str, Any]) -> set[str]:
    """Returns the tasks that must have succeeded: those that the compiler names, and those whose outputs are used."""
    return set(task.get("dependentTasks", [])) | set(_producers(task))


def _producers(task: Mapping[str, Any]) -> Iterator[str]:
    for kind, key in (("parameters", "taskOutputParameter"), ("artifacts", "taskOutputArtifact")):
        for source in task.get("inputs", {}).get(kind, {}).values():
            if key in source:
                yield source[key]["producerTask"]


def _parameter(name: str, source: Mapping[str, Any], task: Mapping[str, Any], scope: Scope) -> Any:
    if "componentInputParameter" in source:
        parent = source["componentInputParameter"]
        if parent not in scope.inputs.parameters:
            raise DriverError(f"resolving input parameter {name}: parent DAG does not have input parameter {parent}")
        return scope.inputs.parameters[parent]
    if "taskOutputParameter" in source:
        given = source["taskOutputParameter"]
        producer = scope.outputs.get(given["producerTask"], Outputs())
        return producer.parameters.get(given["outputParameterKey"])
    if "taskFinalStatus" in source:
        producer_task = task["dependentTasks"][0]
        state = scope.ends[producer_task]
        job = scope.names["{{$.pipeline_job_resource_name}}"]
        return {"state": state, "pipelineTaskName": producer_task, "pipelineJobResourceName": job, "error": {}}
    constant = source["runtimeValue"]["constant"]
    if constant == "{{$.pipeline_task_name}}":
        return task["taskInfo"]["name"]
    return scope.names.get(constant, constant) if isinstance(constant, str) else constant


def _artifacts(name: str, source: Mapping[str, Any], scope: Scope) -> list[Artifact]:
    if "componentInputArtifact" in source:
        parent = source["componentInputArtifact"]
        if parent not in scope.inputs.artifacts:
            raise DriverError(
                f"failed to resolve input artifact {name}: parent DAG does not have input artifact {parent}"
            )
        return scope.inputs.artifacts[parent]
    given = source["taskOutputArtifact"]
    producer = scope.outputs.get(given["producerTask"], Outputs())
    if given["outputArtifactKey"] not in producer.artifacts:
        what = f'output artifact key "{given["outputArtifactKey"]}" in producer task "{given["producerTask"]}"'
        raise DriverError(f"failed to resolve input artifact {name}: cannot find {what}")
    return producer.artifacts[given["outputArtifactKey"]]


def _check_types(inputs: Inputs, declared: Mapping[str, Any], task: Mapping[str, Any]) -> None:
    for name, one in declared.items():
        kind = one["parameterType"]
        if name not in inputs.parameters:
            if one.get("isOptional") or "defaultValue" in one or name in task.get("parameterIterator", {}).values():
                continue
            raise DriverError(f'neither value nor default value provided for non-optional parameter "{name}"')
        value = inputs.parameters[name]
        if value is None:
            continue
        if kind == "STRING" and not isinstance(value, str):
            inputs.parameters[name] = text(value)
        elif kind in _MATCHING:
            expected = _MATCHING[kind]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number if expected is float else isinstance(value, expected)):
                raise DriverError(f'input parameter "{name}" type mismatch: expect {kind}, got {type(value).__name__}')


def text(value: Any) -> str:
    """Returns a parameter as it stands in a command line."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _number(value: Any) -> Any:
    """Returns a value as Go writes its JSON: whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, dict):
        return {key: _number(item) for key, item in value.items()}
    return value
