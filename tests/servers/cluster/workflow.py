"""A run as Argo runs what KFP compiles of a pipeline: a driver beside each task, graphs in graphs, exit hooks.

A task starts when those it depends on have succeeded. After a failure no other task of its graph starts (Argo's
failFast), those that run go on, and those that needed the failed one are omitted.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.cluster import driver, nodes
from tests.servers.cluster.driver import DriverError, Inputs, Scope
from tests.servers.cluster.expressions import EvaluationError
from tests.servers.cluster.launcher import Launcher
from tests.servers.cluster.metadata import Metadata, Outputs
from tests.servers.cluster.nodes import Node, Step, Tree
from tests.servers.cluster.pods import Container, Namespace, NoSuchObject, Pod, PodKilled
from tests.servers.cluster.storage import LauncherError, Store

SUCCEEDED, FAILED, SKIPPED, OMITTED = "SUCCEEDED", "FAILED", "SKIPPED", None


@dataclass(frozen=True)
class Place:
    """What the runs of a cluster share."""

    folder: Path
    store: Store | None
    metadata: Metadata
    namespace: Namespace
    make_pod: Callable[[str, Path, Container], Pod]
    slots: threading.Semaphore
    attempts: bool
    # What Kubeflow and Vertex AI do in their own ways. `complete` is what an exit task is told of a success.
    complete: str = "COMPLETE"
    run_root: Callable[[str, str, str], str] = lambda root, pipeline, run_id: f"{root}/{pipeline}/{run_id}"
    outputs_of: Callable[[Mapping[str, Any], str, str], dict[str, Any]] = driver.outputs_of
    launcher: Callable[[Pod, Any, Metadata, str], Launcher] = Launcher


@dataclass(frozen=True)
class Task:
    """A task of a graph: its name there, the node that the graph is, and the nodes that come right before it."""

    name: str
    spec: Mapping[str, Any]
    parent: str
    above: list[Node]
    scope: Scope

    @property
    def full_name(self) -> str:
        return f"{self.parent}.{self.name}"


@dataclass(frozen=True)
class End:
    """How a task ended, its node, and whether it ran at all."""

    state: str | None
    step: Step
    outputs: Outputs = field(default_factory=Outputs)
    ran: bool = True

    def leaves(self) -> list[Node]:
        return self.step.leaves()


class Workflow:
    """A run. `given` are the executor inputs of its tasks, `logs` what its pods have said, by their names."""

    def __init__(
        self,
        place: Place,
        name: str,
        run_id: str,
        documents: tuple[Mapping[str, Any], Mapping[str, Any]],
        logs: dict[str, str],
    ) -> None:
        spec, platform = documents
        self.place, self.name, self.run_id = place, name, run_id
        self.spec, self.pipeline = spec, spec["pipelineInfo"]["name"]
        self.tree = Tree(name, run_id, place.attempts)
        self.reported, self.stopped = threading.Event(), threading.Event()
        self.pods: dict[str, Pod] = {}
        self.logs = logs
        self.given: dict[str, dict[str, Any]] = {}
        self._platform = (
            platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
        )

    def run(self, parameters: Mapping[str, Any], root: str, display_name: str) -> str:
        """Runs the pipeline to its end; returns its state."""
        self.root = self.place.run_root(root.rstrip("/"), self.pipeline, self.run_id)
        names = {
            "{{$.pipeline_job_name}}": display_name,
            "{{$.pipeline_job_resource_name}}": self.name,
            "{{$.pipeline_job_uuid}}": self.run_id,
            "{{$.pipeline_job_create_time_utc}}": nodes.now(),
            "{{$.pipeline_job_schedule_time_utc}}": nodes.now(),
        }
        whole = self.tree.begin(self.name, [])
        begun = self.tree.begin(f"{whole.name}.root-driver", [whole.last], is_pod=True)
        self.reported.set()
        self.tree.end(begun, SUCCEEDED)
        graph = self.tree.begin(f"{whole.name}.root", begun.leaves())
        state = self._graph(self.spec["root"], graph, Scope(driver.root_inputs(self.spec, parameters), names))
        self.tree.end(whole, state)
        return state

    def stop(self) -> None:
        """Ends what runs; nothing more starts."""
        self.stopped.set()
        for pod in list(self.pods.values()):
            pod.kill()

    def _graph(self, component: Mapping[str, Any], step: Step, scope: Scope) -> str:
        """Runs a graph's tasks and ends its node; returns its state."""
        tasks = {name: task for name, task in component["dag"]["tasks"].items() if not _is_exit(task)}
        hooks = {task["dependentTasks"][0]: (name, task) for name, task in component["dag"]["tasks"].items()
                 if _is_exit(task)}  # fmt: skip
        needed = {name: sorted(driver.dependencies(task)) for name, task in tasks.items()}
        ends: dict[str, End] = {}
        running: dict[Future[End], str] = {}
        with ThreadPoolExecutor(max_workers=max(len(tasks), 1)) as threads:
            while True:
                ready = [name for name in tasks if name not in ends and name not in running.values()
                         and all(other in ends for other in needed[name])]  # fmt: skip
                for name in ready:
                    above = [node for other in needed[name] for node in ends[other].leaves()] or [step.last]
                    if any(ends[other].state != SUCCEEDED for other in needed[name]):
                        ends[name] = self._omitted(f"{step.name}.{name}", tasks[name], above)
                    elif not self._is_over(ends):
                        task = Task(name, tasks[name], step.name, above, scope)
                        running[threads.submit(self._task_and_hook, task, hooks.get(name))] = name
                if not running and not any(name in ends for name in ready):
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(done)
                    ends[name] = done.result()
                    scope.outputs[name] = ends[name].outputs
        state = FAILED if self._is_over(ends) else SUCCEEDED
        used = {other for others in needed.values() for other in others}
        step.outbound = [node for name, end in ends.items() if name not in used for node in end.leaves()]
        self.tree.end(step, state)
        return state

    def _is_over(self, ends: Mapping[str, End]) -> bool:
        return self.stopped.is_set() or any(end.state == FAILED for end in ends.values())

    def _omitted(self, name: str, task: Mapping[str, Any], above: list[Node]) -> End:
        if "parameterIterator" not in task:
            above = self.tree.never(f"{name}-driver", above, OMITTED).leaves()
        return End(OMITTED, self.tree.never(name, above, OMITTED))

    def _task_and_hook(self, task: Task, hook: tuple[str, Mapping[str, Any]] | None) -> End:
        end = self._task(task)
        task.scope.ends[task.name] = self.place.complete if end.state == SUCCEEDED else str(end.state)
        if hook is None or not end.ran or self.stopped.is_set():
            return end
        step = self.tree.begin(f"{task.full_name}.onExit", end.leaves())
        last = self._task(Task(*hook, step.name, [step.last], task.scope))
        self.tree.end(step, SUCCEEDED if last.state == SUCCEEDED else FAILED)
        return end if last.state == SUCCEEDED else End(FAILED, end.step, end.outputs)

    def _task(self, task: Task) -> End:
        component = self.spec["components"][task.spec["componentRef"]["name"]]
        if "parameterIterator" in task.spec:
            return self._loop(task, component)
        if "dag" in component:
            begun, inputs, triggered = self._drive(f"{task.full_name}-driver", task, component)
            if inputs is None or not triggered:
                state = OMITTED if inputs is None else SKIPPED
                step = self.tree.never(task.full_name, begun.leaves(), state)
                return End(FAILED if inputs is None else SKIPPED, step, ran=False)
            return self._sub_graph(task.full_name, component, begun, inputs, task.scope)
        executor = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if "importer" in executor:
            return self._importer(task, component, executor["importer"])
        return self._container(task, component, executor["container"])

    def _drive(
        self, name: str, task: Task, component: Mapping[str, Any], above: list[Node] | None = None
    ) -> tuple[Step, Inputs | None, bool]:
        """Runs a driver; returns its node, the inputs (None if it failed), and whether the condition holds."""
        step = self.tree.begin(name, task.above if above is None else above, is_pod=True)
        try:
            inputs = driver.resolve(task.spec, component, task.scope)
            triggered = driver.is_triggered(task.spec, inputs)
        except (DriverError, EvaluationError) as error:
            pod = nodes.pod_name(self.name, "system-container-driver", step.last.name)
            self.logs[pod] = f"F1129 00:00:00.000000       1 main.go:79] KFP driver: driver failed: {error}\n"
            self.tree.end(step, FAILED)
            return step, None, False
        self.tree.end(step, SUCCEEDED)
        return step, inputs, triggered

    def _sub_graph(self, name: str, component: Mapping[str, Any], begun: Step, inputs: Inputs, scope: Scope) -> End:
        step = self.tree.begin(name, begun.leaves())
        inner = Scope(inputs, scope.names)
        state = self._graph(component, step, inner)
        return End(state, step, driver.graph_outputs(component, inner))

    def _loop(self, task: Task, component: Mapping[str, Any]) -> End:
        step = self.tree.begin(task.full_name, task.above)
        begun, inputs, triggered = self._drive(f"{step.name}.iteration-driver", task, component, [step.last])
        if inputs is None or not triggered:
            state = FAILED if inputs is None else SUCCEEDED
            self.tree.end(step, state)
            return End(state, step)
        group = self.tree.begin(f"{step.name}.iteration-iterations", begun.leaves(), is_template=False)
        given = driver.passes(task.spec, component, inputs)

        def one_pass(number: int, own: Inputs) -> End:
            if self.stopped.is_set():
                return End(FAILED, group)
            item = self.tree.begin(f"{group.name}({number}:{number})", [group.last])
            begun = self.tree.begin(f"{item.name}.iteration-item-driver", [item.last], is_pod=True)
            self.tree.end(begun, SUCCEEDED)
            end = self._sub_graph(f"{item.name}.iteration-item", component, begun, own, task.scope)
            item.outbound = end.leaves()
            self.tree.end(item, str(end.state))
            return End(end.state, item, end.outputs)

        limit = task.spec.get("iteratorPolicy", {}).get("parallelismLimit") or max(len(given), 1)
        with ThreadPoolExecutor(max_workers=int(limit)) as threads:
            ends = list(threads.map(one_pass, range(len(given)), given))
        state = SUCCEEDED if all(end.state == SUCCEEDED for end in ends) else FAILED
        step.outbound = [node for end in ends for node in end.leaves()]
        self.tree.end(group, state)
        self.tree.end(step, state)
        return End(state, step, driver.collected([end.outputs for end in ends]))

    def _importer(self, task: Task, component: Mapping[str, Any], importer: Mapping[str, Any]) -> End:
        step = self.tree.begin(task.full_name, task.above, is_pod=True)
        try:
            inputs = driver.resolve(task.spec, component, task.scope)
        except DriverError:
            self.tree.end(step, FAILED)
            return End(FAILED, step)
        uri = importer["artifactUri"].get("constant") or inputs.parameters["uri"]
        session = self.place.store.session(uri) if self.place.store else ""
        given = {"uri": uri, "type": importer["typeSchema"], "metadata": importer.get("metadata", {})}
        artifact = self.place.metadata.imported(given, session)
        self.tree.end(step, SUCCEEDED)
        return End(SUCCEEDED, step, Outputs({}, {"artifact": [artifact]}))

    def _container(self, task: Task, component: Mapping[str, Any], container: Mapping[str, Any]) -> End:
        begun, inputs, triggered = self._drive(f"{task.full_name}-driver", task, component)
        if inputs is None:
            return End(FAILED, self.tree.never(task.full_name, begun.leaves(), OMITTED), ran=False)
        step = self.tree.begin(task.full_name, begun.leaves())
        outputs: Outputs | None = Outputs()
        if not triggered:
            self.tree.never(f"{step.name}.executor", [step.last], SKIPPED)
        else:
            outputs = self._executed(task, component, container, step, inputs)
        state = FAILED if outputs is None else SUCCEEDED
        self.tree.end(step, state)
        return End(state, step, outputs or Outputs())

    def _executed(
        self, task: Task, component: Mapping[str, Any], container: Mapping[str, Any], step: Step, inputs: Inputs
    ) -> Outputs | None:
        """Returns a container's outputs, of an earlier execution where one of the same key is remembered."""
        name, started = task.spec["taskInfo"]["name"], nodes.now()
        executor_input = {"inputs": inputs.message(), "outputs": self.place.outputs_of(component, name, self.root)}
        platform = self._platform.get(component["executorLabel"], {})
        claims = [one.get("constant", "") for one in platform.get("pvcMount", [])]
        key = ""
        if task.spec.get("cachingOptions", {}).get("enableCache"):
            key = driver.fingerprint(executor_input, component, container, claims)
            remembered = self.place.metadata.cached(self.pipeline, key)
            if remembered is not None:
                step.outbound = self.tree.never(f"{step.name}.executor", [step.last], SKIPPED).leaves()
                return remembered
        execution = self.place.metadata.execution()
        policy = task.spec.get("retryPolicy", {})
        # The retryStrategy that 2.17.0 ships tries again what Argo could not run, not what failed.
        tries = 1 + (0 if self.place.attempts else int(policy.get("maxRetryCount", 0)))
        executor = self.tree.begin(f"{step.name}.executor", [step.last], is_pod=True, retried=tries > 1)
        step.outbound = executor.leaves()
        template = "retry-system-container-impl" if policy else "system-container-impl"
        outputs = None
        for number in range(tries):
            if number:
                self.tree.attempt(executor, number)
            outputs = self._pod(task.name, executor, template, executor_input, component, container, platform)
            if outputs is not None or self.stopped.is_set():
                break
            self.tree.end_attempt(executor, FAILED)
        self.tree.end(executor, FAILED if outputs is None else SUCCEEDED)
        if outputs is not None and key:
            self.place.metadata.remember(self.pipeline, key, outputs)
            self.tree.executed(execution, started)
        return outputs

    def _pod(
        self,
        task_name: str,
        step: Step,
        template: str,
        executor_input: Mapping[str, Any],
        component: Mapping[str, Any],
        container: Mapping[str, Any],
        platform: Mapping[str, Any],
    ) -> Outputs | None:
        """Runs a pod; returns its outputs, None if it failed."""
        name = nodes.pod_name(self.name, template, step.last.name)
        folder = self.place.folder / name
        folder.mkdir()
        try:
            resolved = self.place.namespace.container(container, platform, folder)
        except NoSuchObject as error:
            self.logs[name] = f"Error: {error}\n"  # the container is not created: it waits for ever
            self.stopped.wait()
            return None
        with self.place.slots:
            pod = self.pods[name] = self.place.make_pod(name, folder, resolved)
            if self.stopped.is_set():
                pod.kill()
            self.tree.run(step)
            launcher = self.place.launcher(pod, self.place.store, self.place.metadata, self.root)
            try:
                command = [*container.get("command", []), *container.get("args", [])]
                return launcher.launch(executor_input, component, command)
            except (LauncherError, PodKilled):
                return None
            finally:
                self.given[task_name] = launcher.given
                pod.remove()
                self.logs[name] = pod.log


def _is_exit(task: Mapping[str, Any]) -> bool:
    return bool(task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED")
