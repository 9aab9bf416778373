"""One rule of the cleaning section, as a person writes it."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from penstock.core.cleaning.rules import KINDS
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.config.section import NO_BOOL, DataPath, Number, Section


def _known_rule(kind: Any) -> Any:
    if isinstance(kind, str) and kind not in KINDS:
        raise ValueError(f"unknown rule {kind!r}; {did_you_mean(kind, KINDS)}")
    return kind


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        word = str(value).lower()
        raise ValueError(f"expected a text or a number, received {word}: yes, no, on, off and the like take quotes")
    return value


def _text_keys(value: Any) -> Any:
    """YAML takes the keys of {1: 2} for numbers, and those of {no: 2} for truth values."""
    if not isinstance(value, dict):
        return value
    return {str(_no_truth(key)) if isinstance(key, int | float) else key: item for key, item in value.items()}


_Scalar = Annotated[str | int | float, BeforeValidator(_no_truth)]
Share = Annotated[float, Field(ge=0, le=1), NO_BOOL]


class Factor(Section):
    """How a number in a unit becomes one in the unit that is wanted: value * factor + offset."""

    factor: Number = Field(default=1.0, description="What it is multiplied by.")
    offset: Number = Field(default=0.0, description="What is added then.")


class CleaningRule(Section):
    """A rule: which one, of which columns, and what it is told."""

    rule: Annotated[
        Literal[
            "duplicates",
            "missing_values",
            "missing",
            "text",
            "values",
            "pattern",
            "type",
            "unit",
            "range",
            "outliers",
            "check",
            "reference",
        ],
        BeforeValidator(_known_rule),
    ] = Field(description="Which rule it is.")
    name: str | None = Field(default=None, description="What it is called in the quarantine and the page.")
    columns: list[str] | None = Field(
        default=None,
        description="The columns that it mends. Without them: of duplicates all decide, of missing_values all of text.",
    )
    otherwise: Literal["drop", "missing", "clip", "flag"] | None = Field(
        default=None,
        description="What becomes of a value that does not fit: its row is dropped; it is missing; it becomes the "
        "nearest bound; or it stays, and the column <name>_flagged is 1. By default missing, of outliers clip, of a "
        "check drop.",
    )
    keep: Literal["first", "last", "newest"] | None = Field(
        default=None, description="Of duplicates: which row is kept, by default the first."
    )
    by: str | None = Field(
        default=None,
        description="Of duplicates: the column whose greatest value is the newest. Of a unit: the column that says it.",
    )
    values: list[str] | None = Field(default=None, description="Of missing_values: the texts that mean a missing one.")
    action: Literal["drop_row", "drop_column", "constant", "median", "mode", "previous"] | None = Field(
        default=None, description="Of missing: what is done with rows without a value, by default drop_row."
    )
    value: _Scalar | None = Field(default=None, description="Of missing: the constant that is filled in.")
    above: Share | None = Field(
        default=None,
        description="Of missing: the share of the train splits' rows without a value above which drop_column drops it, "
        "by default 0.5.",
    )
    case: Literal["lower", "upper", "title"] | None = Field(default=None, description="Of text: how it is written.")
    spaces: Literal["trim", "collapse"] | None = Field(
        default=None, description="Of text: spaces around it go; with collapse, those within become one."
    )
    allowed: list[_Scalar] | None = Field(default=None, description="Of values: those that there may be.")
    mapping: Annotated[dict[str, _Scalar], BeforeValidator(_text_keys)] | None = Field(
        default=None, description="Of values: what others mean."
    )
    regex: str | None = Field(default=None, description="Of a pattern: what the whole text fits, in RE2's syntax.")
    to: str | None = Field(
        default=None, description="Of type: integer, float or text. Of a unit: what the column `by` says then."
    )
    decimal_point: str | None = Field(default=None, description="Of type: how numbers are written, by default a point.")
    units: Annotated[dict[str, Factor], BeforeValidator(_text_keys)] | None = Field(
        default=None, description="Of a unit: the factor and offset of each unit in the column `by`."
    )
    min: Number | None = Field(default=None, description="Of range, and of a unit without `by`: the least number.")
    max: Number | None = Field(default=None, description="Of range, and of a unit without `by`: the greatest number.")
    factor: Number | None = Field(default=None, description="Of a unit without `by`: what numbers are multiplied by.")
    offset: Number | None = Field(default=None, description="Of a unit without `by`: what is added then.")
    method: Literal["quantiles", "mad"] | None = Field(
        default=None, description="Of outliers: how they are found, by default by quantiles."
    )
    low: Share | None = Field(default=None, description="Of outliers: the quantile below which, by default 0.01.")
    high: Share | None = Field(default=None, description="Of outliers: the quantile above which, by default 0.99.")
    deviations: Number | None = Field(
        default=None,
        description="Of outliers by mad: how many scaled median absolute deviations from the median, by default 3.5.",
    )
    expression: str | None = Field(
        default=None, description="Of a check: what holds of a row, such as trip_seconds > 0 or fare == 0."
    )
    file: DataPath | None = Field(default=None, description="Of a reference: a CSV or Parquet file, or a URI of one.")
    key: str | None = Field(
        default=None, description="Of a reference: the column of the file, by default that of the same name."
    )
