"""The nodes of a workflow as Argo keeps them, and as the API of KFP shows them in a run's `task_details`.

A node's id is the workflow's name and a hash of the node's own. With the retryStrategy that KFP 2.17.0 ships for every
template, each node has an attempt below it, whose name ends in (0); with the settings of 2.16 only what is tried again
has attempts.
"""

import re
import threading
import time
import uuid
from typing import Any

_NEVER = "0001-01-01T00:00:00Z"


def identity(workflow: str, name: str) -> str:
    """Returns a node's id, with Argo's hash (FNV-1a of 32 bits)."""
    if name == workflow:
        return name
    return f"{workflow}-{_hash(name)}"


def pod_name(workflow: str, template: str, name: str) -> str:
    return f"{workflow}-{template}-{_hash(name)}"


def _hash(text: str) -> int:
    found = 0x811C9DC5
    for byte in text.encode():
        found = (found ^ byte) * 0x01000193 & 0xFFFFFFFF
    return found


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Node:
    """A node, and its states so far; `state` is None for what Argo calls Omitted, which the API has no word for."""

    def __init__(self, name: str, display_name: str) -> None:
        self.name, self.display_name = name, display_name
        self.task_id = str(uuid.uuid4())
        self.children: list[Node] = []
        self.started, self.ended = now(), ""
        self.history: list[tuple[str, str | None]] = []

    def be(self, state: str | None) -> None:
        self.history.append((now(), state))
        if state not in ("PENDING", "RUNNING"):
            self.ended = now()

    def record(self, workflow: str, run_id: str, created: str) -> dict[str, Any]:
        state = self.history[-1][1] if self.history else None
        past = [{"update_time": at} | ({"state": one} if one else {}) for at, one in self.history]
        children = [{"pod_name": identity(workflow, child.name)} for child in self.children]
        return {
            "run_id": run_id,
            "task_id": self.task_id,
            "display_name": self.display_name,
            "create_time": created,
            "start_time": self.started,
            "end_time": self.ended or _NEVER,
            **({"state": state} if state else {}),
            "state_history": past,
            **({"child_tasks": children} if children else {}),
        }


class Step:
    """What a template's node is: with attempts the one that counts them (`first`) and the newest attempt (`last`)."""

    def __init__(self, first: Node, last: Node, is_pod: bool) -> None:
        self.first, self.last, self.is_pod = first, last, is_pod
        self.outbound: list[Node] = []  # of a graph that has ended: its last tasks' nodes

    @property
    def name(self) -> str:
        return self.last.name

    def leaves(self) -> list[Node]:
        """Returns the nodes that what comes after this one is a child of."""
        return [self.last] if self.first is not self.last or self.is_pod else self.outbound or [self.last]


class Tree:
    """All nodes of a workflow, made and changed by many threads."""

    def __init__(self, workflow: str, run_id: str, attempts: bool) -> None:
        self.workflow, self._run_id, self._attempts = workflow, run_id, attempts
        self._lock = threading.Lock()
        self._nodes: list[Node] = []
        self._executions: list[dict[str, Any]] = []
        self._created = now()

    def begin(
        self, name: str, above: list[Node], *, is_pod: bool = False, is_template: bool = True, retried: bool = False
    ) -> Step:
        """Makes the node of what starts; `retried` gives it attempts of its own."""
        with self._lock:
            first = self._node(name, above)
            if not (is_template and (self._attempts or retried)):
                step = Step(first, first, is_pod)
                first.be("PENDING" if is_pod else "RUNNING")
                return step
            first.be("RUNNING")
            step = Step(first, first, is_pod)
        self.attempt(step, 0)
        return step

    def attempt(self, step: Step, number: int) -> None:
        with self._lock:
            step.last = self._node(f"{step.first.name}({number})", [step.first])
            step.last.be("PENDING" if step.is_pod else "RUNNING")

    def run(self, step: Step) -> None:
        with self._lock:
            step.last.be("RUNNING")

    def end_attempt(self, step: Step, state: str) -> None:
        with self._lock:
            step.last.be(state)

    def end(self, step: Step, state: str) -> None:
        with self._lock:
            if not step.last.ended:
                step.last.be(state)
            if step.first is not step.last:
                step.first.be(state)

    def never(self, name: str, above: list[Node], state: str | None) -> Step:
        """Makes the node of what does not run: SKIPPED by a condition, or, without a state, omitted after a failure."""
        with self._lock:
            node = self._node(name, above)
            node.be(state)
            return Step(node, node, is_pod=True)

    def executed(self, execution: int, started: str) -> None:
        """Notes what the cache remembers of an execution: the API lists it among the tasks, without a name."""
        with self._lock:
            self._executions.append(
                {
                    "run_id": self._run_id,
                    "task_id": str(uuid.uuid4()),
                    "create_time": started,
                    "start_time": started,
                    "end_time": now(),
                    "execution_id": str(execution),
                }
            )

    def records(self) -> list[dict[str, Any]]:
        with self._lock:
            found = [node.record(self.workflow, self._run_id, self._created) for node in self._nodes]
            return sorted([*found, *self._executions], key=lambda one: one["task_id"])

    def snapshot(self) -> list[dict[str, Any]]:
        """Returns the nodes in the order of their making, with their full names."""
        with self._lock:
            return [
                {
                    "name": node.name,
                    "display_name": node.display_name,
                    "state": node.history[-1][1] if node.history else None,
                    "start_time": node.started,
                    "end_time": node.ended,
                }
                for node in self._nodes
            ]

    def _node(self, name: str, above: list[Node]) -> Node:
        # Below the graph that it is in; of an exit hook, which Argo names after its task, with the task.
        display_name = re.sub(r"^.*?([^.]+(\.onExit(\(0\))?)?)$", r"\1", name)
        node = Node(name, display_name)
        for one in above:
            one.children.append(node)
        self._nodes.append(node)
        return node
