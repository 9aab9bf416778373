"""Which offsets a window has. It is fixed before a record is read, so a retry and a rerun read the same records.

The next window begins where the last one ended that is done. One that was fixed and is not done is given again, as it
was. Offsets that have no record (of control records, of aborted transactions, of what compaction removed) are part of a
window like any others.
"""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from penstock.components.example_gen.configs import SpanRange
from penstock.components.example_gen.sources.kafka.client import Brokers
from penstock.components.example_gen.sources.kafka.options import WINDOWS, Edge, KafkaOptions
from penstock.core import span_numbers
from penstock.core.errors import ConfigError, DataError

logger = logging.getLogger(__name__)
type Offsets = Mapping[int, int]


class Window(TypedDict):
    """Offsets of a topic, by partition: from `begin` on, `end` excluded.

    `number` is its span, `id` its own in all pipelines, `topic_id` the topic's (one that is made anew has another), and
    `schema` the id of the schema in the registry that its values are read as, 0 without. `is_done` is whether its
    Examples are in place.
    """

    number: int
    id: str
    topic_id: str
    begin: dict[int, int]
    end: dict[int, int]
    schema: int
    is_done: bool


@dataclass(frozen=True)
class Look:
    """What there is of a topic now, and what is asked of it.

    Args:
        has_row: Whether a record lies in offsets that has a value, and one that can be read.
        schema: Returns the id of the schema that values are to be read as, 0 without a registry.
    """

    options: KafkaOptions
    brokers: Brokers
    has_row: Callable[[Mapping[int, tuple[int, int]]], bool]
    schema: Callable[[], int]

    def window(self, number: int, begin: Offsets, end: Offsets) -> Window:
        return Window(
            number=number,
            id=uuid.uuid4().hex,
            topic_id=self.brokers.topic.id,
            begin=dict(begin),
            end=dict(end),
            schema=self.schema(),
            is_done=False,
        )


def newest(look: Look, kept: list[Window]) -> list[Window]:
    """Returns the windows with the one to read now as the last: a new one, or the last one where nothing came since.

    Raises a DataError if there is no record yet, if records were removed before they were read, or if the topic is not
    the one of the last window; the two latter only if `lost_records` is fail.
    """
    kept, begin = _continued(look, kept)
    if begin is None:
        return kept
    number = kept[-1]["number"] + 1 if kept else 1
    end = _ends(look, begin)
    if look.options.window:
        number = max(_complete(look.options) - 1, number)
    if any(end[partition] > begin[partition] for partition in begin) and look.has_row(spanned(begin, end)):
        return [*kept, look.window(number, begin, end)]
    if look.options.start == "latest" and not kept:
        return [Window({**look.window(0, begin, begin), "is_done": True})]
    return kept


def chosen(windows: list[Window], wanted: SpanRange | None, topic: str) -> list[Window]:
    """Returns the windows of a range, or the last one; a DataError where there is none."""
    there = [window for window in windows if spanned(window["begin"], window["end"])]
    if not there:
        raise DataError(
            f"topic {topic}: expected at least one committed record from kafka.start on, found none yet: run again "
            "once there are some, or set kafka.start to read earlier ones"
        )
    if wanted is None:
        return there[-1:]
    last = there[-1]["number"] if wanted.last is None else wanted.last
    first = max(wanted.first or 0, last - wanted.count + 1)
    found = [window for window in there if first <= window["number"] <= last]
    if not found:
        known = f"{there[0]['number']} to {there[-1]['number']}"
        raise DataError(f"topic {topic}: expected windows {first} to {last} (range_config), found windows {known}")
    return found


def days(look: Look, wanted: SpanRange) -> list[Window]:
    """Returns the days, or hours, of a range that have records; a DataError if none has any."""
    unit = WINDOWS[look.options.window or "day"]
    newest = _complete(look.options) - 1
    last = newest if wanted.last is None else wanted.last
    if last > newest:
        raise DataError(f"range_config: {in_words(look.options, [last])} is not over: expected one that is")
    first = max(wanted.first or 0, last - wanted.count + 1)
    edges = {number: look.brokers.at(number * unit) for number in range(first, last + 2)}
    found = [
        look.window(number, edges[number], edges[number + 1])
        for number in range(first, last + 1)
        if edges[number] != edges[number + 1]
    ]
    if not found:
        named = in_words(look.options, [first, last])
        raise DataError(f"topic {look.options.topic}: expected at least one record of {named}, found none")
    return found


def in_words(options: KafkaOptions, numbers: list[int]) -> str:
    """Returns what a person knows windows by, from the first to the last."""
    ends = [numbers[0], numbers[-1]] if numbers[-1] != numbers[0] else numbers[:1]
    if options.window == "day":
        return " to ".join(span_numbers.text(number, dated=True) for number in ends)
    unit = "hour" if options.window else "window"
    return f"{unit}{'s' * (len(ends) > 1)} {' to '.join(map(str, ends))}"


