"""A topic as a source: `resolve` fixes the window, `open` cuts it into shards, and reading.py reads them."""

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import pyarrow as pa

from penstock.components.example_gen import configs, labels
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sources import columns, inferred, pieces
from penstock.components.example_gen.sources.inferred import InferredSource
from penstock.components.example_gen.sources.kafka import client, state, windows
from penstock.components.example_gen.sources.kafka.client import Brokers
from penstock.components.example_gen.sources.kafka.messages import RECORD, OffsetsPiece
from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.components.example_gen.sources.kafka.quarantine import Quarantine
from penstock.components.example_gen.sources.kafka.reading import Reader, registry_of
from penstock.components.example_gen.sources.kafka.windows import Look, Offsets, Window
from penstock.components.example_gen.sources.pieces import Shard
from penstock.components.example_gen.sources.source import Asked, Block, Opened, Request, Resolved, Source
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from penstock.core.files import atomic, documents, object_stores
from penstock.core.suggestions import did_you_mean

logger = logging.getLogger(__name__)


class KafkaSource(Source[OffsetsPiece]):
    """Reads each window of a topic once.

    A window is done when its Examples are in place and ExampleGen has said so in the state, which is the last thing
    that it does. Until then every run gets the same window; from then on, the next. One that is done can be read again
    by its number, with a range of spans.
    """

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Fixes the window to read now, or finds those of a range, and keeps it in the state before it is read."""
        options = KafkaOptions.parse(asked.options)
        check_splits(asked.splits)
        with client.connected(options) as brokers:
            look = Look(
                options,
                brokers,
                lambda offsets: Reader(options, _latest_schema(options), _schema_file(options)).has_row(offsets),
                lambda: _latest_schema(options),
            )
            are_days = bool(options.window and asked.spans)
            if are_days and asked.spans:
                found = windows.days(look, asked.spans)
            else:
                is_fixed = asked.spans is not None and asked.spans.last is not None
                there = _kept(asked.state, options) if is_fixed else _newest(look, asked.state)
                found = windows.chosen(there, asked.spans, options.topic)
        if are_days or not asked.state:  # no state knows them, so the same offsets are the same window
            found = [Window({**window, "id": ""}) for window in found]
        numbers = [window["number"] for window in found]
        name = configs.DEFAULT_INPUT[0].name
        patterns = [_Pattern(window, asked.state) for window in found]
        schema = f",schema:{hashlib.sha256(_schema_file(options)).hexdigest()}" if options.schema_file else ""
        return Resolved(
            [InputSplit(name, pattern.text()) for pattern in patterns],
            "\n".join(f"split:{name},{pattern.fingerprint(options.topic)}{schema}" for pattern in patterns),
            numbers[-1],
            spans=windows.in_words(options, numbers),
        )

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[OffsetsPiece]]:
        """Looks whether all offsets are still there and what the values' columns are, and gives shards of offsets."""
        options = KafkaOptions.parse(parse_object("input_base", request.options))
        patterns = {
            split: [_Pattern.parse(one.pattern) for one in request.splits if one.name == split]
            for split in dict.fromkeys(one.name for one in request.splits)
        }
        every = [pattern for of_split in patterns.values() for pattern in of_split]
        reader = _reader(options, every, request.label)
        if reader.quarantine:
            for pattern in every:
                reader.quarantine.clear(pattern.window["number"])
        with client.connected(options) as brokers:
            offsets = {
                split: [offsets for pattern in of_split for offsets in _offsets(options, brokers, pattern.window)]
                for split, of_split in patterns.items()
            }
            origin = _origin(options, brokers, every)
        shards = _shards(offsets, options.records_per_shard)
        if not shards:
            raise DataError(
                f"topic {options.topic}: the window has no record any more, as by the topic's retention: run again"
            )
        yield Opened(
            _source_of(reader, shards[0].pieces[0]),
            shards,
            {"partitions": len({one.partition for of in offsets.values() for one in of})},
            origin=origin,
            done=functools.partial(_done, options, every, reader.quarantine),
        )


def check_splits(splits: Sequence[InputSplit]) -> None:
    """Raises a ConfigError for input splits: a topic has none."""
    if splits is not configs.DEFAULT_INPUT:
        raise ConfigError("input_config (data.splits): expected none of a topic, whose rows `splits` divides")


