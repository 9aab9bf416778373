"""TFX's Input, Output and RangeConfig messages as JSON, read without protobuf so that the resolver stays light.

Keys may be in proto form (`hash_buckets`) or in JSON form (`hashBuckets`), as protobuf's own reader takes them.
"""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.artifacts import check_split_name
from penstock.core.errors import ConfigError, UserError


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


@dataclass(frozen=True)
class OutputSplits:
    """Output splits by hash: `buckets[i]` of the buckets' sum go to `names[i]`. No names: the splits of the input."""

    names: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()
    partition_feature_name: str = ""


DEFAULT_INPUT = (InputSplit("single_split", "*"),)
DEFAULT_OUTPUT = OutputSplits(("train", "eval"), (2, 1))


def input_splits(text: str) -> tuple[InputSplit, ...]:
    """Reads TFX's Input message. A resolved one may name a split several times, once for each span's pattern."""
    message = parse(text, "input_config", {"splits"})
    splits = []
    for index, item in enumerate(_items(message.get("splits", []), "input_config.splits")):
        where = f"input_config.splits[{index}]"
        split = check_keys(item, where, {"name", "pattern"})
        name, pattern = _text(split, "name", where), _text(split, "pattern", where)
        splits.append(InputSplit(_split_name(name, where), pattern))
    return tuple(splits) or DEFAULT_INPUT


def output_splits(text: str, inputs: list[str]) -> OutputSplits:
    """Reads TFX's Output message; TFX's default is 2 to 1 for one input split, else the input's splits."""
    message = parse(text, "output_config", {"split_config"})
    config = check_keys(
        message.get("split_config", {}), "output_config.split_config", {"splits", "partition_feature_name"}
    )
    feature = config.get("partition_feature_name", "")
    names, buckets = [], []
    for index, item in enumerate(_items(config.get("splits", []), "output_config.split_config.splits")):
        where = f"output_config.split_config.splits[{index}]"
        split = check_keys(item, where, {"name", "hash_buckets"})
        names.append(_split_name(_text(split, "name", where), where))
        buckets.append(_integer(split, "hash_buckets", where, least=1))
    _check_distinct(names, "output_config.split_config.splits")
    if names and len(inputs) > 1:
        raise ConfigError(
            f"output_config (splits): expected no splits, as the input comes in {len(inputs)} of its own "
            f"({', '.join(inputs)}), received {', '.join(names)}: leave out one of the two"
        )
    if names:
        return OutputSplits(tuple(names), tuple(buckets), feature)
    if len(inputs) > 1:
        return OutputSplits()
    return OutputSplits(DEFAULT_OUTPUT.names, DEFAULT_OUTPUT.buckets, feature)


def more_rows(output: OutputSplits) -> str:
    """Says how a split gets more rows: rows of one value of a partition feature are in one split, however many."""
    if output.partition_feature_name:
        return (
            f"rows with the same {output.partition_feature_name!r} stay in one split, so few values leave splits "
            "without: partition by a feature with more values, or by none"
        )
    return f"bring more data, or give it {'more hash buckets' if output.names else 'files that hold some'}"


def span_range(text: str) -> SpanRange | None:
    """Reads TFX's RangeConfig message; None if there is none."""
    message = parse(text, "range_config", {"static_range", "rolling_range"})
    if not message:
        return None
    if len(message) > 1:
        raise ConfigError(
            "range_config (data.range_config): expected either static_range or rolling_range, received both"
        )
    if "static_range" in message:
        where = "range_config.static_range"
        fixed = check_keys(message["static_range"], where, {"start_span_number", "end_span_number"})
        first, last = (_integer(fixed, key, where, least=0) for key in ("start_span_number", "end_span_number"))
        if last < first:
            raise ConfigError(f"{where}: expected end_span_number >= start_span_number, received {first} to {last}")
        return SpanRange(first, last, last - first + 1)
    where = "range_config.rolling_range"
    rolling = check_keys(message["rolling_range"], where, {"start_span_number", "num_spans"})
    first_span = _integer(rolling, "start_span_number", where, least=0) if "start_span_number" in rolling else None
    return SpanRange(first_span, None, _integer(rolling, "num_spans", where, least=1))


def check_distinct_inputs(splits: tuple[InputSplit, ...]) -> None:
    _check_distinct([split.name for split in splits], "input_config.splits")


def parse(text: str, where: str, known: set[str]) -> dict[str, Any]:
    """Reads a JSON object with no other keys than `known`; empty text is an empty object."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: expected JSON, received {text[:80]!r} ({error})") from None
    return check_keys(value, where, known)


def check_keys(value: Any, where: str, known: set[str]) -> dict[str, Any]:
    """Returns an object's items by their names in proto form; a ConfigError names the nearest of `known` keys."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected an object, received {value!r}")
    result = {}
    for key, item in value.items():
        name = re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match[1].lower(), str(key))
        if name not in known:
            nearest = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
        result[name] = item
    return result


def _items(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: expected a list, received {value!r}")
    return value


def _text(value: dict[str, Any], key: str, where: str) -> str:
    if not isinstance(value.get(key), str) or not value[key]:
        raise ConfigError(f"{where}: expected a {key}, received {value.get(key)!r}")
    return str(value[key])


def _integer(value: dict[str, Any], key: str, where: str, least: int) -> int:
    number = value.get(key, 0)
    if isinstance(number, bool) or not isinstance(number, int | float) or number != int(number) or number < least:
        raise ConfigError(f"{where}: expected {key} to be a whole number, {least} or more, received {number!r}")
    return int(number)


def _split_name(name: str, where: str) -> str:
    try:
        return check_split_name(name)
    except UserError as error:
        raise ConfigError(f"{where}: {error.message}") from None


def _check_distinct(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{where}: expected different names, received {twice[0]!r} twice")