def spanned(begin: Offsets, end: Offsets) -> dict[int, tuple[int, int]]:
    """Returns the offsets of those partitions that have some."""
    return {number: (begin[number], end[number]) for number in sorted(begin) if end[number] > begin[number]}


def _continued(look: Look, kept: list[Window]) -> tuple[list[Window], dict[int, int] | None]:
    """Returns the windows that count, and where the next one begins; None where the last one is to be read again."""
    options, brokers = look.options, look.brokers
    first = brokers.earliest()
    if not kept:
        begin = _edges(look, "start", options.start)
        _check_lost(options, {number: begin[number] for number in begin if options.start != "earliest"}, first, 1)
        return kept, {number: max(begin[number], first[number]) for number in begin}
    last = kept[-1]
    if why := _made_anew(last, brokers):
        if options.lost_records == "fail":
            raise DataError(
                f"topic {options.topic}: it is not the one that window {last['number']} is of ({why}): set "
                "kafka.lost_records: skip to read the one that there is from kafka.start on"
            )
        logger.warning("topic %s: it was made anew (%s), and is read from kafka.start on", options.topic, why)
        # Windows of the old topic cannot be read again. Their numbers are not used twice.
        ended = Window({**last, "is_done": True, "topic_id": brokers.topic.id})
        begin = _edges(look, "start", options.start)
        return [Window({**ended, "begin": begin, "end": begin})], begin
    lost = _check_lost(options, last["end"] if last["is_done"] else last["begin"], first, last["number"])
    if not last["is_done"]:
        if not lost:
            return kept, None
        kept = kept[:-1]  # it cannot be read again as it was
    begin = last["end"] if last["is_done"] else last["begin"]
    return kept, {number: max(begin.get(number, 0), first[number]) for number in brokers.topic.partitions}


def _made_anew(last: Window, brokers: Brokers) -> str:
    """Returns why the topic is not the one of a window, "" if it is."""
    topic, ends = brokers.topic, brokers.ends()
    if last["topic_id"] and topic.id and last["topic_id"] != topic.id:
        return f"its id is {topic.id}, not {last['topic_id']}"
    for number, end in sorted(last["end"].items()):
        if number not in ends:
            return f"there is no partition {number} any more"
        if ends[number] < end:
            return f"partition {number} ends at {ends[number]}, before {end}"
    return ""


def _check_lost(options: KafkaOptions, begin: Offsets, first: Offsets, window: int) -> bool:
    """Returns whether records were removed before they were read; a DataError, which says which, unless they may be."""
    lost = {number: (offset, first[number]) for number, offset in begin.items() if first.get(number, 0) > offset}
    if not lost:
        return False
    message = lost_in_words(options.topic, lost)
    if options.lost_records == "fail":
        raise DataError(f"{message}: set kafka.lost_records: skip to go on without them, and keep records longer")
    logger.warning("%s (window %d and later): going on without them", message, window)
    return True


def lost_in_words(topic: str, lost: Mapping[int, tuple[int, int]]) -> str:
    """Returns the sentence of records that are gone, by partition the offsets of the first one and of the one after."""
    total = sum(after - begin for begin, after in lost.values())
    ranges = ", ".join(
        f"{begin} to {after - 1} of partition {number}" for number, (begin, after) in sorted(lost.items())
    )
    return f"topic {topic}: {total:,} offsets were removed before they were read, as by its retention ({ranges})"


def _ends(look: Look, begin: Offsets) -> dict[int, int]:
    """Returns where a window ends that begins like this, as far as records are wanted."""
    options = look.options
    ends = _edges(look, "end", options.end)
    if options.window:
        whole = look.brokers.at(_complete(options) * WINDOWS[options.window])
        ends = {number: min(end, whole[number]) for number, end in ends.items()}
    waiting = {number: max(0, ends[number] - begin[number]) for number in begin}
    total = sum(waiting.values())
    if options.max_records and total > options.max_records:
        shares = {number: count * options.max_records // total for number, count in waiting.items()}
        left = options.max_records - sum(shares.values())
        for number in sorted(waiting, key=lambda number: (shares[number] - waiting[number], number))[:left]:
            shares[number] += 1
        waiting = shares
    return {number: begin[number] + count for number, count in waiting.items()}


def _edges(look: Look, key: str, edge: Edge) -> dict[int, int]:
    """Returns the offset that an edge is in each partition; partitions that it does not name are read whole."""
    brokers = look.brokers
    first, latest = brokers.earliest(), brokers.latest()
    if isinstance(edge, int):
        return brokers.at(edge)
    if isinstance(edge, str):
        return first if edge == "earliest" else latest
    if unknown := sorted(set(edge) - set(latest)):
        there = ", ".join(map(str, sorted(latest)))
        raise ConfigError(f"kafka.{key}: expected partitions of the topic ({there}), received {unknown[0]}")
    rest = first if key == "start" else latest
    return {number: min(edge.get(number, rest[number]), latest[number]) for number in latest}


def _complete(options: KafkaOptions) -> int:
    """Returns the number of the day, or hour, that is not over yet."""
    return int(time.time() * 1000) // WINDOWS[options.window or "day"]
