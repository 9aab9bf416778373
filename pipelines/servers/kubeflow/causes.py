"""Why tasks of a run on a Kubeflow Pipelines server failed: the server's records do not say.

A task that fails prints a last line `penstock: SENTENCE`, leaves the sentence as its container's termination message,
and writes it to failure.json among its outputs where it may. Looked for in that order of effort: in the pod's log, by
way of the server; in the pipeline root; in the cluster, with the user's kubeconfig. Whatever does not answer is passed
over: the sentence is then the command that shows the log.
"""

import contextlib
import os
import re
import shlex
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from penstock.core.errors import PenstockError
from penstock.core.failures import FAILURE_FILE
from penstock.core.files import object_stores
from penstock.core.services.kubeflow import Server
from penstock.pipelines.config.servers import Kubeflow
from penstock.pipelines.servers.causes import LIMIT, Cause, collected, in_file, short, with_causes
from penstock.pipelines.servers.kubeflow import nodes
from penstock.pipelines.servers.watch import Snapshot, Task

_SENTENCE = "penstock: "
_KILLED = 137  # 128 and SIGKILL
_ASKED = 10  # tasks: a loop may fail in each of its passes
_NAMESPACE = "kubeflow"  # where a server with one user runs its pods
_STORES = ("gs://", "s3://", "minio://")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # without one, minio:// would be looked for at AWS
_NODE_NAME = "workflows.argoproj.io/node-name"
_GLOG = re.compile(r"^[IWEF][0-9]{4} [0-9:.]+ +[0-9]+ [^ ]+\] ?(?P<text>.*)$")
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(: .*)?$")
_EXIT_STATUS = re.compile(r"exit status [0-9]+$")


@dataclass(frozen=True)
class _Failed:
    task: Task
    pod: nodes.Pod | None


def explained(server: Server, settings: Kubeflow, run_id: str, snapshot: Snapshot) -> Snapshot:
    """Returns a run that failed with the cause of each task that failed, as far as its record has none."""
    unknown = [task for task in snapshot.tasks if task.state == "FAILED" and not task.error]
    if not unknown or snapshot.state != "FAILED":
        return snapshot
    try:
        run = server.repeat(server.runs.run_service_get_run, run_id)
    except PenstockError:
        return snapshot
    pods = nodes.failed_pods(run)
    failed = [_Failed(task, pods.get(task.id)) for task in unknown]
    namespace = settings.namespace or _NAMESPACE
    causes: dict[str, Cause] = {}
    ways: tuple[Callable[[Sequence[_Failed]], Iterator[tuple[str, Cause]]], ...] = (
        lambda some: _of_server(server, run_id, some),
        lambda some: _of_root(run, some),
        lambda some: _of_cluster(namespace, run_id, some),
    )
    for way in ways:
        left = [one for one in failed if one.task.id not in causes][:_ASKED]
        if left:
            causes |= collected(partial(way, left))
    causes |= {one.task.id: _command(run, namespace, one) for one in failed if one.task.id not in causes}
    return with_causes(snapshot, causes)


def in_log(log: str) -> Cause | None:
    """Returns the cause that a task's log ends with: its own sentence, else what ended it, else what it raised.

    KFP's launcher prints around them. Its own last word is the cause where it says more than an exit status: of an
    output that it could not upload, or a process that the kernel killed.
    """
    lines = log.splitlines()
    last = max((index for index, line in enumerate(lines) if line.startswith(_SENTENCE)), default=None)
    if last is not None:
        details = []
        for line in lines[last + 1 :]:
            if not line.startswith((" ", "\t")):
                break
            details.append(line)
        return Cause(short(lines[last].removeprefix(_SENTENCE)), textwrap.dedent("\n".join(details)))
    return _last_word(lines) or _raised(lines)


def _raised(lines: Sequence[str]) -> Cause | None:
    """Returns what the last traceback ends with."""
    start = max((index for index, line in enumerate(lines) if line.strip() == _TRACEBACK), default=None)
    for line in lines[start + 1 :] if start is not None else ():
        if line and not line.startswith((" ", "\t")) and _RAISED.match(line):
            return Cause(short(line))
    return None


def _last_word(lines: Sequence[str]) -> Cause | None:
    """Returns the last fatal line of KFP's launcher or driver, where it says more than an exit status.

    What the kernel kills ends with signal 9, or, as the shell that KFP starts it in tells it, with 137.
    """
    fatal = [match["text"] for line in lines if line.startswith("F") and (match := _GLOG.match(line))]
    if not fatal:
        return None
    word = fatal[-1].strip()
    if word.endswith(("signal: killed", f"exit status {_KILLED}")):
        return _out_of_memory()
    return None if _EXIT_STATUS.search(word) else Cause(short(word))


