"""The brokers: what a topic's partitions hold, and what it means when they do not answer.

librdkafka tries again by itself as long as it is let, and tells why only in passing. So its last complaint is kept, and
is the sentence once the time is over.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.core.errors import ConfigError, DataError, PenstockError, ServerError
from penstock.core.services.retries import Unanswered

_LOOK = 2.0  # seconds after which it is looked whether the brokers' refusal makes waiting useless


def library() -> Any:
    """Returns the module confluent_kafka; a ConfigError if it is not installed."""
    try:
        import confluent_kafka
    except ImportError:
        raise ConfigError(
            "kafka: its client is not installed where this task runs: pip install 'penstock[kafka]'"
        ) from None
    return confluent_kafka


@dataclass
class Complaints:
    """The last error that librdkafka told of a connection."""

    last: Any = None

    def __call__(self, error: Any) -> None:
        kafka = library().KafkaError
        if self.last is None or error.code() != kafka._ALL_BROKERS_DOWN:  # which says less than what was before
            self.last = error

    def refusal(self, options: KafkaOptions) -> PenstockError | None:
        """Returns what a person can mend; None where the brokers may answer soon."""
        return None if self.last is None else _refusal(self.last, options)

    def failure(self, options: KafkaOptions, error: Any = None) -> PenstockError:
        """Returns the error of brokers that did not answer in time."""
        told = self.last or error
        refused = _refusal(told, options) if told is not None else None
        why = f" ({told.str()})" if told is not None else ""
        return refused or Unanswered(
            f"no answer from the Kafka brokers {options.bootstrap_servers} in {options.timeout} s{why}",
            "check kafka.bootstrap_servers and that they can be reached from where this task runs",
        )


def _refusal(error: Any, options: KafkaOptions) -> PenstockError | None:
    kafka = library().KafkaError
    code, servers, text = error.code(), options.bootstrap_servers, error.str()
    if code in (kafka._AUTHENTICATION, kafka.SASL_AUTHENTICATION_FAILED, kafka.UNSUPPORTED_SASL_MECHANISM):
        return ServerError(
            f"the Kafka brokers {servers} refuse the sign-in: {text}: check kafka.sasl_mechanism and the credentials"
        )
    if code == kafka._SSL:
        return ServerError(
            f"no TLS with the Kafka brokers {servers}: {text}: check kafka.security_protocol and kafka.ssl_ca_location"
        )
    if code == kafka._RESOLVE:
        return ServerError(f"there is no server of that name: {text}: check kafka.bootstrap_servers")
    if code in (kafka.TOPIC_AUTHORIZATION_FAILED, kafka.GROUP_AUTHORIZATION_FAILED, kafka.CLUSTER_AUTHORIZATION_FAILED):
        return ServerError(
            f"topic {options.topic}: this account may not do that: {text}: have it permitted on the brokers"
        )
    if code in (kafka.UNKNOWN_MEMBER_ID, kafka.NON_EMPTY_GROUP):
        return ServerError(
            f"consumer group {options.group_id}: it has members, which commit by themselves: name another one with "
            "kafka.group_id"
        )
    if code in (kafka.UNKNOWN_TOPIC_OR_PART, kafka._UNKNOWN_TOPIC, kafka._UNKNOWN_PARTITION):
        return DataError(f"topic {options.topic}: the Kafka brokers {servers} know no such topic: check kafka.topic")
    return None


@dataclass(frozen=True)
class Topic:
    """What there is of a topic: its id, that changes when it is made anew ("" of old brokers), and its partitions."""

    cluster_id: str
    id: str
    partitions: tuple[int, ...]


@dataclass
class Brokers:
    """A connection that asks, and reads no records.

    Every method raises a ServerError for what a person can mend, and an Unanswered once its time is over.
    """

    options: KafkaOptions
    _admin: Any
    _complaints: Complaints
    _topic: Topic | None = field(default=None)

    @property
    def topic(self) -> Topic:
        """The topic; a DataError if there is none."""
        if self._topic is None:
            kafka, name = library(), self.options.topic
            found = self._waiting(lambda: self._admin.list_topics(name, timeout=_LOOK))
            described = found.topics[name]
            if described.error is not None:
                raise _refusal(described.error, self.options) or self._complaints.failure(self.options, described.error)
            self._topic = Topic(found.cluster_id or "", self._id(kafka, name), tuple(sorted(described.partitions)))
        return self._topic

    def _id(self, kafka: Any, name: str) -> str:
        with contextlib.suppress(kafka.KafkaException):  # brokers before 2.8
            described = self._admin.describe_topics(kafka.TopicCollection([name]), request_timeout=self.options.timeout)
            return str(described[name].result().topic_id)
        return ""

    def earliest(self) -> dict[int, int]:
        """Returns the first offset of each partition that is still there."""
        return self._offsets("earliest")

    def latest(self) -> dict[int, int]:
        """Returns the offset after the last record of each partition, of those that its readers see: a transaction that
        is open is not one of them."""
        return self._offsets("latest")

    def ends(self) -> dict[int, int]:
        """Returns the offset after the last record of each partition, whoever sees it: it never becomes less."""
        return self._offsets("latest", "read_uncommitted")

    def at(self, timestamp: int) -> dict[int, int]:
        """Returns the first offset of each partition whose record is not before a time in milliseconds, or `latest`."""
        ends = self.latest()
        found = self._offsets(timestamp)
        return {number: min(found[number], end) if found[number] >= 0 else end for number, end in ends.items()}

    def _offsets(self, of: str | int, isolation_level: str = "") -> dict[int, int]:
        kafka = library()
        from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

        spec = OffsetSpec.for_timestamp(of) if isinstance(of, int) else getattr(OffsetSpec, of)()
        level = getattr(kafka.IsolationLevel, (isolation_level or self.options.isolation_level).upper())
        asked = {kafka.TopicPartition(self.options.topic, number): spec for number in self.topic.partitions}

        def ask() -> dict[int, int]:
            listed = self._admin.list_offsets(asked, isolation_level=level, request_timeout=_LOOK)
            return {partition.partition: future.result().offset for partition, future in listed.items()}

        return self._waiting(ask)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Tells the consumer group of the options that all before these offsets is read.

        A ServerError while the group has members, which commit by themselves.
        """
        kafka = library()
        at = [kafka.TopicPartition(self.options.topic, number, offset) for number, offset in sorted(offsets.items())]
        group = kafka.ConsumerGroupTopicPartitions(self.options.group_id, at)

        def ask() -> None:
            told = self._admin.alter_consumer_group_offsets([group], request_timeout=_LOOK)
            for partition in told[self.options.group_id].result().topic_partitions:
                if partition.error is not None:
                    raise kafka.KafkaException(partition.error)

        self._waiting(ask)

    def _waiting[Answer](self, ask: Callable[[], Answer]) -> Answer:
        """Returns an answer, asked for until the time is over or the brokers have refused."""
        end = time.monotonic() + self.options.timeout
        while True:
            try:
                return ask()
            except library().KafkaException as error:
                cause = error.args[0]
                self._admin.poll(0)  # hears complaints
                refused = self._complaints.refusal(self.options) or _refusal(cause, self.options)
                if refused:
                    raise refused from None
                if time.monotonic() > end:
                    raise self._complaints.failure(self.options, cause) from None
            time.sleep(0.1)


@contextlib.contextmanager
def connected(options: KafkaOptions) -> Iterator[Brokers]:
    """Gives a connection that ends with the context: no thread of it is left when workers fork."""
    kafka = library()
    from confluent_kafka.admin import AdminClient

    complaints = Complaints()
    settings: dict[str, Any] = options.client() | {"error_cb": complaints, "log_level": 0}
    try:
        admin = AdminClient(settings)
    except kafka.KafkaException as error:
        raise ConfigError(
            f"kafka: the client refuses its options: {error.args[0].str()}: check kafka.config, and the files and "
            "variables that kafka names"
        ) from None
    brokers = Brokers(options, admin, complaints)
    del admin
    try:
        yield brokers
    finally:
        brokers._admin = None
