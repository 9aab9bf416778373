"""When a model is trained anew: on which signals of a monitored window, how often, and whether a person is asked.

retraining: {drift: 2, max_age: 30d, cool_down: 1d, max_per_week: 2, approval: true}
"""

from typing import Annotated

from pydantic import Field

from penstock.pipelines.config.section import (
    NO_BOOL,
    Number,
    PositiveNumber,
    PositiveWhole,
    Section,
    json_text,
    matching,
)

Length = Annotated[
    str,
    matching(
        r"^[1-9][0-9]{0,5}[mhdw]$",
        "a number and m, h, d or w (minutes, hours, days, weeks), such as 6h or 1d, and 1m at least",
    ),
]


class Retraining(Section):
    """When the model is trained anew. Any signal is enough; then nothing may hold it back."""

    drift: PositiveNumber | None = Field(
        default=2.0,
        description="Above which sum of importance times shift, over the features that alert: a shift counts "
        "thresholds, importance is a share of the most important feature's. null: drift is no signal.",
    )
    performance_loss: PositiveNumber | None = Field(
        default=0.1,
        description="By more than which share of the evaluation's value the estimated or realised performance is "
        "worse, with all of its interval. null: only performance that alerts is a signal.",
    )
    performance_limits: dict[str, Number] = Field(
        default={}, description="Values that metrics of the window are not to be on the bad side of, by their names."
    )
    max_age: Length | None = Field(default=None, description="How old a model gets: 30d, 6w. By default any age.")
    new_spans: PositiveWhole | None = Field(
        default=None, description="From how many spans on that the model was not trained on. By default no signal."
    )
    new_rows: PositiveWhole | None = Field(
        default=None,
        description="From about how many rows on that the model was not trained on, counted by the size of their "
        "files. By default no signal.",
    )
    cool_down: Length = Field(
        default="1d", description="How long after a retraining, or a rejected one, there is none."
    )
    max_per_week: PositiveWhole | None = Field(default=2, description="How many there are in seven days; null for any.")
    budget_hours: Annotated[float, Field(gt=0, allow_inf_nan=False), NO_BOOL] | None = Field(
        default=None, description="How many hours their runs take together in thirty days, by default any."
    )
    approval: bool = Field(
        default=False, description="Whether a person is asked: `penstock retrain --approve ID` starts the run."
    )

    @property
    def policy(self) -> str:
        """The Retrainer's parameter."""
        values = self.model_dump(exclude_defaults=True)
        return json_text(values) if values else ""
