"""The workers of a run: one for light tasks, there in a moment, and one for those that need TensorFlow."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from kfp import local

from penstock.pipelines.local.processes import imports
from penstock.pipelines.local.processes.task import Task
from penstock.pipelines.local.processes.warm_process import Worker

_EXECUTOR = "kfp.dsl.executor"


class Workers:
    """Starts the light worker at once. The heavy one starts now if `eager`, else with the first task that needs it.

    A run that is answered from the cache thus never imports TensorFlow. The heavy worker imports what the components
    import, in the pipeline's order, then what the user's modules do.
    """

    def __init__(self, spec: dict[str, Any], arguments: dict[str, Any], *, eager: bool):
        executors = spec["deploymentSpec"].get("executors", {}).values()
        sources = [executor["container"]["command"][-1] for executor in executors if "container" in executor]
        self._light = Worker([_EXECUTOR, *_modules([s for s in sources if not imports.needs_tensorflow(s)])])
        self._heavy_modules = [
            _EXECUTOR,
            *_modules([source for source in sources if imports.needs_tensorflow(source)]),
            *_user_modules(arguments),
        ]
        self._heavy: Worker | None = None
        self._lock = threading.Lock()
        if eager and any(imports.needs_tensorflow(source) for source in sources):
            self._start_heavy()

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
        if len(self._heavy_modules) > 1:
            self._start_heavy()

    def run(self, task: Task, started: Callable[[], None]) -> int:
        """Runs a task to its end; returns its exit code, negative for the signal that killed it.

        `started` is called once everything that the task needs has been imported.
        """
        needs = [_EXECUTOR, *_modules([task.source])]
        if not imports.needs_tensorflow(task.source):
            return self._light.run(task, needs, started)
        parameters = task.executor_input.get("inputs", {}).get("parameterValues", {})
        return self._start_heavy().run(task, [*needs, *_user_modules(parameters)], started)

    def stop_tasks(self) -> None:
        for worker in filter(None, (self._light, self._heavy)):
            worker.stop_tasks()

    def _start_heavy(self) -> Worker:
        with self._lock:
            self._heavy = self._heavy or Worker(self._heavy_modules)
            return self._heavy


def _modules(sources: list[str]) -> list[str]:
    return list(dict.fromkeys(name for source in sources for name in imports.direct(source)))


def _user_modules(values: dict[str, Any]) -> list[str]:
    """What the user's module files among a task's parameters import, but for their own siblings."""
    found: list[str] = []
    for value in values.values():
        if isinstance(value, str) and value.endswith(".py") and Path(value).is_file():
            names = imports.direct(Path(value).read_text(encoding="utf-8", errors="replace"))
            siblings = {path.stem for path in Path(value).parent.iterdir()}
            found += [name for name in names if name.partition(".")[0] not in siblings]
    return list(dict.fromkeys(found))
