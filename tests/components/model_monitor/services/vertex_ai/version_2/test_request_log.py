"""The endpoint's request-response log: switched on, changed in place, and left alone where a person has set it."""

from collections.abc import Callable

import pytest

from penstock.core.errors import ServerError, SystemFailure
from tests.components.model_monitor.services.vertex_ai.version_2.test_monitors import only_endpoint
from tests.servers.loopback import Status
from tests.servers.vertex import VertexAI

type Monitored = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("place", "table"),
    [
        (None, "bq://my-project.logging_taxi_taxi.request_response_logging"),
        ("bq://other", "bq://other.logging_taxi_taxi.request_response_logging"),
        ("bq://other.rides", "bq://other.rides.request_response_logging"),
        ("bq://other.rides.asked", "bq://other.rides.asked"),
    ],
)
def test_it_is_switched_on_once(vertex: VertexAI, monitored: Monitored, place: str | None, table: str) -> None:
    only_endpoint(vertex).labels["cost-centre"] = "7"
    before = len(vertex.sent("PATCH", "/endpoints/{id}"))
    for _ in range(2):
        monitored(sample_rate=0.5, request_log=place)
    log = only_endpoint(vertex).predict_request_response_logging_config
    assert (log.enabled, log.sampling_rate, log.bigquery_destination.output_uri) == (True, 0.5, table)
    assert only_endpoint(vertex).labels["cost-centre"] == "7"
    assert len(vertex.sent("PATCH", "/endpoints/{id}")) == before + 1


def test_a_persons_own_stays_as_it_is(vertex: VertexAI, monitored: Monitored, caplog: pytest.LogCaptureFixture) -> None:
    log = only_endpoint(vertex).predict_request_response_logging_config
    log.enabled, log.sampling_rate, log.bigquery_destination = True, 0.1, {"output_uri": "bq://p.d.t"}
    monitored(sample_rate=0.5)
    log = only_endpoint(vertex).predict_request_response_logging_config
    assert (log.sampling_rate, log.bigquery_destination.output_uri) == (0.1, "bq://p.d.t")
    assert "the endpoint taxi logs 0.1 of its requests in bq://p.d.t, as somebody else has said" in caplog.text
    assert len(vertex.model_monitors.schedules) == 2


def test_an_endpoint_that_changes_meanwhile(vertex: VertexAI, monitored: Monitored) -> None:
    vertex.fail("PATCH", "/endpoints/{id}", Status(409, "The etag is out of date"))
    with pytest.raises(SystemFailure, match="the endpoint was changed by somebody else meanwhile: run again"):
        monitored()
    assert not vertex.model_monitors.schedules
    monitored()
    assert len(vertex.model_monitors.schedules) == 2


def test_it_stays_off_where_there_can_be_no_monitor(vertex: VertexAI, monitored: Monitored) -> None:
    """A log costs, and nobody would read it."""
    vertex.denied = {"aiplatform.modelMonitors.create"}
    with pytest.raises(ServerError, match="denied"):
        monitored()
    assert not only_endpoint(vertex).predict_request_response_logging_config.enabled
