"""Feature attributions of models with explanations, at the endpoint or in the registry, in both versions."""

from collections.abc import Callable
from typing import Any

import pytest
from google.cloud import aiplatform_v1 as v1

from penstock.components.model_monitor.services import Baseline, Service
from penstock.core.artifacts import PushedVersion
from penstock.core.errors import ConfigError
from tests.servers.vertex import VertexAI

type Monitored = Callable[..., list[str]]


@pytest.fixture
def monitored(watch: Callable[..., Service], baseline: Baseline, pushed: PushedVersion) -> Callable[..., list[str]]:
    """Returns a function that has the pushed model monitored."""
    return lambda **settings: watch(**settings).configure(baseline, [pushed])


def explanation(*inputs: str) -> v1.ExplanationSpec:
    """Returns the specification of explanations by 25 permutations, of some inputs."""
    return v1.ExplanationSpec(
        parameters={"sampled_shapley_attribution": {"path_count": 25}},
        metadata={"inputs": {name: {} for name in inputs}, "outputs": {"probabilities": {}}},
    )


def deployed(vertex: VertexAI) -> Any:
    (endpoint,) = vertex.endpoints.endpoints.values()
    (one,) = endpoint.deployed_models
    return one


def registered(vertex: VertexAI) -> Any:
    (versions,) = vertex.models.versions.values()
    (version,) = versions.values()
    return version


def objective(vertex: VertexAI) -> Any:
    (job,) = vertex.monitoring.jobs.values()
    (config,) = job.model_deployment_monitoring_objective_configs
    return config.objective_config


def values(limits: Any) -> dict[str, float]:
    return {name: limit.value for name, limit in limits.items()}


@pytest.mark.parametrize("explained", [deployed, registered])
def test_version_1_compares_attributions(
    vertex: VertexAI, monitored: Monitored, explained: Callable[[VertexAI], Any]
) -> None:
    explained(vertex).explanation_spec = explanation("miles", "zone", "comment")
    first = monitored()
    assert not objective(vertex).explanation_config.enable_feature_attributes
    assert monitored(attributions=True) == first
    config = objective(vertex)
    assert config.explanation_config.enable_feature_attributes
    default = {"miles": 0.3, "zone": 0.3, "comment": 0.3}
    assert values(config.training_prediction_skew_detection_config.attribution_score_skew_thresholds) == default
    assert values(config.prediction_drift_detection_config.attribution_score_drift_thresholds) == default
    assert not config.explanation_config.explanation_baseline
    own = {"attributions": {"miles": 0.125, "zone": None}, "explanation_baseline": "gs://taxi/explained"}
    assert monitored(**own, drift=False) == first
    config = objective(vertex)
    own_limits = {"miles": 0.125, "comment": 0.3}
    assert values(config.training_prediction_skew_detection_config.attribution_score_skew_thresholds) == own_limits
    assert not config.prediction_drift_detection_config
    baseline_of = config.explanation_config.explanation_baseline
    assert (baseline_of.gcs.output_uri_prefix, baseline_of.prediction_format.name) == ("gs://taxi/explained", "JSONL")
    changes = len(vertex.sent("PATCH", "/modelDeploymentMonitoringJobs/{id}"))
    assert monitored(**own, drift=False) == first
    assert len(vertex.sent("PATCH", "/modelDeploymentMonitoringJobs/{id}")) == changes == 2


def test_version_2_compares_attributions(vertex: VertexAI, monitored: Monitored) -> None:
    registered(vertex).explanation_spec = explanation("miles", "zone", "comment")
    monitored(version=2, attributions={"miles": 0.125})
    for _ in range(2):
        for one in vertex.model_monitors.schedules.values():
            spec = one.create_model_monitoring_job_request.model_monitoring_job.model_monitoring_spec.objective_spec
            attributed = spec.tabular_objective.feature_attribution_spec
            assert list(attributed.features) == ["miles", "zone"]
            limits = {name: limit.threshold for name, limit in attributed.feature_alert_conditions.items()}
            assert limits == {"miles": 0.125, "zone": 0.3}
            assert spec.explanation_spec.parameters.sampled_shapley_attribution.path_count == 25
            assert set(spec.explanation_spec.metadata.inputs) == {"miles", "zone", "comment"}
        monitored(version=2, attributions={"miles": 0.125})
    assert not vertex.sent("PATCH", "/schedules/{id}"), "a rerun changes nothing"
    monitored(version=2)
    for one in vertex.model_monitors.schedules.values():
        spec = one.create_model_monitoring_job_request.model_monitoring_job.model_monitoring_spec.objective_spec
        assert not spec.tabular_objective.feature_attribution_spec


@pytest.mark.parametrize("settings", [{}, {"version": 2}])
def test_a_model_without_explanations_is_refused_before_anything_is_changed(
    vertex: VertexAI, monitored: Monitored, settings: dict[str, Any]
) -> None:
    asked = {"attributions": True, **settings}
    with pytest.raises(ConfigError, match=r"attributions: taxi \d+ has no explanations: expected a model with an expl"):
        monitored(**asked)
    registered(vertex).explanation_spec = explanation()
    deployed(vertex).disable_explanations = True
    with pytest.raises(ConfigError, match="has no explanations"):
        monitored(**asked)
    assert not vertex.monitoring.jobs
    assert not vertex.model_monitors.monitors
    (endpoint,) = vertex.endpoints.endpoints.values()
    assert not endpoint.predict_request_response_logging_config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"attributions": {"mile": 0.1}},
            r"attributions\.mile: Vertex AI compares no .* 'miles'",
        ),
        ({"attributions": {"zone": 0.1}}, r"attributions\.zone: Vertex AI compares no attributions of 'zone'"),
        (
            {"version": 2, "attributions": {"comment": 0.1}},
            r"attributions\.comment: Vertex AI compares no",
        ),
    ],
)
def test_a_feature_that_is_not_explained_is_named(
    vertex: VertexAI, monitored: Monitored, settings: dict[str, Any], message: str
) -> None:
    registered(vertex).explanation_spec = explanation("miles", "comment")
    with pytest.raises(ConfigError, match=message):
        monitored(**settings)
