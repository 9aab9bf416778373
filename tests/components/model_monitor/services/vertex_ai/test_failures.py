"""Each step of monitoring on Vertex AI fails or loses its answer: one sentence, nothing twice, and a rerun mends it."""

import time
from collections.abc import Callable

import pytest

from penstock.components.model_monitor.services import Baseline, Service
from penstock.components.pusher.destinations import Pushed
from penstock.core.artifacts import PushedVersion
from penstock.core.errors import ConfigError, PenstockError, ServerError, SystemFailure
from penstock.core.services.retries import Interrupted
from tests.components.model_monitor.services.vertex_ai.conftest import version
from tests.servers.loopback import CtrlC, Cut, Hang, Status
from tests.servers.vertex import VertexAI
from tests.servers.vertex_operations import Failed

type Watch = Callable[..., Service]

JOB = "/modelDeploymentMonitoringJobs/{id}"
LIST = ("GET", "/modelDeploymentMonitoringJobs")
CREATE = ("POST", "/modelDeploymentMonitoringJobs")
UPDATE, DELETE = ("PATCH", JOB), ("DELETE", JOB)
ENDPOINT, MODEL = ("GET", "/endpoints/{id}"), ("GET", "/models/{id}")
STEPS = {"endpoint": ENDPOINT, "model": MODEL, "list": LIST, "create": CREATE, "update": UPDATE}


@pytest.fixture
def monitored(vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion) -> Callable[..., list[str]]:
    """Returns a function that has the pushed model monitored."""
    return lambda **settings: watch(**settings).configure(baseline, [pushed])


FAILURES = {
    "refused": ([Status(400, "no such thing")], "refuses the request (400: no such thing)"),
    "forbidden": ([Status(403, "not yours")], "does not let this account do that (403: not yours): give it the role"),
    "quota": ([Status(429, "Quota exceeded")] * 3, "no quota left (429: Quota exceeded): try again later"),
    "broken": ([Status(500)] * 3, "failed (500): try again later"),
    "cut": ([Cut(after=False)] * 3, "was cut: try again"),
}


@pytest.mark.parametrize(
    ("step", "failure"),
    [
        *((step, failure) for step in ("create", "update") for failure in FAILURES),
        *((step, failure) for step in ("endpoint", "model", "list") for failure in ("forbidden", "broken")),
    ],
)
def test_a_step_fails(vertex: VertexAI, monitored: Callable[..., list[str]], step: str, failure: str) -> None:
    failures, message = FAILURES[failure]
    if step == "update":
        monitored(sample_rate=0.5)
    vertex.fail(*STEPS[step], *failures)
    with pytest.raises(PenstockError) as raised:
        monitored()
    assert message in raised.value.message
    assert monitored() == list(vertex.monitoring.jobs), "and a rerun does it"


@pytest.mark.parametrize("step", ["create", "update"])
@pytest.mark.parametrize("failure", [Status(500), Status(429), Cut(after=False), Cut(after=True)])
def test_a_step_fails_once(
    vertex: VertexAI, monitored: Callable[..., list[str]], step: str, failure: Status | Cut
) -> None:
    """Whether the request had its effect or not: there is one job, as it should be."""
    if step == "update":
        monitored(sample_rate=0.5)
    vertex.fail(*STEPS[step], failure)
    names = monitored()
    (job,) = vertex.monitoring.jobs.values()
    assert names == [job.name]
    assert job.logging_sampling_strategy.random_sample_config.sample_rate == 1.0
    assert len(vertex.sent(*CREATE)) <= 2


