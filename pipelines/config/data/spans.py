"""Which spans of the data are read, as the configuration says it."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from penstock.core import span_numbers
from penstock.pipelines.config.section import NO_BOOL, PositiveWhole, Section, matching


def _span(value: Any) -> Any:
    is_date = isinstance(value, str) and span_numbers.of_text(value) is not None
    if not is_date and not (isinstance(value, int) and value >= 0):
        raise ValueError(f"expected a span's number, or a date such as 2026-01-31, received {value!r}")
    return value


def _number(span: int | str) -> int:
    return span if isinstance(span, int) else span_numbers.of_text(span) or 0


_Date = Annotated[str, matching(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a date such as 2026-01-31")]
Span = Annotated[Annotated[int, Field(ge=0)] | _Date, BeforeValidator(_span), NO_BOOL]


class RollingRange(Section):
    """The newest spans."""

    num_spans: PositiveWhole = Field(
        description="How many numbers up to the newest span's; as in TFX, those without a span count too."
    )
    start_span_number: Span | None = Field(
        default=None, description="No span before this number or, where path has dates, date."
    )


class StaticRange(Section):
    """Named spans."""

    start_span_number: Span = Field(description="The first span: its number or, where path has dates, 2026-01-31.")
    end_span_number: Span = Field(description="The last span, as the first.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        first, last = self.start_span_number, self.end_span_number
        alike = isinstance(first, int) == isinstance(last, int)  # the input_resolver compares a number and a date
        if alike and _number(last) < _number(first):
            raise ValueError(f"end_span_number: expected {first} or more, received less")
        return self


class RangeConfig(Section):
    """Which spans are read, where the pattern has {SPAN} or {YYYY}, {MM} and {DD}; by default the newest one."""

    rolling_range: RollingRange | None = Field(default=None, description="The newest spans.")
    static_range: StaticRange | None = Field(default=None, description="Spans by their numbers or dates.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rolling_range is None) == (self.static_range is None):
            raise ValueError("expected either rolling_range or static_range")
        return self

    @property
    def dates(self) -> list[str]:
        """Those of the spans that are written as dates."""
        ranges = [one.model_dump() for one in (self.rolling_range, self.static_range) if one]
        return [value for one in ranges for value in one.values() if isinstance(value, str)]
