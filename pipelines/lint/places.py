"""The places that tasks of our components read or write themselves: what their parameters name, wherever it is from.

Artifacts are not among them: KFP moves those, with credentials and mounts of its own.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from penstock.components.example_gen.inputs import references
from penstock.pipelines.lint.pipeline import Pipeline

_PUSH = "push_destination"
SERVICES = ("vertex_ai", "kserve", "sagemaker")  # what a model may be pushed to beside a folder; each has a storage
STORAGES = (*(f"{_PUSH}.{service}.storage" for service in SERVICES), "service.vertex_ai.storage")
# Of the monitoring pipeline: what a window is read from, and what is remembered from one window to the next.
_MONITORING = ("baseline", "requests", "labels.files", "history", "state")
PARAMETERS = (
    *("input_base", "module_file", "schema_file", _PUSH),
    *(*STORAGES, *_MONITORING, "rules.file"),
    *("pipeline_root", "working_dir"),
)
_OURS = "from penstock.components."  # what the source of each of our components imports when it runs
_PLACE = re.compile(r"^(?:(?:sqlite|duckdb):///)?((?:/|(?:gs|s3|minio)://)[^/].*)", re.DOTALL)
_KEYS = {"files": "", "input_base": "path"}  # what the configuration calls files of a split
_PLACEHOLDER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


@dataclass(frozen=True)
class Place:
    """A path or URI, the parameter that names it, and the label of the executor that is given it.

    push_destination names a folder, and like ModelMonitor's service a storage for each service, and labels and rules of
    cleaning name files: these are parameters of their own here.
    """

    executor: str
    parameter: str
    value: str
    key: str = ""  # within `data`, where it is one of a source's options

    @property
    def component(self) -> str:
        return self.executor.removeprefix("exec-")


def named(pipeline: Pipeline) -> list[Place]:
    """Returns the places by their executors, nothing twice. What is known only while a pipeline runs is not there."""
    places = set(_of_graph(pipeline, pipeline.spec["root"], pipeline.arguments))
    return sorted(places, key=lambda place: (place.executor, PARAMETERS.index(place.parameter), place.value, place.key))


def _of_graph(pipeline: Pipeline, graph: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[Place]:
    for task in graph.get("dag", {}).get("tasks", {}).values():
        component = pipeline.component(task)
        values = _values(component, task, arguments)
        if "dag" in component:
            yield from _of_graph(pipeline, component, values)
            continue
        label = component.get("executorLabel", "")
        if _is_ours(pipeline.container(label)):
            for parameter in PARAMETERS:
                value = values.get(parameter.partition(".")[0])
                nested = parameter == _PUSH or "." in parameter
                for place in _in_json(parameter, value) if nested else [value]:
                    if isinstance(place, str) and place:
                        inside = _of_source(place) if references.is_reference(place) else [("", place)]
                        yield from (Place(label, parameter, each, key) for key, each in inside)


def _of_source(reference: str) -> Iterator[tuple[str, str]]:
    """Yields the paths and the buckets that a source's options name, and the module of a source of one's own.

    With each comes what the configuration calls it within `data`.
    """
    with contextlib.suppress(ValueError):
        waiting: list[tuple[tuple[str, ...], Any]] = [((), json.loads(reference))]
        while waiting:
            keys, value = waiting.pop(0)
            if isinstance(value, dict):
                is_source = not keys or (len(keys) == 2 and keys[0] == "splits")
                items: dict[str, Any] = value
                for name, item in items.items():
                    if is_source and "." in name:  # the path of a class
                        waiting.append(((*keys, "custom", "paths"), item))
                        waiting.append(((*keys, "custom", "class"), name.rpartition(":")[0]))
                    else:
                        waiting.append(((*keys, _KEYS.get(name, name)), item))
            elif isinstance(value, list):
                waiting += [(keys, item) for item in value]
            elif isinstance(value, str) and (found := _PLACE.match(value)):
                yield ".".join(filter(None, keys)), found[1]  # of a database's URL the file


def _values(component: Mapping[str, Any], task: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a task's parameters, as far as they are known from the graph's `arguments`."""
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    values = {name: entry["defaultValue"] for name, entry in declared.items() if "defaultValue" in entry}
    for name, source in task.get("inputs", {}).get("parameters", {}).items():
        values.pop(name, None)
        if "constant" in source.get("runtimeValue", {}):
            values[name] = source["runtimeValue"]["constant"]
        elif source.get("componentInputParameter") in arguments:
            values[name] = arguments[source["componentInputParameter"]]
    return {name: _filled(value, values) for name, value in values.items()}


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Puts values in place of the placeholders of a text: `{pipeline_root}/tuning`."""
    if not isinstance(value, str):
        return value
    return _PLACEHOLDER.sub(lambda match: str(values.get(match[1], match[0])), value)


def _is_ours(container: Mapping[str, Any]) -> bool:
    return any(_OURS in part for part in (*container.get("command", []), *container.get("args", [])))


def _in_json(parameter: str, value: Any) -> list[str]:
    """Returns the paths or URIs in JSON: where the dots of the name lead, of TFX's push_destination the folder.

    Of a list every item is looked into.
    """
    _, *keys = parameter.split(".")
    try:
        places = [json.loads(value)]
        for key in keys or ("filesystem", "base_directory"):
            items = chain.from_iterable(place if isinstance(place, list) else [place] for place in places)
            places = [item[key] for item in items if key in item]
    except (ValueError, TypeError, KeyError):
        return []  # a placeholder whose value is not known, or what the component refuses
    return [str(place) for place in places]
