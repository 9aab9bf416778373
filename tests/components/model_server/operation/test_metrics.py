"""Metrics: what Prometheus' own parser reads from them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from penstock.components.model_server.inference import Servable, State, Target, VersionStatus
from penstock.components.model_server.operation.calls import Call
from penstock.components.model_server.operation.metrics import Metrics

_LABELS = ("model", "version", "protocol", "state", "label", "outcome", "log", "le")


class TwoVersions:
    """The models of a server that is loading version 4 of its model."""

    names = ("taxi",)
    ready = True

    def status(self, model: str = "") -> Sequence[VersionStatus]:
        return (
            VersionStatus(4, State.LOADING),
            VersionStatus(3, State.AVAILABLE, ("stable", "canary")),
            VersionStatus(2, State.END, error="its files are damaged"),
        )

    def lease(self, target: Target) -> AbstractContextManager[Servable]:
        raise NotImplementedError

    def set_labels(self, model: str, labels: object) -> None:
        raise NotImplementedError


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Returns the values by name and the values of its labels, in the order of _LABELS."""
    metrics.refresh()
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, *(sample.labels[name] for name in _LABELS if name in sample.labels)): sample.value
        for family in families
        for sample in family.samples
    }


def test_batches_and_loading_are_by_model_and_version() -> None:
    metrics = Metrics()
    computed = metrics.batches("taxi", 3)
    computed(1, 0.001)
    computed(7, 0.003)
    metrics.loaded("taxi", 3, 1.5, 0.25)
    values = samples(metrics)
    assert values["penstock_batch_rows_sum", "taxi", "3"] == 8
    assert values["penstock_model_call_seconds_count", "taxi", "3"] == 2
    assert values["penstock_model_call_seconds_sum", "taxi", "3"] == pytest.approx(0.004)
    assert values["penstock_model_load_seconds", "taxi", "3"] == 1.5
    assert values["penstock_model_warmup_seconds", "taxi", "3"] == 0.25
    metrics.unloaded("taxi", 3)
    values = samples(metrics)
    assert ("penstock_model_load_seconds", "taxi", "3") not in values
    assert values["penstock_batch_rows_sum", "taxi", "3"] == 8


def test_versions_are_told_with_their_states_and_labels() -> None:
    metrics = Metrics()
    metrics.watch(TwoVersions())
    values = samples(metrics)
    assert {key for key in values if key[0].startswith(("penstock_model_version", "penstock_ready"))} == {
        ("penstock_ready",),
        ("penstock_model_version_state", "taxi", "4", "loading"),
        ("penstock_model_version_state", "taxi", "3", "available"),
        ("penstock_model_version_state", "taxi", "2", "failed"),
        ("penstock_model_version_label", "taxi", "3", "stable"),
        ("penstock_model_version_label", "taxi", "3", "canary"),
    }


def test_what_logs_drop_is_counted_and_what_waits_is_read_when_asked() -> None:
    metrics = Metrics()
    metrics.dropped("requests")(3)
    waiting = [5.0]
    metrics.gauge("penstock_queue_requests", "Requests that wait", lambda: waiting[0])
    assert samples(metrics)["penstock_queue_requests",] == 5
    waiting[0] = 6.0
    assert samples(metrics)["penstock_queue_requests",] == 6
    assert samples(metrics)["penstock_log_dropped_total", "requests"] == 3


def test_requests_are_counted_by_outcome() -> None:
    metrics = Metrics()
    for outcome in ("ok", "ok", "busy"):
        call = Call("1", "rest", "POST", "/", "")
        call.model, call.version, call.outcome = "taxi", 3, outcome
        metrics.answered(call, 0.01)
    values = samples(metrics)
    assert values["penstock_requests_total", "taxi", "3", "rest", "ok"] == 2
    assert values["penstock_requests_total", "taxi", "3", "rest", "busy"] == 1
    assert values["penstock_request_seconds_count", "taxi", "3", "rest"] == 3
