"""The tasks of a compiled pipeline in the order in which they run, those of inner pipelines in their place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import ConfigError


@dataclass(frozen=True)
class ContainerTask:
    """A task that runs a component's source, and what the pipeline says of it.

    name: of the task's folder. parameters: KFP's `inputs.parameters`: constants, or where the values come from.
    cacheable: whether the task may be answered from the cache.
    """

    name: str
    source: str
    parameters: dict[str, Any]
    cacheable: bool


def container_tasks(spec: dict[str, Any]) -> Iterator[ContainerTask]:
    """Yields the tasks that run a component's source, each after those that it depends on.

    Raises a ConfigError for a task that depends on one that is not there, or on itself.
    """
    yield from _tasks(spec, "root", spec["root"]["dag"]["tasks"])


def _tasks(spec: dict[str, Any], pipeline: str, tasks: dict[str, Any]) -> Iterator[ContainerTask]:
    for task in _in_order(pipeline, tasks):
        component = task["componentRef"]["name"]
        inner = spec["components"][component]
        if "dag" in inner:
            yield from _tasks(spec, component, inner["dag"]["tasks"])
            continue
        executor = spec["deploymentSpec"]["executors"][inner["executorLabel"]]
        if "container" in executor:
            yield ContainerTask(
                component.removeprefix("comp-"),
                (executor["container"].get("command") or [""])[-1],
                task.get("inputs", {}).get("parameters", {}),
                bool(task.get("cachingOptions", {}).get("enableCache")),
            )


def _in_order(pipeline: str, tasks: dict[str, Any]) -> list[dict[str, Any]]:
    for name, task in tasks.items():
        for other in task.get("dependentTasks", []):
            if other not in tasks:
                raise ConfigError(
                    f"task {name!r} of {pipeline}: expected dependentTasks to name tasks beside it "
                    f"({', '.join(tasks)}), received {other!r}: compile the pipeline again"
                )
    done: dict[str, dict[str, Any]] = {}
    while len(done) < len(tasks):
        ready = [
            name
            for name, task in tasks.items()
            if name not in done and all(other in done for other in task.get("dependentTasks", []))
        ]
        if not ready:
            waiting = ", ".join(name for name in tasks if name not in done)
            raise ConfigError(
                f"tasks of {pipeline}: expected an order in which each runs after its dependentTasks, but {waiting} "
                "wait for each other: compile the pipeline again"
            )
        done.update((name, tasks[name]) for name in ready)
    return list(done.values())
