"""The tasks of a run on a Kubeflow Pipelines server, of the nodes that Argo runs them with.

    workflow
    ├── root-driver
    └── root                          the pipeline
        ├── trainer-driver
        ├── trainer
        │   └── executor              the pod
        ├── exit-handler-1.onExit     its exit task is in here
        └── for-loop-2
            ├── iteration-driver
            ├── iteration-iterations
            └── iteration-iterations(0:0)
                ├── iteration-item-driver
                └── iteration-item    the loop's graph, in its first pass

Where Argo retries a node, its attempts are nodes too, `trainer(0)`, and what is inside is inside of an attempt. The
settings that KFP 2.17 ships do so for every node, those of 2.16 for what has a retry policy.

A server gives a record for each node, with the name that the node has in its graph alone, so that all pods are
`executor`. But the nodes that come after a record's are named by their ids, and Argo makes an id of the workflow's name
and a hash of the node's whole name. So whether there is a node of a name is asked of the ids, and the tree is exact.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from penstock.pipelines.servers.watch import ENDED, GROUP, Task

_ATTEMPT = re.compile(r"^(?P<base>.+)\([0-9]+\)$")
_PASS = re.compile(r"^(?P<base>[^(]+)\((?P<index>[0-9]+):[^()]*\)$")
_EXECUTOR, _DRIVER, _EXIT, _ITEM = "executor", "-driver", ".onExit", "iteration-item"
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Node:
    """A node: `label` is its name in its graph, `record` what the server says of it, `inside` what is in its graph.

    A node with attempts has nothing inside: they have.
    """

    name: str
    label: str
    graph: Self | None = None
    record: Any = None
    attempts: list[Self] = field(default_factory=list)
    inside: dict[str, Self] = field(default_factory=dict)

    @property
    def last(self) -> Self:
        """The last attempt, of a node that Argo does not retry itself."""
        return self.attempts[-1] if self.attempts else self

    @property
    def state(self) -> str:
        """KFP's state. What has a record without one was left out: Argo calls it Omitted."""
        if self.record is None:
            return "PENDING"
        return state(self.record) or "SKIPPED"

    def find(self, label: str) -> Self | None:
        """Returns a node of the graph; an exit task's is one graph further in."""
        inside = self.last.inside
        for graph in (inside, *(node.last.inside for name, node in inside.items() if name.endswith(_EXIT))):
            if label in graph:
                return graph[label]
        return None


@dataclass(frozen=True)
class Pod:
    """The pod that a task failed in, by all names that it may have: a retried task's has another template."""

    node: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """A task of the pipeline, or a group whose driver failed, and its nodes as far as there are any."""

    id: str
    name: str
    node: Node | None
    driver: Node | None = None
    group: bool = False


def tasks(run: Any) -> tuple[Task, ...]:
    """Returns the tasks of a run as a person knows them, in the order in which they began.

    The pipeline of the record says which they are; without one, as in a run of an uploaded pipeline, their nodes' names
    do. What a run that has ended left out is SKIPPED.
    """
    workflow = _workflow(run)
    if workflow is None:
        return ()
    ended = state(run) in ENDED
    timed = [_task(place) for place in _places(run, workflow) if ended or place.node or _failed(place.driver)]
    return tuple(task for _, task in sorted(timed, key=lambda pair: (pair[1].state == "SKIPPED", pair[0])))


def is_late(run: Any) -> bool:
    """Whether the records of a run's tasks stand behind its own: the server writes them after it."""
    workflow = _workflow(run)
    if workflow is None or state(run) not in ENDED:
        return False
    places = _places(run, workflow)
    return workflow.state not in ENDED or any(one.node and one.node.state not in ENDED for one in places)


def failed_pods(run: Any) -> dict[str, Pod]:
    """Returns the pods that a run's tasks failed in, by the tasks' ids, as far as they had one."""
    workflow = _workflow(run)
    if workflow is None:
        return {}
    pods: dict[str, Pod] = {}
    for place in _places(run, workflow):
        pod = _pod(place)
        if pod:
            templates, node = pod
            names = tuple(_identity(workflow.name, _hash(node.name), template) for template in templates)
            pods[place.id] = Pod(node.name, names)
    return pods


def workflow_name(run: Any) -> str | None:
    """Returns the name of the run's workflow, as far as a record tells it."""
    ids = _ids(_records(run))
    return next(iter(ids)).rpartition("-")[0] if ids else None


def task_name(task: Task) -> str:
    """Returns a task's name in its graph: without the pass of a loop that it is in."""
    return task.name.partition("[")[0]


def spec_of(run: Any) -> Mapping[str, Any] | None:
    """Returns the run's pipeline, if its record has it."""
    spec = run.pipeline_spec or {}
    spec = spec.get("pipeline_spec", spec)
    return spec if "root" in spec and "dag" in spec["root"] else None


