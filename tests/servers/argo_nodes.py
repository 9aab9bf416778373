"""The records that a Kubeflow Pipelines server gives of a run's Argo nodes, made of the pipeline's tasks.

    records({**task("trainer", "FAILED", tries=2), **task("pusher", None)}, state="FAILED", attempts=True)

`attempts` gives every node attempts, as the settings do that KFP 2.17 ships; without, as with those of 2.16, only what
is retried has them. A state of None is what Argo calls Omitted. What comes after what, and so which record names which
id, is as in the captured run.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

WORKFLOW = "small-x7k2p"
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Node:
    """A node that began `at` a second of the run and took some."""

    state: str | None
    inside: Mapping[str, "Node"] = field(default_factory=dict)
    tries: int = 1
    retried: bool = False
    at: int = 0
    seconds: int = 2


def task(
    name: str, state: str | None, *, tries: int = 1, at: int = 0, driver: str | None = "SUCCEEDED"
) -> dict[str, Node]:
    """A task with its driver and its pod. What is left out has a driver that is left out."""
    nodes = {f"{name}-driver": Node(driver if state or driver == "FAILED" else None)}
    pod = Node(state, tries=tries, retried=tries > 1, at=at)
    return nodes | {name: Node(state, {"executor": pod} if state not in (None, "SKIPPED") else {}, at=at)}


def group(
    name: str, state: str | None, inside: Mapping[str, Node], *, driver: str | None = "SUCCEEDED"
) -> dict[str, Node]:
    return {f"{name}-driver": Node(driver), name: Node(state, inside)}


def loop(name: str, state: str, *passes: Mapping[str, Node]) -> dict[str, Node]:
    items = {
        f"iteration-iterations({index}:{index})": Node(state, group("iteration-item", state, inside))
        for index, inside in enumerate(passes)
    }
    return {name: Node(state, {"iteration-driver": Node("SUCCEEDED"), "iteration-iterations": Node(state), **items})}


def exit_handler(name: str, state: str, inside: Mapping[str, Node], exit_task: Mapping[str, Node]) -> dict[str, Node]:
    return {**group(name, state, inside), f"{name}.onExit": Node("SUCCEEDED", exit_task)}


def run(inside: Mapping[str, Node], *, state: str, attempts: bool, root_driver: str = "SUCCEEDED") -> dict[str, Any]:
    """Returns what a GET of a run says of its state and its tasks."""
    root = Node(state if root_driver == "SUCCEEDED" else None, inside if root_driver == "SUCCEEDED" else {})
    workflow = Node(state, {"root-driver": Node(root_driver), "root": root})
    made = [one.told() for one in _Records(attempts).all(workflow)]
    made.append({"task_id": str(uuid.uuid4()), "create_time": _time(0), "execution_id": "5"})  # the launcher's own
    return {"state": state, "run_details": {"task_details": sorted(made, key=lambda one: one["task_id"])}}


def node_id(name: str) -> str:
    return f"{WORKFLOW}-{_fnv(name)}"


def pod_name(template: str, name: str) -> str:
    return f"{WORKFLOW}-{template}-{_fnv(name)}"


def _fnv(text: str) -> int:
    found = 2166136261
    for byte in text.encode():
        found = (found ^ byte) * 16777619 % 2**32
    return found


def _time(second: int) -> str:
    return (_BEGIN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


@dataclass
class _Record:
    label: str
    state: str | None
    at: int
    seconds: int
    children: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        ended = self.state not in ("PENDING", "RUNNING")
        return {
            "task_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.label} {self.children}")),
            "display_name": self.label,
            "create_time": _time(0),
            "start_time": _time(self.at),
            "end_time": _time(self.at + self.seconds) if ended else "0001-01-01T00:00:00Z",
            **({"state": self.state} if self.state else {}),
            **({"child_tasks": [{"pod_name": node_id(one)} for one in self.children]} if self.children else {}),
        }


class _Records:
    def __init__(self, attempts: bool) -> None:
        self._attempts = attempts
        self._made: list[_Record] = []

    def all(self, workflow: Node) -> Iterator[_Record]:
        self._place(WORKFLOW, WORKFLOW, workflow)
        yield from self._made

    def _place(self, name: str, label: str, node: Node) -> list[_Record]:
        """Makes a node's records, and those inside; returns the ones that what comes next is named by."""
        holder = self._record(label, node, node.state)
        never = node.state in (None, "SKIPPED") or label == "iteration-iterations"
        has_attempts = not never and (self._attempts or node.retried)
        for number in range(node.tries if has_attempts else 0):
            last = number == node.tries - 1
            attempt = self._record(f"{label}({number})", node, node.state if last else "FAILED")
            holder.children.append(f"{name}({number})")
        if has_attempts:
            holder, name = attempt, f"{name}({node.tries - 1})"
        before = [holder]
        for inner_label, inner in node.inside.items():
            inner_name = f"{name}.{inner_label}"
            for one in before:
                one.children.append(inner_name)
            outbound = self._place(inner_name, inner_label, inner)
            before = before if "iteration-iterations(" in inner_label else outbound
        return [holder] if has_attempts else before

    def _record(self, label: str, node: Node, state: str | None) -> _Record:
        never = state in (None, "SKIPPED")
        self._made.append(_Record(label, state, node.at, 0 if never else node.seconds))
        return self._made[-1]