def _of_server(server: Server, run_id: str, failed: Sequence[_Failed]) -> Iterator[tuple[str, Cause]]:
    for one in failed:
        for pod in one.pod.names if one.pod else ():
            with contextlib.suppress(PenstockError):
                cause = in_log(server.log(run_id, pod))
                if cause:
                    yield one.task.id, cause
                    break


def _of_root(run: Any, failed: Sequence[_Failed]) -> Iterator[tuple[str, Cause]]:
    """Reads what the tasks left in the pipeline root, where that is a bucket. In a loop it is not told whose it is."""
    root = _run_folder(run)
    if root is None:
        return
    with object_stores.open_store(root) as store:
        for one in failed:
            name = nodes.task_name(one.task)
            folder = object_stores.join(root, name)
            files = [path for path in store.files(folder) if path.rpartition("/")[2] == FAILURE_FILE]
            causes = {in_file(store.read(object_stores.join(folder, path))) for path in files}
            if len(causes) == 1 and (cause := causes.pop()):
                yield one.task.id, cause


def _run_folder(run: Any) -> str | None:
    spec = nodes.spec_of(run)
    own = run.runtime_config.pipeline_root if run.runtime_config else None
    root = own or (spec or {}).get("defaultPipelineRoot", "")
    nowhere = root.startswith("minio://") and not any(map(os.getenv, _ENDPOINTS))
    if spec is None or nowhere or not root.startswith(_STORES):
        return None
    return object_stores.join(object_stores.join(root, spec["pipelineInfo"]["name"]), run.run_id)


def _of_cluster(namespace: str, run_id: str, failed: Sequence[_Failed]) -> Iterator[tuple[str, Cause]]:
    """Asks the cluster of the user's kubeconfig, or of this pod, for the pods of the run."""
    from penstock.core.services import kubernetes  # slow to import, and most runs succeed

    cluster = kubernetes.Server(namespace=namespace, timeout=LIMIT / 3)
    pods = cluster.request(cluster.core.list_namespaced_pod, label_selector=f"pipeline/runid={run_id}").items
    by_node = {(pod.metadata.annotations or {}).get(_NODE_NAME): pod for pod in pods}
    for one in failed:
        pod = by_node.get(one.pod.node) if one.pod else None
        if pod is None:
            continue
        cause = _in_status(pod.status)
        if cause is None:
            with contextlib.suppress(PenstockError):
                read, name = cluster.core.read_namespaced_pod_log, pod.metadata.name
                log = cluster.request(read, name=name, container="main", tail_lines=2000)
                cause = in_log(log or "")
        if cause:
            yield one.task.id, cause


def _in_status(status: Any) -> Cause | None:
    """Returns why a pod's container ended: its own message, else that the kernel killed it, or the node the pod."""
    for container in status.container_statuses or []:
        ended = container.state.terminated
        if container.name != "main" or not ended:
            continue
        cause = None if ended.reason == "OOMKilled" else _in_message(ended.message or "")
        if cause:
            return cause
        if ended.reason == "OOMKilled" or ended.exit_code == _KILLED:
            return _out_of_memory()
    return Cause(short(f"{status.reason}: {status.message}")) if status.reason and status.message else None


def _in_message(message: str) -> Cause | None:
    """Reads a termination message: a sentence and its details, or the end of the log, where Kubernetes takes that."""
    lines = message.strip().splitlines()
    cause = in_log(message)
    if cause or not lines or any(_GLOG.match(line) for line in lines):
        return cause
    return Cause(short(lines[0]), textwrap.dedent("\n".join(lines[1:])))


def _out_of_memory() -> Cause:
    return Cause("killed: out of memory: give it more in resources, such as resources.default.memory: 16G")


def _command(run: Any, namespace: str, failed: _Failed) -> Cause:
    place = f"-n {shlex.quote(namespace)}"
    if failed.pod:
        name = failed.pod.names[_retried(run, failed.task)] if len(failed.pod.names) > 1 else failed.pod.names[0]
        return Cause(f"its log tells why: kubectl logs {place} {name} -c main")
    workflow = nodes.workflow_name(run)
    return Cause(f"it had no pod: its workflow tells why: kubectl get workflow {place} {workflow} -o yaml")


def _retried(run: Any, task: Task) -> bool:
    """Whether a task has a retry policy: its pods have another template then."""
    spec = nodes.spec_of(run)
    components = [spec["root"], *spec.get("components", {}).values()] if spec else []
    graphs = (one.get("dag", {}).get("tasks", {}) for one in components)
    return any("retryPolicy" in graph.get(nodes.task_name(task), {}) for graph in graphs)
