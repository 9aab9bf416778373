"""Macros of spans in queries, as TFX replaces them."""

import pytest

from penstock.components.example_gen.configs import InputSplit, SpanRange
from penstock.components.example_gen.inputs import span_macros
from penstock.core.errors import ConfigError

QUERY = "SELECT * FROM trips WHERE at >= @span_begin_timestamp AND at < @span_end_timestamp OR day = @span_yyyymmdd_utc"


def test_a_query_of_a_span_is_that_of_tfx() -> None:
    """The queries of TFX's own test of `get_query_for_span`, and what it returns."""
    assert span_macros.expanded("select * from table", 1) == "select * from table"
    day = "select * from table where date=@span_yyyymmdd_utc"
    assert span_macros.expanded(day, 1) == "select * from table where date='19700102'"
    seconds = "ts>=TIMESTAMP_SECONDS(@span_begin_timestamp) and ts<TIMESTAMP_SECONDS(@span_end_timestamp)"
    assert span_macros.expanded(seconds, 2) == "ts>=TIMESTAMP_SECONDS(172800) and ts<TIMESTAMP_SECONDS(259200)"
    assert span_macros.expanded("@span_end_timestamp @span_yyyymmdd_utc", 2_932_896) == "253402300800 '99991231'"


def test_which_queries_have_macros() -> None:
    assert span_macros.has_macros(QUERY)
    assert not span_macros.has_macros("SELECT @span, '@spanner' FROM trips")


def test_several_spans_are_a_query_each() -> None:
    splits = [InputSplit("train", QUERY), InputSplit("eval", "SELECT @span_yyyymmdd_utc")]
    found = span_macros.spanned(splits, SpanRange(20484, 20485, 2))
    assert [split.name for split in found.splits] == ["train", "train", "eval", "eval"]
    assert [split.pattern for split in found.splits[2:]] == ["SELECT '20260131'", "SELECT '20260201'"]
    assert (found.span, found.spans) == (20485, "2026-01-31, 2026-02-01")


def test_queries_without_macros_stay() -> None:
    splits = [InputSplit("train", "SELECT 1")]
    assert span_macros.spanned(splits, None) == (splits, 0, "")


@pytest.mark.parametrize(
    ("queries", "spans", "error"),
    [
        ([QUERY], None, r"expected a static_range .* received none"),
        ([QUERY], SpanRange(None, None, 3), "received a rolling_range: a query does not tell"),
        ([QUERY], SpanRange(0, 5000, 5001), "expected at most 1,000 spans, .* received 5,001"),
        ([QUERY], SpanRange(10**8, 10**8), "expected days since 1970-01-01, or dates, received 100000000"),
        (["SELECT 1"], SpanRange(1, 1), "expected @span_begin_timestamp, .* in the query, found none"),
        ([QUERY, "SELECT 1"], SpanRange(1, 1), "split 's1': expected @span_begin_timestamp, .* as others have"),
    ],
)
def test_spans_that_do_not_fit_the_queries(queries: list[str], spans: SpanRange | None, error: str) -> None:
    splits = [InputSplit(f"s{index}", query) for index, query in enumerate(queries)]
    with pytest.raises(ConfigError, match=error):
        span_macros.spanned(splits, spans)
