"""Which requests are monitored, in which windows, and from when on they alert."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.monitoring.alerts import Alerts
from penstock.pipelines.config.monitoring.instances import Instances
from penstock.pipelines.config.monitoring.labels import Labels
from penstock.pipelines.config.monitoring.retraining import Length, Retraining
from penstock.pipelines.config.monitoring.vertex_ai import VertexAI
from penstock.pipelines.config.section import NO_BOOL, AnyPath, FolderPath, Number, PositiveWhole, Section, json_text

_Share = Annotated[float, Field(gt=0, lt=1), NO_BOOL]
_Distance = Annotated[float, Field(gt=0, le=1), NO_BOOL]


class Monitoring(Section):
    """What is compared with the training data: the requests that a model server has logged."""

    requests: FolderPath = Field(
        default="requests",
        validate_default=True,
        description="The folder of the server's request log: its --request-log, what `penstock collect` has kept, or "
        "what SageMaker has captured.",
    )
    baseline: AnyPath | None = Field(
        default=None,
        description="The baseline that the monitoring pipeline compares with: the output of a run's ModelMonitor. By "
        "default that of the run whose model serves.",
    )
    model: str = Field(
        default="",
        description="The model's name on its server; by default the pipeline's, or the only one in the log.",
    )
    version: PositiveWhole | None = Field(
        default=None, description="The version whose requests are monitored, by default all."
    )
    instances: Instances = Field(
        default=Instances(), description="What an instance looks like in requests that other servers have kept."
    )
    window: Length = Field(default="1d", description="How long a window is: 30m, 6h, 1d, 1w.")
    false_alarm_rate: _Share = Field(
        default=0.05,
        description="The share of windows that may alert, by any feature and measure, although nothing has changed.",
    )
    thresholds: dict[str, _Distance | dict[str, _Distance | None] | None] = Field(
        default={},
        description="Thresholds by feature, in place of derived ones: a number (Jensen-Shannon divergence of numbers, "
        "L-infinity distance of categories), a number for each measure, or null for a feature that never alerts.",
    )
    labels: Labels | None = Field(
        default=None, description="Labels that come later, of which it is computed how good the model was."
    )
    performance: dict[str, Number | None] = Field(
        default={},
        description="Limits of metrics, by their names in the evaluation, such as {auc: 0.8}: the least, or of metrics "
        "that are better when lower, the greatest; null for one that never alerts. By default the evaluation's "
        "thresholds.",
    )
    estimates_alert: bool = Field(
        default=False, description="Whether metrics that are estimated, as long as there are no labels, alert as well."
    )
    drift: bool | str = Field(
        default=False,
        description="Whether windows are compared with the one before as well, or with the one of the history that "
        "begins at a moment, such as 2026-11-30: with the same rate of false alarms in all.",
    )
    window_rows: PositiveWhole = Field(
        default=1000, description="The size of the windows that the baseline's page shows thresholds for."
    )
    alerts: Alerts = Field(default=Alerts(), description="Who is told what moved, and when an alert opens and ends.")
    retraining: Retraining | None = Field(
        default=None, description="When the model is trained anew; left out, only a person decides on that."
    )
    vertex_ai: VertexAI | None = Field(
        default=None,
        description="Monitoring by Vertex AI itself, of the endpoint that push.vertex_ai pushes to.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.vertex_ai and not self.vertex_ai.interval and self.window.endswith("m"):
            raise ValueError(
                f"vertex_ai.interval: Vertex AI compares windows of whole hours, and window is {self.window}: expected "
                "an interval, such as 1h"
            )
        if self.vertex_ai and not self.vertex_ai.interval and (misfit := self.vertex_ai.misfit(self.window)):
            raise ValueError(f"vertex_ai.{misfit}")
        return self

    @property
    def thresholds_json(self) -> str:
        """The thresholds as the component takes them."""
        return json_text(self.thresholds or None)

    @property
    def drift_window(self) -> str:
        """Which window is compared with, as the component takes it; "" for none."""
        return self.drift if isinstance(self.drift, str) else "before" if self.drift else ""

    @property
    def performance_json(self) -> str:
        """The limits of metrics as the component takes them."""
        values = {"limits": self.performance, "estimates_alert": self.estimates_alert}
        return json_text({name: value for name, value in values.items() if value} or None)
