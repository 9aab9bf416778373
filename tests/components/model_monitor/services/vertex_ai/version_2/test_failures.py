"""Each step of version 2 fails or loses its answer: one sentence, nothing twice, and a rerun mends it."""

import time
from collections.abc import Callable

import pytest

from penstock.core.errors import PenstockError, ServerError, SystemFailure
from penstock.core.services.retries import Interrupted
from tests.components.model_monitor.services.vertex_ai.version_2.test_monitors import only_monitor, schedules, spec
from tests.servers.loopback import CtrlC, Cut, Hang, Status
from tests.servers.vertex import VertexAI
from tests.servers.vertex_operations import Failed

type Monitored = Callable[..., list[str]]

STEPS = {
    "log": ("PATCH", "/endpoints/{id}"),
    "find": ("GET", "/modelMonitors/{id}"),
    "create": ("POST", "/modelMonitors"),
    "list": ("GET", "/schedules"),
    "schedule": ("POST", "/schedules"),
    "update": ("PATCH", "/modelMonitors/{id}"),
    "reschedule": ("PATCH", "/schedules/{id}"),
    "delete": ("DELETE", "/schedules/{id}"),
}
BEFORE = {  # what an earlier run had, so that there is something to change
    "update": {"display_name": "Before"},
    "reschedule": {"interval": "6h"},
    "delete": {},
}
FAILURES = {
    "forbidden": ([Status(403, "not yours")], "does not let this account do that (403: not yours): give it the role"),
    "quota": ([Status(429, "Quota exceeded")] * 3, "no quota left (429: Quota exceeded): try again later"),
    "broken": ([Status(500)] * 3, "failed (500): try again later"),
    "cut": ([Cut(after=False)] * 3, "was cut: try again"),
}


def settings(step: str) -> dict[str, bool]:
    return {"drift": False} if step == "delete" else {}


def is_as_it_should_be(vertex: VertexAI, step: str) -> None:
    both = schedules(vertex)
    assert both.keys() == ({"skew"} if step == "delete" else {"skew", "drift"})
    assert len(vertex.model_monitors.schedules) == len(both)
    assert {one.cron for one in both.values()} == {"0 0 * * *"}
    assert only_monitor(vertex).display_name != "Before"
    assert spec(both["skew"]).objective_spec.target_dataset.time_offset.window == "24h"


@pytest.mark.parametrize(
    ("step", "failure"),
    [*((step, "forbidden") for step in STEPS), ("create", "quota"), ("schedule", "broken"), ("update", "cut")],
)
def test_a_step_fails(vertex: VertexAI, monitored: Monitored, step: str, failure: str) -> None:
    if step in BEFORE:
        monitored(**BEFORE[step])
    failures, message = FAILURES[failure]
    vertex.fail(*STEPS[step], *failures)
    with pytest.raises(PenstockError) as raised:
        monitored(**settings(step))
    assert message in raised.value.message
    monitored(**settings(step))
    is_as_it_should_be(vertex, step)


@pytest.mark.parametrize("step", ["log", "create", "schedule", "update", "reschedule", "delete"])
@pytest.mark.parametrize("failure", [Status(500), Cut(after=True)])
def test_a_step_fails_once(vertex: VertexAI, monitored: Monitored, step: str, failure: Status | Cut) -> None:
    """Whether the request had its effect or not: there is one of each, as it should be."""
    if step in BEFORE:
        monitored(**BEFORE[step])
    vertex.fail(*STEPS[step], failure)
    monitored(**settings(step))
    is_as_it_should_be(vertex, step)


@pytest.mark.parametrize("step", ["create", "schedule"])
def test_the_answer_to_a_creation_comes_too_late(vertex: VertexAI, monitored: Monitored, step: str) -> None:
    vertex.fail(*STEPS[step], Hang(1.5, effect=True))
    with pytest.raises(SystemFailure, match=r"not known whether .*: run again"):
        monitored(request_timeout=1)
    time.sleep(1.0)  # until it has had its effect
    monitored()
    is_as_it_should_be(vertex, step)


@pytest.mark.parametrize("step", ["create", "schedule"])
def test_ctrl_c(vertex: VertexAI, monitored: Monitored, step: str) -> None:
    vertex.fail(*STEPS[step], CtrlC())
    with pytest.raises(Interrupted, match="run again"):
        monitored()
    monitored()
    is_as_it_should_be(vertex, step)


@pytest.mark.parametrize(
    ("method", "before", "message"),
    [
        ("CreateModelMonitor", None, r"creating the model monitor penstock-\S+ failed: No bucket"),
        (
            "UpdateModelMonitor",
            {"display_name": "Before"},
            r"changing the model monitor penstock-\S+ failed: No bucket",
        ),
        ("DeleteSchedule", {}, r"deleting the schedule \d+ failed: No bucket"),
    ],
)
def test_an_operation_ends_badly(
    vertex: VertexAI, monitored: Monitored, method: str, before: dict[str, str] | None, message: str
) -> None:
    if before is not None:
        monitored(**before)
    step = "delete" if method == "DeleteSchedule" else ""
    vertex.operations.end(method, Failed("No bucket."))
    with pytest.raises(ServerError, match=message):
        monitored(**settings(step))
    monitored(**settings(step))
    is_as_it_should_be(vertex, step)


def test_a_monitor_that_an_earlier_run_has_begun_is_waited_for(vertex: VertexAI, monitored: Monitored) -> None:
    vertex.operations.steps = 12
    vertex.fail(*STEPS["create"], CtrlC())
    with pytest.raises(Interrupted):
        monitored()
    assert not vertex.model_monitors.monitors
    monitored()
    is_as_it_should_be(vertex, "create")
    assert len(vertex.sent(*STEPS["create"])) == 1


def test_permissions_that_are_missing(vertex: VertexAI, monitored: Monitored) -> None:
    vertex.denied = {"aiplatform.modelMonitors.create"}
    with pytest.raises(ServerError, match=r"Permission 'aiplatform\.modelMonitors\.create' denied"):
        monitored()