def test_the_answer_to_a_creation_comes_too_late(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    vertex.fail(*CREATE, Hang(1.5, effect=True))
    with pytest.raises(SystemFailure, match="not known whether the endpoint taxi has a monitoring job: run again"):
        monitored(request_timeout=1)
    while not vertex.monitoring.jobs:
        time.sleep(0.05)
    assert monitored() == list(vertex.monitoring.jobs)
    assert len(vertex.sent(*CREATE)) == 1


def test_ctrl_c_while_a_job_is_made(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    vertex.fail(*CREATE, CtrlC())
    with pytest.raises(Interrupted, match="has a monitoring job: run again"):
        monitored()
    assert monitored() == list(vertex.monitoring.jobs)
    assert len(vertex.sent(*CREATE)) == 1


def test_a_change_ends_badly(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    (name,) = monitored(sample_rate=0.5)
    vertex.operations.end("UpdateModelDeploymentMonitoringJob", Failed("The job is being created."))
    with pytest.raises(ServerError, match=r"changing the monitoring job \d+ failed: The job is being created"):
        monitored()
    assert monitored() == [name]


def test_a_creation_fails_after_the_deletion(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    (name,) = monitored()
    vertex.monitoring.jobs[name].state = "JOB_STATE_FAILED"
    vertex.fail(*CREATE, Status(403, "not yours"))
    with pytest.raises(ServerError, match="not yours"):
        monitored()
    assert not vertex.monitoring.jobs
    assert monitored() == list(vertex.monitoring.jobs)


def test_what_is_lost_where_no_job_is_made_after_the_deletion_is_told(
    vertex: VertexAI, watch: Watch, baseline: Baseline, push: Callable[..., Pushed]
) -> None:
    first, canary = version(push(0)), version(push(1, canary=10))
    watch().configure(baseline, [first])
    (job,) = vertex.monitoring.jobs.values()
    (kept,) = (one.deployed_model_id for one in job.model_deployment_monitoring_objective_configs)
    job.labels["cost-centre"], job.state = "7", "JOB_STATE_PAUSED"
    job.analysis_instance_schema_uri = "gs://taxi/others.yaml"
    vertex.fail(*CREATE, Status(403, "not yours"))
    with pytest.raises(ServerError, match="not yours") as raised:
        watch().configure(baseline, [canary])
    assert raised.value.details.endswith(
        "is deleted, and a rerun does not know that it was paused, the label cost-centre=7, how the deployed model "
        f"{kept} was monitored"
    )


@pytest.mark.parametrize("step", [("POST", f"{JOB}:pause"), UPDATE])
def test_a_rerun_pauses_what_was_made_in_place_of_a_paused_job(
    vertex: VertexAI, monitored: Callable[..., list[str]], step: tuple[str, str]
) -> None:
    (name,) = monitored()
    vertex.monitoring.jobs[name].state = "JOB_STATE_PAUSED"
    vertex.monitoring.jobs[name].analysis_instance_schema_uri = "gs://taxi/others.yaml"
    vertex.fail(*step, Status(403, "not yours"))
    with pytest.raises(ServerError, match="not yours"):
        monitored()
    (second,) = monitored()
    (job,) = vertex.monitoring.jobs.values()
    assert job.name == second != name
    assert job.state.name == "JOB_STATE_PAUSED"
    assert dict(job.labels) == {"penstock-component": "model-monitor"}


def test_permissions_that_are_missing(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    vertex.denied = {"aiplatform.modelDeploymentMonitoringJobs.create"}
    with pytest.raises(ServerError) as raised:
        monitored()
    assert "Permission 'aiplatform.modelDeploymentMonitoringJobs.create' denied" in raised.value.message
    assert "give it the role Vertex AI User in my-project" in raised.value.message


def test_a_bucket_that_is_not_there(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    with pytest.raises(ConfigError, match="gs://nowhere"):
        monitored(storage="gs://nowhere/monitoring")
    assert not vertex.monitoring.jobs


def test_an_endpoint_or_a_version_that_is_gone(
    vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion
) -> None:
    with pytest.raises(ServerError, match="the endpoint taxi does not have version 1 any more: push it again"):
        watch().configure(baseline, [PushedVersion(pushed.place, "1")])
    vertex.endpoints.endpoints.clear()
    with pytest.raises(ServerError, match=r"the endpoint projects/.*/endpoints/taxi is gone: push the model again"):
        watch().configure(baseline, [pushed])
    assert not vertex.monitoring.jobs


def test_a_job_that_is_still_being_made_is_waited_for(vertex: VertexAI, monitored: Callable[..., list[str]]) -> None:
    vertex.operations.steps = 6
    names = monitored(sample_rate=0.5)
    assert monitored() == names
    job = vertex.monitoring.jobs[names[0]]
    assert job.logging_sampling_strategy.random_sample_config.sample_rate == 1.0
    job.state = "JOB_STATE_PENDING"
    with pytest.raises(SystemFailure, match=r"still being made after 1 s: raise monitoring\.vertex_ai\.timeout"):
        monitored(sample_rate=0.5, timeout=1)