def newest(options: KafkaOptions, records: int, folder: str) -> str:
    """Returns a pattern of the newest offsets, some of each partition and about so many in all, of no run's window.

    `folder` is where values go that cannot be read. Raises a DataError for a topic without records.
    """
    with client.connected(options) as brokers:
        first, end = brokers.earliest(), brokers.latest()
        each = max(1, records // max(1, len(end)))
        begin = {number: max(first[number], offset - each) for number, offset in end.items()}
        if not windows.spanned(begin, end):
            raise DataError(f"topic {options.topic}: it has no committed record yet: expected at least one")
        look = Look(options, brokers, lambda offsets: True, lambda: _latest_schema(options))
        return _Pattern(look.window(0, begin, end), folder).text()


def _source_of(reader: Reader, first: OffsetsPiece) -> Source[OffsetsPiece]:
    """Returns the source that a reader is to ExampleGen; what has no types has those of the first messages."""
    if reader.options.value_format == "tf_example":
        return ExampleValues(reader)
    if reader.options.value_format in ("avro", "protobuf"):
        return TypedValues(reader)
    features = columns.features(reader.first(first), first.name)
    return UntypedValues(reader=reader, kinds=inferred.of_features(features))


@dataclass(frozen=True)
class TypedValues(TableSource[OffsetsPiece], KafkaSource):
    """Values whose schema says what their columns are."""

    reader: Reader

    def batches(self, piece: OffsetsPiece) -> Iterator[pa.RecordBatch]:
        return self.reader.batches(piece)


@dataclass(frozen=True, kw_only=True)
class UntypedValues(InferredSource[OffsetsPiece], KafkaSource):
    """Values whose columns are what they are in all rows."""

    reader: Reader

    def batches(self, piece: OffsetsPiece) -> Iterator[pa.RecordBatch]:
        return self.reader.batches(piece)


@dataclass(frozen=True)
class ExampleValues(KafkaSource):
    """Values that are tf.Examples, which stay as they are."""

    typed_by_record: ClassVar[bool] = True
    reader: Reader

    def read(self, piece: OffsetsPiece) -> Iterator[Block]:
        for decoded in self.reader.decoded(piece):
            examples = [message.value() for message in decoded.messages]
            yield Block(decoded.rows, examples, records.encode(decoded.rows, skip_nulls=True))


@dataclass(frozen=True)
class _Pattern:
    """What is read: a window, and the folder of the state, where it is noted once it is done ("" for nowhere)."""

    window: Window
    state: str

    def text(self) -> str:
        """Returns it as an input split's pattern, which is the same before and after the window is done."""
        return documents.json_text({"state": self.state, **self.window, "is_done": False})

    @classmethod
    def parse(cls, text: str) -> Self:
        given = parse_object("resolved_input", text)
        try:
            offsets = {key: {int(part): int(at) for part, at in given[key].items()} for key in ("begin", "end")}
            window = Window(
                number=int(given["number"]),
                id=given["id"],
                topic_id=given["topic_id"],
                begin=offsets["begin"],
                end=offsets["end"],
                schema=int(given["schema"]),
                is_done=False,
            )
            return cls(window, given["state"])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise ConfigError(
                "resolved_input: expected a window of a topic, as input_resolver returns it, received another pattern"
            ) from None

    def fingerprint(self, topic: str) -> str:
        window = self.window
        spanned = windows.spanned(window["begin"], window["end"])
        offsets = " ".join(f"{number}:{begin}-{end}" for number, (begin, end) in spanned.items())
        return f"topic:{topic},window:{window['number']},id:{window['id']},schema:{window['schema']},offsets:{offsets}"


def _kept(place: str, options: KafkaOptions) -> list[Window]:
    return state.opened(place, options.topic).read()["windows"] if place else []


def _newest(look: Look, place: str) -> list[Window]:
    """Returns the windows that there are, the last one to be read now, and keeps them. Without a place nothing is."""
    if not place:
        return windows.newest(look, [])
    folder = state.opened(place, look.options.topic)
    with folder.held():
        kept = folder.read()
        found = windows.newest(look, kept["windows"])
        if found != kept["windows"]:
            folder.write(state.State(version=1, windows=found[-state.KEPT :]))
    return found


def _latest_schema(options: KafkaOptions) -> int:
    registry = registry_of(options)
    if registry is None or options.value_format not in ("avro", "protobuf"):
        return 0
    return registry.latest(options.schema_subject or f"{options.topic}-value")


def _schema_file(options: KafkaOptions) -> bytes:
    path = options.schema_file
    if not path:
        return b""
    if object_stores.is_remote(path):
        with object_stores.open_store(path) as store:
            return store.read(path)
    try:
        return atomic.local_path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"kafka.schema_file: {path} cannot be read: {error.strerror}") from None


