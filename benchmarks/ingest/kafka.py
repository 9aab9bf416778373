"""A million records of seven columns in four partitions of a topic, on a broker that this starts: JSON of 100 bytes.

- confluent-kafka alone: the client library's own floor, one consumer that takes all messages and looks at none.
- The source: the same records as Arrow record batches, one piece after the other, in one process.
- json.loads for each message: what a script without Arrow does, one consumer, and a list of dicts for pyarrow.
- ExampleGen: all of its work, to gzip TFRecords of tf.Examples, on one core and on all.

Each side in a fresh process with its imports done, in turn; medians of the rounds, seconds.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RECORDS, PARTITIONS, TOPIC = 1_000_000, 4, "trips"
ADDRESS = "PENSTOCK_BENCH_KAFKA"
SIDES = {
    "confluent-kafka alone": "floor",
    "the source, in one process": "source",
    "json.loads for each message, then Arrow": "loads",
    "ExampleGen, one core": "examples on one core",
    "ExampleGen, all cores": "examples",
}


def measured(rounds: int) -> dict[str, list[float]]:
    """Returns wall and processor seconds of each side."""
    sys.path.insert(0, str(ROOT))
    from tests.servers import kafka

    seconds: dict[str, list[list[float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder, kafka.running(Path(folder)) as broker:
        _produce(broker.address)
        environment = {**os.environ, ADDRESS: broker.address}
        for _ in range(rounds):
            for side, name in SIDES.items():
                command = [sys.executable, __file__, name]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                rows, *taken = done.stdout.split()[-3:]
                assert int(rows) == RECORDS, done.stdout
                seconds[side].append([float(one) for one in taken])
    return {side: [statistics.median(one) for one in zip(*taken, strict=True)] for side, taken in seconds.items()}


def _produce(address: str) -> None:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()
    producer = Producer({"bootstrap.servers": address, "linger.ms": 20, "queue.buffering.max.messages": RECORDS})
    for number in range(RECORDS):
        trip = {
            "id": number,
            "miles": number * 7919 % 1000003 / 8,
            "fare": number % 1000 / 8,
            "company": f"company {number % 37}",
            "payment": None if number % 5 == 0 else f"card {number % 4}",
            "at": f"2026-01-01T{number % 24:02}:00:00Z",
            "hour": number % 24,
        }
        producer.produce(TOPIC, json.dumps(trip), partition=number % PARTITIONS)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def _consumed(take: Callable[[list[Any]], None]) -> None:
    from confluent_kafka import Consumer, TopicPartition

    settings = {"group.id": "bench", "auto.offset.reset": "error", "isolation.level": "read_committed"}
    consumer = Consumer({"bootstrap.servers": os.environ[ADDRESS], **settings})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    rows = 0
    while rows < RECORDS:
        messages = consumer.consume(8192, timeout=0.05)
        rows += len(messages)
        take(messages)
    consumer.close()


def _floor() -> int:
    _consumed(lambda messages: None)
    return RECORDS


def _loads() -> int:
    import pyarrow as pa

    rows: list[int] = []
    _consumed(
        lambda messages: rows.append(
            pa.RecordBatch.from_pylist([json.loads(message.value()) for message in messages]).num_rows
        )
    )
    return sum(rows)


def _opened(engine: str, folder: str) -> Any:
    from penstock.components.engines import open_engine
    from penstock.components.example_gen import configs
    from penstock.components.example_gen.inputs import resolving
    from penstock.components.example_gen.sources.kafka.source import KafkaSource
    from penstock.components.example_gen.sources.source import Request

    base = _base()
    splits, _ = configs.resolved_splits(resolving.resolve(input_base=base).resolved_input)
    options = json.dumps(json.loads(base)["kafka"])
    return KafkaSource.open(Request(base, splits, options, "", Path(folder), open_engine(engine)))


def _base() -> str:
    return json.dumps({"kafka": {"bootstrap_servers": os.environ[ADDRESS], "topic": TOPIC}})


def _source() -> int:
    with tempfile.TemporaryDirectory() as folder, _opened("local:1", folder) as opened:
        pieces = [piece for shard in opened.shards for piece in shard.pieces]
        return sum(batch.num_rows for piece in pieces for batch in opened.source.batches(piece))


def _examples(engine: str) -> int:
    from penstock.components.example_gen import executor
    from penstock.components.example_gen.inputs import resolving

    with tempfile.TemporaryDirectory() as folder:
        resolved = resolving.resolve(input_base=_base())
        result = executor.run(
            examples=folder, input_base=_base(), resolved_input=resolved.resolved_input, engine=engine
        )
    return sum(json.loads(result.metadata["examples"]["num_examples"]).values())


def main() -> None:
    import confluent_kafka.admin  # noqa: F401
    import pyarrow.json  # noqa: F401

    import penstock.components.example_gen.executor
    import penstock.components.example_gen.sources.kafka.source  # noqa: F401

    sides = {
        "floor": _floor,
        "source": _source,
        "loads": _loads,
        "examples on one core": lambda: _examples("local:1"),
        "examples": lambda: _examples("local"),
    }
    started, before = time.perf_counter(), _processor()
    rows = sides[sys.argv[1]]()
    print(rows, time.perf_counter() - started, _processor() - before)


def _processor() -> float:
    """Returns the processor seconds of this process and of those that it has awaited."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
