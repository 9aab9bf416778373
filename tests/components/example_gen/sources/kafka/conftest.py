"""A broker for all tests of topics, and topics on it."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.inputs.spans import ResolvedInput
from penstock.core import artifacts
from penstock.core.examples import records
from tests.servers import kafka
from tests.servers.kafka import Broker

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with kafka.running(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@dataclass
class Topic:
    """A topic, and what a pipeline reads of it: its runs keep their state and their Examples in `folder`."""

    broker: Broker
    admin: AdminClient
    name: str
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)

    def create(self, partitions: int = 1, **config: str) -> None:
        new = NewTopic(self.name, partitions, 1, config=config)
        self.admin.create_topics([new])[self.name].result()

    def delete(self) -> None:
        self.admin.delete_topics([self.name])[self.name].result()

    def delete_before(self, offset: int, partition: int = 0) -> None:
        place = TopicPartition(self.name, partition, offset)
        self.admin.delete_records([place])[place].result()

    def send(self, values: Sequence[Any], partition: int = 0, **more: Any) -> None:
        """Sends values, JSON unless they are bytes."""
        producer = Producer({"bootstrap.servers": self.broker.address, "linger.ms": 0, "log_level": 0})
        self._produce(producer, values, partition, more)
        assert producer.flush(30) == 0

    def transact(self, values: Sequence[Any], *, commit: bool, partition: int = 0) -> None:
        producer = self.transaction(values, partition)
        producer.commit_transaction() if commit else producer.abort_transaction()

    def transaction(self, values: Sequence[Any], partition: int = 0) -> Producer:
        """Returns a producer whose transaction is open, and whose records the broker has."""
        settings = {"bootstrap.servers": self.broker.address, "linger.ms": 0, "log_level": 0}
        producer = Producer({**settings, "transactional.id": f"{self.name}-{next(_NUMBERS)}"})
        producer.init_transactions()
        producer.begin_transaction()
        self._produce(producer, values, partition, {})
        producer.flush()
        return producer

    def _produce(self, producer: Producer, values: Sequence[Any], partition: int, more: Mapping[str, Any]) -> None:
        for value in values:
            is_plain = value is None or isinstance(value, bytes)
            producer.produce(self.name, value if is_plain else json.dumps(value), partition=partition, **more)

    def input_base(self, **options: Any) -> str:
        base = {"bootstrap_servers": self.broker.address, "topic": self.name, "timeout": 20}
        return json.dumps({"kafka": {**base, **self.options, **options}})

    def resolve(self, range_config: str = "", state: str | None = None, **options: Any) -> ResolvedInput:
        place = str(self.folder / "sources") if state is None else state
        return resolving.resolve(input_base=self.input_base(**options), range_config=range_config, state=place)

    def generate(self, resolved: ResolvedInput, **options: Any) -> list[dict[str, Any]]:
        """Returns the rows of the Examples, by partition and offset where these are columns."""
        root = self.folder / "examples"
        self.metadata = executor.run(
            examples=str(root),
            input_base=self.input_base(**options),
            resolved_input=resolved.resolved_input,
            output_config='{"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}}',
            engine="local:2",
        ).metadata["examples"]
        files = artifacts.Examples(root).files("all")
        rows = [row for batch in records.read_batches(files) for row in batch.to_pylist()]
        return sorted(rows, key=lambda row: (row.get("kafka_partition") or [0], row.get("kafka_offset") or [0]))

    def run(self, range_config: str = "", state: str | None = None, **options: Any) -> list[dict[str, Any]]:
        """Reads the window that there is now."""
        return self.generate(self.resolve(range_config, state, **options), **options)

    def numbers(self, range_config: str = "", **options: Any) -> list[int]:
        """Returns `x` of the window that there is now."""
        return sorted(row["x"][0] for row in self.run(range_config, **options))

    @property
    def state(self) -> Path:
        return self.folder / "sources" / "kafka" / self.name / "kafka_state.json"


@pytest.fixture
def make_topic(broker: Broker, tmp_path: Path) -> Callable[..., Topic]:
    def make(partitions: int = 1, config: Mapping[str, str] | None = None, **options: Any) -> Topic:
        number = next(_NUMBERS)
        admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
        topic = Topic(broker, admin, f"trips-{number}", tmp_path / str(number), options)
        topic.create(partitions, **(config or {}))
        return topic

    return make


def xs(numbers: Sequence[int]) -> list[dict[str, int]]:
    return [{"x": number} for number in numbers]
