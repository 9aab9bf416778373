"""Monitoring by Vertex AI itself, of the endpoint that push.vertex_ai pushes to.

monitoring:
  vertex_ai: {user_emails: [team@example.org], sample_rate: 0.2, log_ttl: 30d}
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.core.suggestions import did_you_mean, listed
from penstock.pipelines.config.push.vertex_ai import VertexAI as Push
from penstock.pipelines.config.section import NO_BOOL, PositiveWhole, Section, matching
from penstock.pipelines.config.servers import Bucket

_FROM_PUSH = ("project", "api_endpoint", "credentials_file", "request_timeout", "encryption_spec_key_name", "labels")
_Hours = Annotated[
    str, matching(r"^[1-9][0-9]{0,4}[hdw]$", "a number and h, d or w (whole hours, days, weeks), such as 6h or 1d")
]
_Days = Annotated[str, matching(r"^[1-9][0-9]{0,4}[dw]$", "a number and d or w (whole days, weeks), such as 30d")]
_SCHEDULED = ("1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h", "1d", "7d", "1w")
_OF_VERSION_2 = ("request_log", "dataset", "timestamp_field")
_RequestLog = Annotated[
    str,
    matching(
        r"^bq://[a-z0-9:.-]+(\.\w+(\.[\w-]+)?)?$", "bq://PROJECT, bq://PROJECT.DATASET or bq://PROJECT.DATASET.TABLE"
    ),
]
_Table = Annotated[str, matching(r"^bq://[a-z0-9:.-]+\.\w+\.[\w-]+$", "bq://PROJECT.DATASET.TABLE")]
_Email = Annotated[str, matching(r"^[^@\s]+@[^@\s]+$", "an address, such as team@example.org")]
_Channel = Annotated[
    str, matching(r"^projects/[^/]+/notificationChannels/[^/]+$", "projects/PROJECT/notificationChannels/ID")
]


class VertexAI(Section):
    """Monitoring of the endpoint. Project, sign-in, key and labels are those of `push.vertex_ai`."""

    version: Annotated[Literal[1, 2], NO_BOOL] = Field(
        default=1,
        description="Of Vertex AI Model Monitoring: 1, a job of the endpoint, or 2, a monitor of each version of the "
        "model with schedules (preview).",
    )
    storage: Bucket | None = Field(
        default=None,
        description="The folder, gs://BUCKET/FOLDER, of what the service reads (training data, instance schemas) and "
        "of version 2's results. By default monitoring/ below push.vertex_ai.storage.",
    )
    display_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="The name of the job, by default the endpoint's, or of the monitor, with the version's.",
    )
    skew: bool = Field(default=True, description="Whether requests are compared with the training data.")
    drift: bool = Field(default=True, description="Whether requests are compared with those of the window before.")
    attributions: bool | dict[str, Annotated[float, Field(gt=0, le=1), NO_BOOL] | None] = Field(
        default=False,
        description="Whether feature attributions are compared as well, which needs a model with explanations: true "
        "for thresholds of 0.3, or thresholds by feature in place of that, null for a feature that never alerts.",
    )
    explanation_baseline: Bucket | None = Field(
        default=None,
        description="A folder, gs://BUCKET/FOLDER, with a batch explanation of the training data in JSON lines, which "
        "attributions are compared with. By default Vertex AI explains the training data. Of version 1.",
    )
    interval: _Hours | None = Field(
        default=None,
        description="How often requests are compared, and how long a window is, by default monitoring.window.",
    )
    sample_rate: Annotated[float, Field(gt=0, le=1), NO_BOOL] = Field(
        default=1.0, description="The share of the requests that is logged in BigQuery and compared."
    )
    user_emails: list[_Email] = Field(default=[], description="Who gets mails of anomalies.")
    notification_channels: list[_Channel] = Field(
        default=[], description="The channels of Cloud Monitoring that are told of anomalies."
    )
    enable_logging: bool = Field(default=True, description="Whether anomalies are written to Cloud Logging.")
    enable_monitoring_pipeline_logs: bool = Field(
        default=False, description="Whether the service's own runs are logged there as well, which costs."
    )
    log_ttl: _Days | None = Field(
        default=None,
        description="How long requests stay in BigQuery, by default until somebody deletes them. Of version 1.",
    )
    request_log: _RequestLog | None = Field(
        default=None,
        description="Where version 2 has the endpoint log its requests, bq://PROJECT, bq://PROJECT.DATASET or "
        "bq://PROJECT.DATASET.TABLE, by default in push.vertex_ai.project.",
    )
    dataset: _Table | None = Field(
        default=None,
        description="A table in BigQuery, bq://PROJECT.DATASET.TABLE with a column for each feature, that version 2 "
        "reads in place of the endpoint's request log.",
    )
    timestamp_field: str | None = Field(
        default=None, min_length=1, description="The column of `dataset` with the time of a row."
    )
    timeout: PositiveWhole = Field(
        default=600, description="How many seconds the service may take to change a job or a monitor."
    )

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if not self.skew and not self.drift:
            raise ValueError("expected skew, drift or both, received neither")
        return self

    @model_validator(mode="after")
    def _fits_its_version(self) -> Self:
        for key in _OF_VERSION_2:
            if self.version == 1 and getattr(self, key):
                raise ValueError(f"{key}: version 1 logs requests itself: leave it out, or set version: 2")
        if self.version == 2 and self.log_ttl:
            raise ValueError("log_ttl: the request log of version 2 is your own table: set its expiration there")
        if self.version == 2 and self.enable_monitoring_pipeline_logs:
            raise ValueError("enable_monitoring_pipeline_logs: version 2 has no such logs: leave it out")
        if self.version == 2 and self.explanation_baseline:
            raise ValueError("explanation_baseline: version 2 explains the training data itself: leave it out")
        if self.explanation_baseline and (self.attributions is False or not self.skew):
            raise ValueError("explanation_baseline: it is for attributions and skew, which are left out here")
        if bool(self.dataset) != bool(self.timestamp_field):
            raise ValueError("expected dataset and timestamp_field together, received only one of them")
        if self.interval and (misfit := self.misfit(self.interval)):
            raise ValueError(misfit)
        return self

    def misfit(self, interval: str) -> str:
        """Returns a sentence about an interval that the version has no schedule for, else ""."""
        if self.version == 1 or interval in _SCHEDULED:
            return ""
        return f"interval: version 2 has a schedule: expected {listed(_SCHEDULED)}, received {interval}"

    def check_attributions(self, push: Push) -> None:
        """Raises a ValueError for attributions of what the pushed version does not explain."""
        if self.attributions is False:
            return
        key = "monitoring.vertex_ai.attributions"
        if not push.explanation:
            raise ValueError(
                f"{key}: a version that is pushed has no explanations: expected push.vertex_ai.explanation"
            )
        explained = sorted(push.explanation.inputs)
        for name in self.attributions if isinstance(self.attributions, dict) else ():
            if name not in explained:
                raise ValueError(
                    f"{key}.{name}: push.vertex_ai.explanation has no {name!r}; {did_you_mean(name, explained)}"
                )

    def service(self, push: Push, window: str) -> dict[str, Any]:
        """Returns ModelMonitor's parameter `service`, for the endpoint that a section pushes to."""
        own = self.model_dump(exclude_none=True)
        defaults = {"storage": f"{push.storage.rstrip('/')}/monitoring", "interval": window}
        return {"vertex_ai": defaults | push.model_dump(include=set(_FROM_PUSH), exclude_none=True) | own}
