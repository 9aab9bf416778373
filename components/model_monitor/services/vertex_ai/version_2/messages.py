"""The ModelMonitor of a version, and its schedules, as they should be.

A monitor has the training data and the schema. A schedule has one comparison: of the newest window with the training
data (skew), or with the window before (drift).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from penstock.components.model_monitor.services.service import Baseline
from penstock.components.model_monitor.services.vertex_ai.attributions import Attributions
from penstock.components.model_monitor.services.vertex_ai.features import MonitoredFeature
from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.components.model_monitor.services.vertex_ai.version_2.watched import Watched
from penstock.core.files import object_stores
from penstock.core.services.vertex import Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1 import types as v1
    from google.cloud.aiplatform_v1beta1.types import (
        ExplanationSpec,
        ModelMonitor,
        ModelMonitoringAlertCondition,
        ModelMonitoringInput,
        ModelMonitoringNotificationSpec,
        ModelMonitoringObjectiveSpec,
        ModelMonitoringOutputSpec,
        ModelMonitoringSchema,
        Schedule,
    )

type Comparison = Literal["skew", "drift"]
COMPARISONS: tuple[Comparison, ...] = ("skew", "drift")
MONITOR_FIELDS = (  # that can be changed in place
    "display_name",
    "training_dataset",
    "model_monitoring_schema",
    "notification_spec",
    "output_spec",
)
SCHEDULE_FIELDS = ("cron", "create_model_monitoring_job_request")
_CATEGORIES, _NUMBERS = "l_infinity", "jensen_shannon_divergence"


def monitor(
    server: Server,
    settings: Settings,
    watched: Watched,
    baseline: Baseline,
    features: Sequence[MonitoredFeature],
    training: str,
) -> "ModelMonitor":
    """Returns the monitor of a version; `training` is the URI of its training data."""
    types, key = server.beta_types, settings.encryption_spec_key_name
    source = types.ModelMonitor.ModelMonitoringTarget.VertexModelSource(
        model=watched.model, model_version_id=watched.deployed.model_version_id
    )
    return types.ModelMonitor(
        display_name=settings.display_name or f"{watched.endpoint.display_name} {watched.version}",
        model_monitoring_target=types.ModelMonitor.ModelMonitoringTarget(vertex_model=source),
        training_dataset=_training(server, training),
        model_monitoring_schema=_schema(server, baseline, features),
        notification_spec=_notification(server, settings),
        output_spec=_output(server, settings),
        encryption_spec=types.EncryptionSpec(kms_key_name=key) if key else None,
    )


def schedule(
    server: Server,
    settings: Settings,
    watched: Watched,
    monitor: "ModelMonitor",
    features: Sequence[MonitoredFeature],
    attributions: Attributions | None,
    comparison: Comparison,
) -> "Schedule | None":
    """Returns a monitor's schedule of a comparison; None where no feature has a threshold for it."""
    limits = {one.name: one.skew if comparison == "skew" else one.drift for one in features}
    conditions = {name: limit for name, limit in limits.items() if limit}
    if not getattr(settings, comparison) or not (conditions or (attributions and attributions.limits)):
        return None
    types, window = server.beta_types, f"{settings.interval_hours}h"
    objective = types.ModelMonitoringObjectiveSpec(
        tabular_objective=_objective(server, conditions, attributions.limits if attributions else {}),
        explanation_spec=_as_beta(server, attributions.explanation) if attributions else None,
        target_dataset=_requests(server, settings, watched, types.ModelMonitoringInput.TimeOffset(window=window)),
        baseline_dataset=monitor.training_dataset
        if comparison == "skew"
        else _requests(server, settings, watched, types.ModelMonitoringInput.TimeOffset(offset=window, window=window)),
    )
    job = types.ModelMonitoringJob(
        display_name=f"{monitor.display_name} {comparison}",
        model_monitoring_spec=types.ModelMonitoringSpec(
            objective_spec=objective,
            notification_spec=_notification(server, settings),
            output_spec=_output(server, settings),
        ),
    )
    return types.Schedule(
        display_name=schedule_name(watched.monitor_id, comparison),
        cron=settings.cron,
        max_concurrent_run_count=1,
        create_model_monitoring_job_request=types.CreateModelMonitoringJobRequest(
            parent=monitor.name, model_monitoring_job=job
        ),
    )


def schedule_name(monitor_id: str, comparison: Comparison) -> str:
    """Returns the display name of a schedule, by which it is found again."""
    return f"{monitor_id} {comparison}"


def comparable_monitor(made: "ModelMonitor") -> dict[str, Any]:
    """Returns what this module sets of a monitor, by field, in a form to compare two monitors by."""
    return {
        "display_name": made.display_name,
        "training_dataset": _comparable_input(made.training_dataset),
        "model_monitoring_schema": [
            (one.name, one.data_type, one.repeated) for one in made.model_monitoring_schema.feature_fields
        ],
        "notification_spec": _comparable_notification(made.notification_spec),
        "output_spec": made.output_spec.gcs_base_directory.output_uri_prefix,
    }


