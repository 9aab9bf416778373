"""TFX's macros of spans in queries: a span is a day in UTC, counted from 1970-01-01.

`@span_begin_timestamp` and `@span_end_timestamp` are seconds since then, the end being the next day's beginning;
`@span_yyyymmdd_utc` is the day as a text in quotes, '20260131'. They are what `tfx.components.example_gen.utils`
(get_query_for_span) makes of them: replaced as text, wherever they stand in the query.

Standard library only: this runs on every run of a pipeline, before anything is answered from a cache.
"""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from penstock.components.example_gen.configs import InputSplit, SpanRange
from penstock.core import span_numbers
from penstock.core.errors import ConfigError

_BEGIN = "@span_begin_timestamp"
_END = "@span_end_timestamp"
_DAY = "@span_yyyymmdd_utc"
_SECONDS = 24 * 60 * 60
_EPOCH = datetime.date(1970, 1, 1)
_MOST_SPANS = 1000  # a query each; TFX reads one span at a time


class Spanned(NamedTuple):
    """Queries without macros: those of one split have the same name, one for each span, the oldest first.

    `span` is the newest one, 0 without macros; `spans` says in words which these are, "" without macros.
    """

    splits: Sequence[InputSplit]
    span: int
    spans: str


def has_macros(query: str) -> bool:
    """Whether a query has one of TFX's macros of spans."""
    return any(macro in query for macro in (_BEGIN, _END, _DAY))


def expanded(query: str, span: int) -> str:
    """Returns a query with a span's values in place of its macros; a ConfigError if no calendar has that day."""
    try:
        day = _EPOCH + datetime.timedelta(days=span)
    except OverflowError:
        raise ConfigError(
            f"range_config (data.range_config): expected days since 1970-01-01, or dates, received {span}"
        ) from None
    query = query.replace(_BEGIN, str(span * _SECONDS)).replace(_END, str((span + 1) * _SECONDS))
    return query.replace(_DAY, day.strftime("'%Y%m%d'"))


def spanned(splits: Sequence[InputSplit], spans: SpanRange | None) -> Spanned:
    """Returns the splits' queries for each span that is asked for.

    Raises a ConfigError where only some of the splits have macros, where there are spans without macros or macros
    without spans, and for the newest spans: a query does not tell which these are.
    """
    dated = [has_macros(split.pattern) for split in splits]
    if not any(dated):
        if spans is not None:
            raise ConfigError(
                f"range_config (data.range_config): expected {_BEGIN}, {_END} or {_DAY} in the query, found none"
            )
        return Spanned(splits, 0, "")
    if not all(dated):
        name = splits[dated.index(False)].name
        raise ConfigError(f"split {name!r}: expected {_BEGIN}, {_END} or {_DAY} in its query, as others have")
    if spans is None or spans.first is None or spans.last is None:
        raise ConfigError(
            "range_config (data.range_config): expected a static_range for a query with macros of spans, which days "
            "to read, such as {static_range: {start_span_number: 2026-01-31, end_span_number: 2026-01-31}}; received "
            + ("none" if spans is None else "a rolling_range: a query does not tell which span is the newest")
        )
    if spans.last - spans.first >= _MOST_SPANS:
        raise ConfigError(
            f"range_config (data.range_config): expected at most {_MOST_SPANS:,} spans, each of which is a query, "
            f"received {spans.last - spans.first + 1:,}"
        )
    days = range(spans.first, spans.last + 1)
    queries = [InputSplit(split.name, expanded(split.pattern, day)) for split in splits for day in days]
    return Spanned(queries, spans.last, span_numbers.listed(days, dated=True))
