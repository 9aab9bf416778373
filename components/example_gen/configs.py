"""TFX's Input, Output and RangeConfig messages as JSON, read without protobuf so that the resolver stays light."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, get_args

from penstock.core import span_numbers
from penstock.core.arguments import check_list, check_object, check_string, check_whole_number, parse_object
from penstock.core.artifacts import MOST_BUCKETS, By, check_split_name
from penstock.core.errors import ConfigError, UserError
from penstock.core.files import documents


@dataclass(frozen=True)
class InputSplit:
    """Files of one input split: those below the input base that match the pattern."""

    name: str
    pattern: str


@dataclass(frozen=True)
class SpanRange:
    """The spans to read: `first` to `last`, or of those from `first` on the `count` numbers up to the newest."""

    first: int | None = None
    last: int | None = None
    count: int = 1


BY: tuple[By, ...] = get_args(By)


@dataclass(frozen=True)
class OutputSplits:
    """Output splits: `buckets[i]` of the buckets' sum go to `names[i]`. No names: the splits of the input.

    Args:
        by: What decides a row's split.
        partition_feature_name: The feature whose value decides in place of all that the row holds.
        seed: Of chance.
        stratify: The label if chance is to give each split its share of every class, else "".
    """

    names: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()
    partition_feature_name: str = ""
    by: By = "content"
    seed: int = 0
    stratify: str = ""


_SPLIT_KEYS = ("splits", "partition_feature_name", "by", "seed", "stratify")
DEFAULT_INPUT = (InputSplit("single_split", "*"),)
DEFAULT_OUTPUT = OutputSplits(("train", "eval"), (2, 1))


def input_splits(text: str) -> tuple[InputSplit, ...]:
    """Reads TFX's Input message. A split of several patterns is there several times."""
    return _splits(parse_object("input_config", text, ("splits",)))


def resolved_input(splits: Iterable[InputSplit], spans: str) -> str:
    """Returns the Input message of what there is to read. `spans` says in words of which spans and versions that is."""
    listed = [{"name": split.name, "pattern": split.pattern} for split in splits]
    return documents.json_text({"splits": listed} | ({"spans": spans} if spans else {}))


def resolved_splits(text: str) -> tuple[tuple[InputSplit, ...], str]:
    """Reads what `resolved_input` returns."""
    message = parse_object("resolved_input", text, ("splits", "spans"))
    return _splits(message), str(message.get("spans", ""))


def _splits(message: dict[str, Any]) -> tuple[InputSplit, ...]:
    splits = []
    for index, item in enumerate(check_list("input_config.splits", message.get("splits", []))):
        where = f"input_config.splits[{index}]"
        split = check_object(where, item, ("name", "pattern"))
        name = check_string(f"{where}.name", split.get("name"), "a name")
        pattern = check_string(f"{where}.pattern", split.get("pattern"), "a pattern")
        splits.append(InputSplit(_split_name(name, where), pattern))
    return tuple(splits) or DEFAULT_INPUT


def output_splits(text: str, inputs: list[str], label: str = "") -> OutputSplits:
    """Reads TFX's Output message; TFX's default is 2 to 1 for one input split, else the input's splits.

    Beside TFX's keys, `split_config` has `by`, `seed` and `stratify`; the latter is by the `label`.
    """
    message = parse_object("output_config", text, ("split_config",))
    where = "output_config.split_config"
    config = check_object(where, message.get("split_config", {}), _SPLIT_KEYS)
    method = _method(where, config, label)
    names, buckets = [], []
    for index, item in enumerate(check_list("output_config.split_config.splits", config.get("splits", []))):
        where = f"output_config.split_config.splits[{index}]"
        split = check_object(where, item, ("name", "hash_buckets"))
        names.append(_split_name(check_string(f"{where}.name", split.get("name"), "a name"), where))
        buckets.append(check_whole_number(f"{where}.hash_buckets", split.get("hash_buckets"), least=1))
    _check_distinct(names, "output_config.split_config.splits")
    if sum(buckets) > MOST_BUCKETS:
        raise ConfigError(
            f"output_config.split_config.splits: expected at most {MOST_BUCKETS:,} hash_buckets in all, received "
            f"{sum(buckets):,}"
        )
    if names and len(inputs) > 1:
        raise ConfigError(
            f"output_config (splits): expected no splits, as the input comes in {len(inputs)} of its own "
            f"({', '.join(inputs)}), received {', '.join(names)}: leave out one of the two"
        )
    if names:
        return replace(method, names=tuple(names), buckets=tuple(buckets))
    if len(inputs) > 1:
        return OutputSplits()
    return replace(method, names=DEFAULT_OUTPUT.names, buckets=DEFAULT_OUTPUT.buckets)