def comparable_schedule(made: "Schedule") -> dict[str, Any]:
    """Returns what this module sets of a schedule, by field, in a form to compare two schedules by."""
    job = made.create_model_monitoring_job_request.model_monitoring_job
    spec = job.model_monitoring_spec
    objective = spec.objective_spec.tabular_objective
    drift, attribution = objective.feature_drift_spec, objective.feature_attribution_spec
    return {
        "cron": made.cron,
        "create_model_monitoring_job_request": (
            job.display_name,
            *(
                (set(part.features), {name: one.threshold for name, one in part.feature_alert_conditions.items()})
                for part in (drift, attribution)
            ),
            type(spec.objective_spec.explanation_spec).to_dict(spec.objective_spec.explanation_spec),
            (drift.categorical_metric_type, drift.numeric_metric_type),
            _comparable_input(spec.objective_spec.baseline_dataset),
            _comparable_input(spec.objective_spec.target_dataset),
            _comparable_notification(spec.notification_spec),
            spec.output_spec.gcs_base_directory.output_uri_prefix,
        ),
    }


def _training(server: Server, uri: str) -> "ModelMonitoringInput":
    dataset = server.beta_types.ModelMonitoringInput.ModelMonitoringDataset
    source = dataset.ModelMonitoringGcsSource(
        gcs_uri=uri, format_=dataset.ModelMonitoringGcsSource.DataFormat.TF_RECORD
    )
    return server.beta_types.ModelMonitoringInput(columnized_dataset=dataset(gcs_source=source))


def _requests(server: Server, settings: Settings, watched: Watched, window: Any) -> "ModelMonitoringInput":
    """Returns the requests of a window: those of the endpoint's log, or the rows of the table in its place."""
    inputs = server.beta_types.ModelMonitoringInput
    if not settings.dataset:
        logs = inputs.VertexEndpointLogs(endpoints=[watched.endpoint.name])
        return inputs(vertex_endpoint_logs=logs, time_offset=window)
    source = inputs.ModelMonitoringDataset.ModelMonitoringBigQuerySource(table_uri=settings.dataset)
    rows = inputs.ModelMonitoringDataset(bigquery_source=source, timestamp_field=settings.timestamp_field)
    return inputs(columnized_dataset=rows, time_offset=window)


def _schema(server: Server, baseline: Baseline, features: Iterable[MonitoredFeature]) -> "ModelMonitoringSchema":
    schema = server.beta_types.ModelMonitoringSchema
    columns = baseline.rows.schema
    return schema(
        feature_fields=[
            schema.FieldSchema(
                name=one.name, data_type=_data_type(one, columns.field(one.name).type.value_type), repeated=one.several
            )
            for one in features
        ]
    )


def _data_type(feature: MonitoredFeature, kind: pa.DataType) -> str:
    if feature.kind == "category":
        return "categorical"
    return "integer" if pa.types.is_integer(kind) else "float"


def _objective(
    server: Server, limits: Mapping[str, float], attributions: Mapping[str, float]
) -> "ModelMonitoringObjectiveSpec.TabularObjective":
    """Returns what is compared. An empty list of features would mean all of them, so such a part is left out."""
    spec, objective = server.beta_types.ModelMonitoringObjectiveSpec, {}
    if limits:
        objective["feature_drift_spec"] = spec.DataDriftSpec(
            features=list(limits),
            categorical_metric_type=_CATEGORIES,
            numeric_metric_type=_NUMBERS,
            feature_alert_conditions=_conditions(server, limits),
        )
    if attributions:
        objective["feature_attribution_spec"] = spec.FeatureAttributionSpec(
            features=list(attributions), feature_alert_conditions=_conditions(server, attributions)
        )
    return spec.TabularObjective(**objective)


def _conditions(server: Server, limits: Mapping[str, float]) -> "dict[str, ModelMonitoringAlertCondition]":
    condition = server.beta_types.ModelMonitoringAlertCondition
    return {name: condition(threshold=limit) for name, limit in limits.items()}


def _as_beta(server: Server, explanation: "v1.ExplanationSpec") -> "ExplanationSpec":
    """Returns the same specification as a message of v1beta1."""
    same: ExplanationSpec = server.beta_types.ExplanationSpec.deserialize(type(explanation).serialize(explanation))
    return same


def _notification(server: Server, settings: Settings) -> "ModelMonitoringNotificationSpec":
    spec = server.beta_types.ModelMonitoringNotificationSpec
    return spec(
        email_config=spec.EmailConfig(user_emails=list(settings.user_emails)) if settings.user_emails else None,
        enable_cloud_logging=settings.enable_logging,
        notification_channel_configs=[
            spec.NotificationChannelConfig(notification_channel=one) for one in settings.notification_channels
        ],
    )


def _output(server: Server, settings: Settings) -> "ModelMonitoringOutputSpec":
    folder = server.beta_types.GcsDestination(output_uri_prefix=object_stores.join(settings.storage, "results"))
    return server.beta_types.ModelMonitoringOutputSpec(gcs_base_directory=folder)


def _comparable_notification(spec: "ModelMonitoringNotificationSpec") -> tuple[Any, ...]:
    return (
        set(spec.email_config.user_emails),
        spec.enable_cloud_logging,
        {one.notification_channel for one in spec.notification_channel_configs},
    )


def _comparable_input(dataset: "ModelMonitoringInput") -> tuple[Any, ...]:
    rows, window = dataset.columnized_dataset, dataset.time_offset
    return (
        (rows.gcs_source.gcs_uri, rows.bigquery_source.table_uri, rows.timestamp_field),
        {one.rpartition("/")[2] for one in dataset.vertex_endpoint_logs.endpoints},
        (window.offset, window.window),
    )
