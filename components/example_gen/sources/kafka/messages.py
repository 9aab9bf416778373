"""Reads offsets of a partition to their end: each record once, whatever happens on the way.

A reading ends by its position, not by a count: what control records, aborted transactions and compaction leave are
offsets without a record. Where no record follows, the brokers' end of the partition tells the position.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.components.example_gen.sources.kafka.client import Complaints, library
from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.core.errors import DataError
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered

BATCH = 8192  # records that are decoded together, unless they are large
_MOST_BYTES = 16 << 20
_FEW = 100
_WAIT = 0.05  # seconds that what has come waits for more


@dataclass(frozen=True)
class OffsetsPiece:
    """The offsets of a partition from `begin` on, `end` excluded, of a window by its number."""

    topic: str
    partition: int
    begin: int
    end: int
    window: int

    @property
    def name(self) -> str:
        return f"topic {self.topic}, partition {self.partition}"

    @property
    def size(self) -> int:
        return (self.end - self.begin) * RECORD


RECORD = 256  # bytes that a record is taken for: brokers do not tell


def batches(options: KafkaOptions, piece: OffsetsPiece) -> Iterator[list[Any]]:
    """Yields the messages of a piece that have a value, always in the same batches.

    A connection that fails is made again, and goes on after the last record. Raises an Unanswered once no record has
    come for three times the options' time, a DataError where the offsets are gone.
    """
    waiting: list[Any] = []
    size = 0
    for messages in _read(options, piece):
        for message in messages:
            if message.value() is None:  # a tombstone: the record of its key is removed
                continue
            waiting.append(message)
            size += len(message)
            if len(waiting) == BATCH or size >= _MOST_BYTES:
                yield waiting
                waiting, size = [], 0
    if waiting:
        yield waiting


def valued(options: KafkaOptions, offsets: Mapping[int, tuple[int, int]]) -> Iterator[list[Any]]:
    """Yields messages that have a value out of offsets, by partition: a few at a time, for a look at the first ones."""
    for partition, (begin, end) in sorted(offsets.items()):
        for messages in _read(options, OffsetsPiece(options.topic, partition, begin, end, 0), at_once=_FEW):
            if found := [message for message in messages if message.value() is not None]:
                yield found


def _read(options: KafkaOptions, piece: OffsetsPiece, at_once: int = BATCH) -> Iterator[Sequence[Any]]:
    position, failures = piece.begin, 0
    while position < piece.end:
        try:
            with contextlib.closing(_Reading(options, piece, position)) as reading:
                while reading.position < piece.end:
                    if messages := reading.next(at_once):
                        yield messages
                    if reading.position > position:
                        position, failures = reading.position, 0
            return
        except Unanswered as error:
            failures += 1
            if failures == retries.TRIES:
                raise
            failure = error
        retries.pause(failures, failure)


class _Reading:
    """A consumer of one partition, of no group: made in the process that reads, and closed there."""

    def __init__(self, options: KafkaOptions, piece: OffsetsPiece, position: int) -> None:
        self.options, self.piece, self.position = options, piece, position
        kafka = library()
        self._eof, self._complaints = kafka.KafkaError._PARTITION_EOF, Complaints()
        settings = {
            "queued.max.messages.kbytes": 32 << 10,  # of a process; each core has one
            "fetch.queue.backoff.ms": 20,  # until it is looked whether there is room again
            "fetch.wait.max.ms": 100,
            "reconnect.backoff.max.ms": 1000,
            **options.client(),
            "group.id": "penstock",  # wanted, and never used: nothing is committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": options.isolation_level,
            "error_cb": self._complaints,
            "log_level": 0,
        }
        self._consumer = kafka.Consumer(settings)
        self._consumer.assign([kafka.TopicPartition(piece.topic, piece.partition, position)])
        self._last = time.monotonic()

    def next(self, count: int) -> list[Any]:
        """Returns the next messages before the end, of at most `count`, and moves the position behind them."""
        came = self._consumer.consume(min(count, self.piece.end - self.position), timeout=_WAIT)
        if came and came[-1].offset() < self.piece.end and not any(message.error() for message in came):
            self.position, self._last = came[-1].offset() + 1, time.monotonic()
            return list(came)
        records = []
        for message in came:
            error = message.error()
            if error is None:
                if message.offset() < self.piece.end:
                    records.append(message)
                self.position = message.offset() + 1
            elif error.code() == self._eof:
                self.position = max(self.position, message.offset())
                if self.position < self.piece.end:
                    self._check_end(message.offset())
            else:
                self._fail(error)
        if came:
            self._last = time.monotonic()
        elif refused := self._complaints.refusal(self.options):
            raise refused
        elif time.monotonic() - self._last > self.options.timeout:
            raise self._complaints.failure(self.options)
        return records

    def _check_end(self, offset: int) -> None:
        """A leader that lags tells a low end, and no more once it has caught up; so the connection is made again."""
        raise Unanswered(
            f"{self.piece.name}: it ends at offset {offset}, before {self.piece.end}, where it ended when the window "
            "was fixed",
            "run again once all replicas are there; of a topic that was made anew, or has lost records, see "
            "kafka.lost_records",
        )

    def _fail(self, error: Any) -> None:
        kafka = library().KafkaError
        if error.code() in (kafka._AUTO_OFFSET_RESET, kafka.OFFSET_OUT_OF_RANGE):
            raise DataError(
                f"{self.piece.name}: offset {self.position} is gone, as by the topic's retention: expected all of "
                f"{self.piece.begin} to {self.piece.end - 1}: run again, with kafka.lost_records: skip to do without"
            )
        if error.code() in (kafka._BAD_MSG, kafka.INVALID_MSG, kafka._BAD_COMPRESSION):
            raise DataError(f"{self.piece.name}: the records from offset {self.position} on are damaged: {error.str()}")
        self._complaints(error)
        raise self._complaints.failure(self.options)

    def close(self) -> None:
        self._consumer.close()