def state(one: Any) -> str | None:
    """Returns KFP's state of a run or a task; None where the server has not said any."""
    return None if one.state == "RUNTIME_STATE_UNSPECIFIED" else one.state


def message(one: Any) -> str:
    """Returns the error of a run or a task: its own, else the newest of its history."""
    errors = [one.error, *(past.error for past in reversed(one.state_history or []))]
    return next((" ".join(error.message.split()) for error in errors if error and error.message), "")


def _records(run: Any) -> list[Any]:
    """Returns the records of Argo's nodes: the launcher's own have no name."""
    details = (run.run_details and run.run_details.task_details) or []
    return [one for one in details if one.display_name]


def _workflow(run: Any) -> Node | None:
    """Returns the tree of a run's nodes; None while there is no record that names another."""
    name = workflow_name(run)
    if name is None:
        return None
    records = _records(run)
    workflow = Node(name, name)
    known = _grow(workflow, {one.display_name for one in records}, _ids(records))
    _give_records(records, known)
    return workflow


def _ids(records: Sequence[Any]) -> set[str]:
    return {child.pod_name for one in records for child in one.child_tasks or [] if child.pod_name}


def _hash(text: str, start: int = _FNV_OFFSET) -> int:
    """FNV-1a of 32 bits; `start` goes on from the hash of what is before."""
    for byte in text.encode():
        start = ((start ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return start


def _identity(workflow: str, hashed: int, template: str = "") -> str:
    return "-".join(part for part in (workflow, template, str(hashed)) if part)


def _grow(workflow: Node, labels: set[str], ids: set[str]) -> dict[str, Node]:
    """Fills the tree below a workflow's node; returns all of its nodes by their ids."""
    plain = sorted(label for label in labels if "(" not in label and label != workflow.label)
    passes = defaultdict(list)
    for label in sorted(labels):
        if one_pass := _PASS.match(label):
            passes[one_pass["base"]].append(label)
    known = {workflow.name: workflow}
    pending = [(workflow, _hash(workflow.name))]

    def there(node: Node, hashed: int, text: str, label: str, graph: Node | None) -> Node | None:
        hashed = _hash(text, hashed)
        identity = _identity(workflow.name, hashed)
        # Which node an exit task's comes after is not told in all versions. It has a record if it is there.
        if identity not in ids and not label.endswith(_EXIT):
            return None
        child = Node(node.name + text, label, graph)
        known[identity] = child
        pending.append((child, hashed))
        return child

    while pending:
        node, hashed = pending.pop()
        while attempt := there(node, hashed, f"({len(node.attempts)})", f"{node.label}({len(node.attempts)})", node):
            node.attempts.append(attempt)
        if node.attempts or node.label == _EXECUTOR or _is_driver(node.label, labels):
            continue
        for label in plain:
            if label.endswith(_EXIT) and label.removesuffix(_EXIT) not in node.inside:
                continue
            if child := there(node, hashed, f".{label}", label, node):
                node.inside[label] = child
                inside = {one: there(node, hashed, f".{one}", one, node) for one in passes.get(label, ())}
                node.inside |= {one: child for one, child in inside.items() if child}
    return known


def _is_driver(label: str, labels: set[str] | Mapping[str, Node]) -> bool:
    base = _ATTEMPT.match(label)
    label = base["base"] if base else label
    return label.endswith(_DRIVER) and (label.removesuffix(_DRIVER) in labels or label == f"iteration{_DRIVER}")


def _give_records(records: Sequence[Any], known: Mapping[str, Node]) -> None:
    """Gives each node its record. Those of one name are told apart by the nodes that come after them.

    What is left is alike but for its times: nodes without any after them, which a loop has in every pass. A node
    without a record is none, but a hash that another has as well.
    """
    nodes: dict[str, list[Node]] = defaultdict(list)
    for node in known.values():
        nodes[node.label].append(node)
    left: dict[str, list[Any]] = defaultdict(list)
    own = {label: {id(one): one for one in some} for label, some in nodes.items()}
    beside = {label: {id(one.graph): one for one in some} for label, some in nodes.items()}
    for record in records:
        label = record.display_name
        graphs = [id(known[one.pod_name].graph) for one in record.child_tasks or [] if one.pod_name in known]
        places = (own.get(label, {}), beside.get(label, {}))
        owners = [place[graph] for place in places for graph in graphs if graph in place]
        owner = next(iter(nodes[label] if len(nodes[label]) == 1 else owners), None)
        if owner and owner.record is None:
            owner.record = record
        else:
            left[label].append(record)
    for label, some in left.items():
        free = sorted((node for node in nodes[label] if node.record is None), key=lambda node: node.name)
        for node, record in zip(free, sorted(some, key=_begun), strict=False):
            node.record = record
    for node in known.values():
        node.attempts = [one for one in node.attempts if one.record is not None]
        node.inside = {label: one for label, one in node.inside.items() if one.record is not None}


def _places(run: Any, workflow: Node) -> list[_Place]:
    spec = spec_of(run)
    name = spec["pipelineInfo"]["name"] if spec else workflow.name
    driver, root = workflow.find(f"root{_DRIVER}"), workflow.find("root")
    own = [_Place("", name, root, driver, group=True)] if _failed(driver) else []
    return [*own, *_walk(spec, spec and spec["root"], root, "", "")]


def _walk(spec: Any, component: Any, graph: Node | None, path: str, suffix: str) -> Iterator[_Place]:
    """Yields the tasks in a graph, and in the graphs in it; `suffix` names the passes of the loops that it is in."""
    for name, inner in _members(spec, component, graph):
        node, driver = (graph.find(label) if graph else None for label in (name, f"{name}{_DRIVER}"))
        here = f"{path}/{name}"
        if inner is None:
            yield _Place(here, name + suffix, node, driver)
            continue
        drivers = (driver, node.find(f"iteration{_DRIVER}") if node else None)
        yield from (_Place(here, name + suffix, node, one, group=True) for one in drivers if _failed(one))
        passes = sorted(_passes(node), key=lambda one_pass: one_pass[0])
        for index, one in passes:
            item, number = one.find(_ITEM), f"[{index}]"
            if _failed(own := one.find(f"{_ITEM}{_DRIVER}")):
                yield _Place(here + number, name + suffix + number, item, own, group=True)
            yield from _walk(spec, inner, item, here + number, suffix + number)
        if not passes:
            yield from _walk(spec, inner, node, here, suffix)


def _members(spec: Any, component: Any, graph: Node | None) -> Iterator[tuple[str, Any]]:
    """Yields what a graph is made of: a name each, and the component of a group, or None for a task."""
    if spec:
        for name, task in component["dag"]["tasks"].items():
            inner = spec["components"][task["componentRef"]["name"]]
            yield name, inner if "dag" in inner else None
        return
    inside = graph.last.inside if graph else {}
    for label, node in inside.items():
        if label.endswith(_EXIT):
            yield from _members(spec, component, node)
        elif not (_is_driver(label, inside) or label.startswith("iteration-") or label == _EXECUTOR):
            within = node.last.inside
            yield label, {} if (within or GROUP.match(label)) and _EXECUTOR not in within else None


def _passes(node: Node | None) -> Iterator[tuple[int, Node]]:
    for label, one in node.last.inside.items() if node else ():
        if one_pass := _PASS.match(label):
            yield int(one_pass["index"]), one


def _failed(node: Node | None) -> bool:
    return node is not None and node.state == "FAILED"


def _task(place: _Place) -> tuple[datetime, Task]:
    """Returns a place's task and when it began. Its driver's failure is its own, and leaves the rest of it out."""
    node = place.driver if _failed(place.driver) else place.node
    if node is None:
        return _NEVER, Task(place.id, place.name, "SKIPPED")
    record = node.record
    errors = [message(one.record) for one in (node, *node.last.inside.values()) if one.record is not None]
    error = next(filter(None, errors), "")
    task = Task(place.id, place.name, node.state, _seconds(record), error, attempt=_tries(place.node))
    return _begun(record), task


def _tries(node: Node | None) -> int:
    """Returns how often a task was tried: its pods, in all attempts of the graph around them."""
    graphs = (node.attempts or [node]) if node else []
    pods = [graph.inside.get(_EXECUTOR) for graph in graphs]
    return max(1, sum(max(1, len(pod.attempts)) for pod in pods if pod) or (len(node.attempts) if node else 0))


def _pod(place: _Place) -> tuple[Sequence[str], Node] | None:
    """Returns the templates that a failed task's pod may be of, and its node."""
    if place.driver and _failed(place.driver):
        return (("system-dag-driver",) if place.group else ("system-container-driver",)), place.driver.last
    if place.node is None or not _failed(place.node):
        return None
    executor = place.node.find(_EXECUTOR)
    if executor:
        return ("system-container-impl", "retry-system-container-impl"), executor.last
    return None if place.driver else (("system-importer",), place.node.last)


def _begun(record: Any) -> datetime:
    return record.start_time or record.create_time or _NEVER if record is not None else _NEVER


def _seconds(record: Any) -> float | None:
    start, end = (record.start_time, record.end_time) if record is not None else (None, None)
    return (end - start).total_seconds() if start and end and end > start else None
