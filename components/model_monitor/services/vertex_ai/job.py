"""The ModelDeploymentMonitoringJob of an endpoint as it should be."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.protobuf import duration_pb2

from penstock.components.model_monitor.services.vertex_ai.attributions import Attributions
from penstock.components.model_monitor.services.vertex_ai.features import MonitoredFeature
from penstock.components.model_monitor.services.vertex_ai.files import Files
from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.core.services.vertex import Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import (
        Endpoint,
        ModelDeploymentMonitoringJob,
        ModelMonitoringObjectiveConfig,
        ThresholdConfig,
    )

MADE_BY, MONITOR = "penstock-component", "model-monitor"  # the label of jobs that this module makes
CHANGEABLE = (  # in place, as UpdateModelDeploymentMonitoringJobRequest lists them
    "display_name",
    "model_deployment_monitoring_objective_configs",
    "model_deployment_monitoring_schedule_config",
    "logging_sampling_strategy",
    "model_monitoring_alert_config",
    "labels",
    "log_ttl",
    "enable_monitoring_pipeline_logs",
)
FINAL = ("predict_instance_schema_uri", "analysis_instance_schema_uri", "encryption_spec")
_HOUR, _DAY = 3600, 86400
_TFRECORD = "tf-record"


def objective(
    server: Server,
    settings: Settings,
    features: Sequence[MonitoredFeature],
    files: Files,
    label: str,
    attributions: Attributions | None,
) -> "ModelMonitoringObjectiveConfig":
    """Returns what is compared with what, and from which distance on it alerts."""
    types = server.types
    config = types.ModelMonitoringObjectiveConfig()
    if settings.skew:
        config.training_dataset = types.ModelMonitoringObjectiveConfig.TrainingDataset(
            gcs_source=types.GcsSource(uris=[files.training]), data_format=_TFRECORD, target_field=label
        )
        config.training_prediction_skew_detection_config.skew_thresholds = _limits(
            server, ((one.name, one.skew) for one in features)
        )
    if settings.drift:
        config.prediction_drift_detection_config.drift_thresholds = _limits(
            server, ((one.name, one.drift) for one in features)
        )
    if attributions:
        _add_attributions(server, settings, config, attributions.limits)
    return config


def _add_attributions(
    server: Server, settings: Settings, config: "ModelMonitoringObjectiveConfig", limits: Mapping[str, float]
) -> None:
    explanation = server.types.ModelMonitoringObjectiveConfig.ExplanationConfig
    config.explanation_config.enable_feature_attributes = True
    if settings.explanation_baseline:
        config.explanation_config.explanation_baseline = explanation.ExplanationBaseline(
            gcs=server.types.GcsDestination(output_uri_prefix=settings.explanation_baseline),
            prediction_format=explanation.ExplanationBaseline.PredictionFormat.JSONL,
        )
    if settings.skew:
        config.training_prediction_skew_detection_config.attribution_score_skew_thresholds = _limits(
            server, limits.items()
        )
    if settings.drift:
        config.prediction_drift_detection_config.attribution_score_drift_thresholds = _limits(server, limits.items())


def job(
    server: Server,
    settings: Settings,
    endpoint: "Endpoint",
    objectives: "dict[str, ModelMonitoringObjectiveConfig]",
    files: Files,
) -> "ModelDeploymentMonitoringJob":
    """Returns the job that monitors each deployed model, by its id, as its objective says."""
    types, key = server.types, settings.encryption_spec_key_name
    alerts = types.ModelMonitoringAlertConfig(
        enable_logging=settings.enable_logging, notification_channels=list(settings.notification_channels)
    )
    if settings.user_emails:
        alerts.email_alert_config.user_emails = list(settings.user_emails)
    sampled = types.SamplingStrategy.RandomSampleConfig(sample_rate=settings.sample_rate)
    return types.ModelDeploymentMonitoringJob(
        display_name=settings.display_name or endpoint.display_name,
        endpoint=endpoint.name,
        model_deployment_monitoring_objective_configs=[
            types.ModelDeploymentMonitoringObjectiveConfig(deployed_model_id=one, objective_config=config)
            for one, config in sorted(objectives.items())
        ],
        model_deployment_monitoring_schedule_config=types.ModelDeploymentMonitoringScheduleConfig(
            monitor_interval=duration_pb2.Duration(seconds=settings.interval_hours * _HOUR)
        ),
        logging_sampling_strategy=types.SamplingStrategy(random_sample_config=sampled),
        model_monitoring_alert_config=alerts,
        predict_instance_schema_uri=files.predict_schema,
        analysis_instance_schema_uri=files.analysis_schema,
        log_ttl=duration_pb2.Duration(seconds=settings.log_ttl_days * _DAY) if settings.log_ttl_days else None,
        enable_monitoring_pipeline_logs=settings.enable_monitoring_pipeline_logs,
        labels={**settings.labels, MADE_BY: MONITOR},
        encryption_spec=types.EncryptionSpec(kms_key_name=key) if key else None,
    )


def comparable(made: "ModelDeploymentMonitoringJob") -> dict[str, Any]:
    """Returns what this module sets of a job, by field, in a form to compare two jobs by.

    Whole messages are not equal: the service fills in what was left out, such as the length of a window.
    """
    alerts, schedule = made.model_monitoring_alert_config, made.model_deployment_monitoring_schedule_config
    return {
        "display_name": made.display_name,
        "model_deployment_monitoring_objective_configs": {
            one.deployed_model_id: _comparable_objective(one.objective_config)
            for one in made.model_deployment_monitoring_objective_configs
        },
        "model_deployment_monitoring_schedule_config": schedule.monitor_interval,
        "logging_sampling_strategy": made.logging_sampling_strategy.random_sample_config.sample_rate,
        "model_monitoring_alert_config": (
            set(alerts.email_alert_config.user_emails),
            set(alerts.notification_channels),
            alerts.enable_logging,
        ),
        "labels": dict(made.labels),
        "log_ttl": made.log_ttl or timedelta(),
        "enable_monitoring_pipeline_logs": made.enable_monitoring_pipeline_logs,
        "predict_instance_schema_uri": made.predict_instance_schema_uri,
        "analysis_instance_schema_uri": made.analysis_instance_schema_uri,
        "encryption_spec": made.encryption_spec.kms_key_name,
    }


def _comparable_objective(config: "ModelMonitoringObjectiveConfig") -> tuple[Any, ...]:
    data, explained = config.training_dataset, config.explanation_config
    skew, drift = config.training_prediction_skew_detection_config, config.prediction_drift_detection_config
    thresholds = (
        skew.skew_thresholds,
        skew.attribution_score_skew_thresholds,
        drift.drift_thresholds,
        drift.attribution_score_drift_thresholds,
    )
    return (
        list(data.gcs_source.uris),
        data.data_format,
        data.target_field,
        explained.enable_feature_attributes,
        explained.explanation_baseline.gcs.output_uri_prefix,
        *({name: limit.value for name, limit in limits.items()} for limits in thresholds),
    )


def _limits(server: Server, limits: Iterable[tuple[str, float | None]]) -> "dict[str, ThresholdConfig]":
    """Returns the thresholds of features that have any: what has none, or 0, the service does not monitor."""
    return {name: server.types.ThresholdConfig(value=limit) for name, limit in limits if limit}