def _method(where: str, config: dict[str, Any], label: str) -> OutputSplits:
    """Reads what decides a row's split."""
    by = next((known for known in BY if known == config.get("by", "content")), None)
    if by is None:
        raise ConfigError(f"{where}.by: expected {', '.join(BY[:-1])} or {BY[-1]}, received {config['by']!r}")
    feature = config.get("partition_feature_name", "")
    stratify = config.get("stratify", False)
    if not isinstance(stratify, bool):
        raise ConfigError(f"{where}.stratify: expected true or false, received {stratify!r}")
    if feature and by in ("row", "random"):
        raise ConfigError(f"{where}: expected either partition_feature_name or by: {by}, received both")
    if by != "random" and (stratify or "seed" in config):
        raise ConfigError(f"{where}.{'stratify' if stratify else 'seed'}: expected by: random with it, received {by}")
    if stratify and not label:
        raise ConfigError(f"{where}.stratify: expected a label, by whose classes rows are divided")
    seed = check_whole_number(f"{where}.seed", config.get("seed"))
    return OutputSplits((), (), feature, by, seed, label if stratify else "")


def more_rows(output: OutputSplits) -> str:
    """Says how a split gets more rows: rows of one value of a partition feature are in one split, however many."""
    if output.partition_feature_name:
        return (
            f"rows with the same {output.partition_feature_name!r} stay in one split, so few values leave splits "
            "without: partition by a feature with more values, or by none"
        )
    if not output.names:
        return "bring more data, or give it files that hold some"
    return "bring more data, or give it more hash buckets"


def span_range(text: str, dated: bool) -> SpanRange | None:
    """Reads TFX's RangeConfig message; None if there is none.

    Where the pattern has dates (`dated`), a span may be written as a date too: "2026-01-31", or the number 20260131.
    """
    message = parse_object("range_config", text, ("static_range", "rolling_range"))
    if not message:
        return None
    if len(message) > 1:
        raise ConfigError(
            "range_config (data.range_config): expected either static_range or rolling_range, received both"
        )
    if "static_range" in message:
        where = "range_config.static_range"
        keys = ("start_span_number", "end_span_number")
        fixed = check_object(where, message["static_range"], keys)
        first, last = (_span(f"{where}.{key}", fixed.get(key), dated) for key in keys)
        if last < first:
            ends = [span_numbers.text(span, dated) for span in (first, last)]
            raise ConfigError(
                f"{where}: expected end_span_number >= start_span_number, received {ends[0]} to {ends[1]}"
            )
        return SpanRange(first, last, last - first + 1)
    where = "range_config.rolling_range"
    rolling = check_object(where, message["rolling_range"], ("start_span_number", "num_spans"))
    start = rolling.get("start_span_number")
    first_span = None if start is None else _span(f"{where}.start_span_number", start, dated)
    return SpanRange(first_span, None, check_whole_number(f"{where}.num_spans", rolling.get("num_spans"), least=1))


def _span(where: str, value: Any, dated: bool) -> int:
    day = span_numbers.of_text(value) if isinstance(value, str) else None
    if day is not None:
        if not dated:
            raise ConfigError(f"{where}: expected a number, for the pattern has {{SPAN}}, received the date {value}")
        return day
    of = "days since 1970-01-01, or a date such as 2026-01-31" if dated else ""
    number = check_whole_number(where, value, of=of)
    return (span_numbers.of_digits(number) if dated else None) or number


def check_distinct_inputs(splits: Iterable[InputSplit]) -> None:
    """Raises a ConfigError if a split is there several times, which sources without patterns of files refuse."""
    _check_distinct([split.name for split in splits], "input_config.splits")


def _split_name(name: str, where: str) -> str:
    try:
        return check_split_name(name)
    except UserError as error:
        raise ConfigError(f"{where}: {error.message}") from None


def _check_distinct(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{where}: expected different names, received {twice[0]!r} twice")