def _reader(options: KafkaOptions, patterns: Sequence[_Pattern], label: str) -> Reader:
    """Returns what reads the values; a DataError for columns that are not there or are no features."""
    place = options.quarantine or next((pattern.state for pattern in patterns if pattern.state), "")
    if place and not options.quarantine:
        place = object_stores.join(place, f"kafka/{options.topic}/quarantine")
    if options.max_bad_messages and not place:
        raise ConfigError("kafka.quarantine: it is missing: expected a folder for messages that cannot be read")
    reader = Reader(
        options,
        max(pattern.window["schema"] for pattern in patterns),  # one for all windows, which have the same columns so
        _schema_file(options),
        Quarantine(place) if place else None,
    )
    where, decoder = f"topic {options.topic}", reader.typed_decoder()
    known = decoder.names if decoder else options.csv.column_names if options.csv else ()
    for name in options.columns:
        if known and name not in known:
            raise DataError(f"{where}: there is no column {name!r}; {did_you_mean(name, known)}")
    kinds = columns.kinds(decoder.schema, where) if decoder else known
    if label and known:
        labels.require_column(label, [*kinds, *(f"kafka_{kind}" for kind in options.metadata)], where)
    return reader


def _offsets(options: KafkaOptions, brokers: Brokers, window: Window) -> Iterator[OffsetsPiece]:
    """Yields the offsets of each partition that a window has; a DataError if they are not there any more."""
    topic, first = brokers.topic, brokers.earliest()
    if window["topic_id"] and topic.id and window["topic_id"] != topic.id:
        raise DataError(
            f"topic {options.topic}: it was made anew after window {window['number']} was fixed, whose records are "
            "gone: run the pipeline again"
        )
    spanned = windows.spanned(window["begin"], window["end"])
    lost = {
        number: (begin, min(first[number], end))
        for number, (begin, end) in spanned.items()
        if first.get(number, end) > begin
    }
    if lost:
        message = windows.lost_in_words(options.topic, lost)
        if options.lost_records == "fail":
            raise DataError(
                f"{message}: set kafka.lost_records: skip to read what is left of window {window['number']}"
            )
        logger.warning("%s: going on without them", message)
    for number, (begin, end) in spanned.items():
        begin = max(begin, lost[number][1]) if number in lost else begin
        if begin < end:
            yield OffsetsPiece(options.topic, number, begin, end, window["number"])


def _shards(offsets: Mapping[str, Sequence[OffsetsPiece]], most: int) -> list[Shard[OffsetsPiece]]:
    """Cuts the offsets of each split, into shards of at most so many, or, for 0, by how many there are."""
    if not most:
        longest = pieces.shard_bytes(one.size for of_split in offsets.values() for one in of_split) // RECORD
        return pieces.shards({split: list(_cut(of_split, longest)) for split, of_split in offsets.items()})
    cut = {split: list(_cut(of_split, most)) for split, of_split in offsets.items()}
    return [Shard(split, index, len(of), (piece,)) for split, of in cut.items() for index, piece in enumerate(of)]


def _cut(offsets: Iterable[OffsetsPiece], most: int) -> Iterator[OffsetsPiece]:
    for one in offsets:
        for begin in range(one.begin, one.end, most):
            yield replace(one, begin=begin, end=min(begin + most, one.end))


def _origin(options: KafkaOptions, brokers: Brokers, patterns: Sequence[_Pattern]) -> dict[str, str]:
    offsets = {
        pattern.window["number"]: {
            str(number): [begin, end]
            for number, (begin, end) in windows.spanned(pattern.window["begin"], pattern.window["end"]).items()
        }
        for pattern in patterns
    }
    return {
        "bootstrap_servers": options.bootstrap_servers,
        "cluster_id": brokers.topic.cluster_id,
        "topic": options.topic,
        "topic_id": brokers.topic.id,
        "isolation_level": options.isolation_level,
        "offsets": json.dumps(offsets),
    }


def _done(options: KafkaOptions, patterns: Sequence[_Pattern], quarantine: Quarantine | None) -> None:
    """Tells what was left out, and notes what is done: before that to the consumer group, on which nothing depends."""
    for pattern in patterns:
        window = pattern.window
        if quarantine and (bad := quarantine.count(window["number"])):
            logger.warning(
                "%s messages of window %s cannot be read: they are in %s",
                f"{bad:,}",
                window["number"],
                quarantine.folder,
            )
        if pattern.state:
            tell = functools.partial(_commit, options) if options.group_id else None
            state.done(pattern.state, options.topic, window["id"], tell)


def _commit(options: KafkaOptions, offsets: Offsets) -> None:
    with client.connected(options) as brokers:
        brokers.commit(offsets)
