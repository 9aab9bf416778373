"""The workers of a run: one for light tasks, there in a moment, and one for those that need TensorFlow."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from kfp import local

from penstock.pipelines.local.processes import needs
from penstock.pipelines.local.processes.task import Task
from penstock.pipelines.local.processes.warm_process import Worker
from penstock.pipelines.local.task_order import ContainerTask

_EXECUTOR = "kfp.dsl.executor"
_CHANNEL = "pipelinechannel--"  # before a pipeline's parameter, where KFP hands it to an inner pipeline


class Workers:
    """Starts the light worker at once. The heavy one starts now if `eager`, else with the first task that needs it.

    A run that is answered from the cache thus never imports TensorFlow. The heavy worker imports what the tasks need,
    in their order, so that a task's imports are done while earlier ones run. Temporary files go below `temporary`.
    """

    def __init__(
        self, tasks: Sequence[ContainerTask], arguments: Mapping[str, Any], temporary: Path, *, eager: bool
    ) -> None:
        light, heavy = [_EXECUTOR], [_EXECUTOR]
        for task in tasks:
            needed = needs.of_component(task.source)
            if needed.slow:
                heavy += [*needed.modules, *needs.of_parameters(_parameters(task, arguments))]
            else:
                light += needed.modules
        self._temporary = temporary
        self._light = Worker(dict.fromkeys(light), temporary)
        self._heavy_modules = list(dict.fromkeys(heavy))
        self._heavy: Worker | None = None
        self._lock = threading.Lock()
        if eager:
            self._expect_heavy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in filter(None, (self._light, self._heavy)):
            worker.close()

    @property
    def image(self) -> str:
        """None: tasks run in this environment."""
        return ""

    def runner(self) -> local.SubprocessRunner:
        return local.SubprocessRunner(use_venv=False)

    def expect(self, task: Task) -> None:
        """A task that has to run is followed by others: what they need is imported from now on."""
        self._expect_heavy()

    def run(self, task: Task, started: Callable[[], None]) -> int:
        """Runs a task to its end; returns its exit code, negative for the signal that killed it.

        `started` is called once everything that the task needs has been imported.
        """
        needed = needs.of_component(task.source)
        if not needed.slow:
            return self._light.run(task, [_EXECUTOR, *needed.modules], started)
        parameters = task.executor_input.get("inputs", {}).get("parameterValues", {})
        modules = [_EXECUTOR, *needed.modules, *needs.of_parameters(parameters)]
        return self._start_heavy().run(task, modules, started)

    def stop_tasks(self) -> None:
        for worker in filter(None, (self._light, self._heavy)):
            worker.stop_tasks()

    def _expect_heavy(self) -> None:
        if len(self._heavy_modules) > 1:
            self._start_heavy()

    def _start_heavy(self) -> Worker:
        with self._lock:
            self._heavy = self._heavy or Worker(self._heavy_modules, self._temporary)
            return self._heavy


def _parameters(task: ContainerTask, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a task's parameters that are known before the run: constants, and the pipeline's own."""
    values = {}
    for name, parameter in task.parameters.items():
        if "componentInputParameter" in parameter:
            values[name] = arguments.get(parameter["componentInputParameter"].removeprefix(_CHANNEL))
        else:
            values[name] = parameter.get("runtimeValue", {}).get("constant")
    return values
