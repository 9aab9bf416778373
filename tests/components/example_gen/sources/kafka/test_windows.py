"""Which records a run reads, on a real broker: windows that follow one another, and what may happen to a topic."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from penstock.components.example_gen.inputs import resolving
from penstock.core.errors import ConfigError, DataError
from tests.components.example_gen.sources.kafka.conftest import Topic, xs

MakeTopic = Callable[..., Topic]
DAY = 24 * 60 * 60 * 1000


def _rolling(count: int) -> str:
    return json.dumps({"rolling_range": {"num_spans": count}})


def _static(first: int | str, last: int | str) -> str:
    return json.dumps({"static_range": {"start_span_number": first, "end_span_number": last}})


def test_each_run_reads_what_came_since_the_last_one(make_topic: MakeTopic) -> None:
    topic = make_topic(2)
    topic.send(xs(range(10)))
    topic.send(xs(range(10, 15)), partition=1)
    first = topic.resolve()
    assert (first.span, json.loads(first.resolved_input)["spans"]) == (1, "window 1")
    assert [row["x"][0] for row in topic.generate(first)] == list(range(15))
    assert topic.metadata["spans"] == "window 1"
    origin = json.loads(topic.metadata["origin"])
    assert json.loads(origin["offsets"]) == {"1": {"0": [0, 10], "1": [0, 5]}}
    assert origin["topic"] == topic.name
    assert topic.resolve() == first  # nothing came: the same window again, which a cache answers
    topic.send(xs(range(15, 20)))
    second = topic.resolve()
    assert (second.span, second.fingerprint == first.fingerprint) == (2, False)
    assert topic.generate(second) == [{"x": [number]} for number in range(15, 20)]


def test_a_window_is_read_again_by_its_number(make_topic: MakeTopic) -> None:
    topic = make_topic()
    for number in range(4):
        topic.send(xs([number]))
        before = topic.resolve()
        assert topic.numbers() == [number]
    assert topic.numbers(_static(2, 3)) == [1, 2]
    topic.send(xs([4]))
    assert topic.numbers(_static(4, 4)) == [3]
    assert topic.resolve(_static(4, 4)) == before
    assert topic.numbers(_rolling(2)) == [3, 4]
    assert topic.numbers(_rolling(2)) == [3, 4]
    with pytest.raises(DataError, match=r"expected windows 8 to 9 \(range_config\), found windows 1 to 5"):
        topic.resolve(_static(8, 9))


def test_transactions_that_are_open_or_aborted_are_not_read(make_topic: MakeTopic) -> None:
    """At the end of a window, too: a reading that counted records would wait for ever."""
    topic = make_topic()
    topic.transact(xs(range(5)), commit=True)
    topic.transact(xs(range(100, 110)), commit=False)
    assert topic.numbers() == list(range(5))
    before = json.loads(topic.state.read_bytes())
    topic.transact(xs(range(200, 210)), commit=False)
    assert topic.numbers() == list(range(5))  # nothing came but an aborted transaction: no window is made of that
    assert json.loads(topic.state.read_bytes()) == before
    producer = topic.transaction(xs(range(5, 8)))
    topic.send(xs([8]))
    assert topic.numbers() == list(range(5))  # it is open, and what is behind it waits for it
    producer.commit_transaction()
    assert topic.numbers() == [5, 6, 7, 8]
    uncommitted = topic.numbers(isolation_level="read_uncommitted", state="")
    assert uncommitted == [*range(9), *range(100, 110), *range(200, 210)]


def test_a_window_has_at_most_so_many_records_of_all_partitions(make_topic: MakeTopic) -> None:
    topic = make_topic(3, max_records=7)
    for partition, count in enumerate((10, 4, 0)):
        topic.send(xs(range(partition * 100, partition * 100 + count)), partition=partition)
    assert topic.numbers() == [0, 1, 2, 3, 4, 100, 101]
    assert topic.numbers() == [5, 6, 7, 8, 9, 102, 103]
    assert topic.numbers() == [5, 6, 7, 8, 9, 102, 103]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({"start": {"0": 3}, "end": {"0": 6}}, [3, 4, 5]),
        ({"start": "2020-01-02T00:00:00Z"}, [*range(4, 8)]),
        ({"start": "2020-01-01", "end": "2020-01-02"}, [0, 1, 2, 3]),
    ],
)
def test_the_first_window_begins_where_it_is_said(
    edges: dict[str, Any], expected: list[int], make_topic: MakeTopic
) -> None:
    topic = make_topic(**edges)
    moment = 1577836800000  # 2020-01-01
    for number in range(8):
        topic.send(xs([number]), timestamp=moment + number * DAY // 4)
    assert topic.numbers() == expected


def test_a_topic_that_is_read_from_its_latest_record_on(make_topic: MakeTopic) -> None:
    topic = make_topic(start="latest")
    topic.send(xs([1, 2]))
    with pytest.raises(DataError, match="expected at least one committed record from"):
        topic.resolve()
    topic.send(xs([3]))
    assert topic.numbers() == [3]


def test_a_topic_without_records_and_offsets_of_no_partition(make_topic: MakeTopic) -> None:
    topic = make_topic()
    with pytest.raises(DataError, match=rf"topic {topic.name}: expected at least one committed record"):
        topic.resolve()
    topic.send([None, None])  # tombstones alone
    with pytest.raises(DataError, match="expected at least one committed record"):
        topic.resolve()
    with pytest.raises(ConfigError, match=r"kafka.start: expected partitions of the topic \(0\), received 7"):
        topic.resolve(start={"7": 1})
    config = '{"splits": [{"name": "train", "pattern": "0"}]}'
    with pytest.raises(ConfigError, match=r"data\.splits"):
        resolving.resolve(input_base=topic.input_base(), input_config=config)


def test_windows_of_whole_days_are_spans_by_their_dates(make_topic: MakeTopic) -> None:
    topic = make_topic(window="day")
    today = int(time.time() * 1000) // DAY
    for number in range(-3, 1):  # the last record is of today, which is not over
        topic.send(xs([number + 3, number + 13]), timestamp=(today + number) * DAY + 5)
    resolved = topic.resolve()
    assert resolved.span == today - 1
    assert json.loads(resolved.resolved_input)["spans"] == time.strftime("%Y-%m-%d", time.gmtime((today - 1) * 86400))
    assert sorted(row["x"][0] for row in topic.generate(resolved)) == [0, 1, 2, 10, 11, 12]
    assert topic.numbers(_rolling(2)) == [1, 2, 11, 12]
    before = topic.state.read_bytes()
    assert topic.numbers(_static(today - 3, today - 3)) == [0, 10]
    topic.send([b"no"], timestamp=(today - 3) * DAY + 6)  # late: it has its place behind those of today
    assert topic.resolve(_static(today - 3, today - 3)) == topic.resolve(_static(today - 3, today - 3))
    assert topic.state.read_bytes() == before
    with pytest.raises(DataError, match="is not over: expected one that is"):
        topic.resolve(_static(today, today))
    with pytest.raises(DataError, match=r"expected at least one record of .* found none"):
        topic.resolve(_static("2020-01-01", "2020-01-03"))


def test_a_partition_that_is_added_is_read_from_its_first_record(make_topic: MakeTopic) -> None:
    from confluent_kafka.admin import NewPartitions

    topic = make_topic(start="latest")
    topic.send(xs([1]))
    with pytest.raises(DataError):
        topic.resolve()
    topic.admin.create_partitions([NewPartitions(topic.name, 3)])[topic.name].result()
    topic.send(xs([2]), partition=2)
    topic.send(xs([3]))
    assert topic.numbers() == [2, 3]


def test_records_that_were_removed_before_they_were_read_are_told(
    make_topic: MakeTopic, caplog: pytest.LogCaptureFixture
) -> None:
    topic = make_topic()
    topic.send(xs(range(10)))
    assert topic.numbers(max_records=4) == [0, 1, 2, 3]
    topic.delete_before(7)
    lost = (
        rf"topic {topic.name}: 3 offsets were removed before they were read, as by its retention "
        r"\(4 to 6 of partition 0\)"
    )
    with pytest.raises(DataError, match=f"{lost}: set kafka.lost_records: skip"):
        topic.resolve()
    assert topic.numbers(lost_records="skip") == [7, 8, 9]
    assert "3 offsets were removed before they were read" in caplog.text
    with pytest.raises(DataError, match="removed before they were read"):  # a window cannot be read again in part
        topic.run(_static(1, 1))


def test_a_window_whose_records_go_before_it_is_read(make_topic: MakeTopic) -> None:
    topic = make_topic()
    topic.send(xs(range(10)))
    resolved = topic.resolve()
    topic.delete_before(4)
    with pytest.raises(DataError, match=r"4 offsets were removed .* \(0 to 3 of partition 0\)"):
        topic.generate(resolved)
    with pytest.raises(DataError, match="4 offsets were removed"):
        topic.resolve()
    assert topic.numbers(lost_records="skip") == [4, 5, 6, 7, 8, 9]


def test_a_topic_that_was_made_anew_is_told(make_topic: MakeTopic) -> None:
    topic = make_topic()
    topic.send(xs(range(10)))
    assert topic.numbers() == list(range(10))
    resolved = topic.resolve()
    topic.delete()
    time.sleep(0.3)
    topic.create()
    topic.send(xs(range(20, 24)))
    with pytest.raises(DataError, match=r"it is not the one that window 1 is of \(its id is"):
        topic.resolve()
    with pytest.raises(DataError, match="made anew after window 1 was fixed"):
        topic.generate(resolved)
    again = topic.resolve(lost_records="skip")
    assert again.span == 2
    assert [row["x"][0] for row in topic.generate(again)] == [20, 21, 22, 23]


def test_compaction_leaves_gaps_that_are_no_rows(make_topic: MakeTopic) -> None:
    config = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01"}
    topic = make_topic(config=config, metadata=["key", "offset"])
    for number in range(30):
        topic.send(xs([number]), key=f"key {number % 3}")
    topic.send([None], key="key 1")
    time.sleep(0.2)
    topic.send(xs([30]), key="last")  # a new segment: the one before can be compacted
    deadline = time.monotonic() + 30
    while len(rows := topic.run(start="earliest", state="")) > 4 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [(row["kafka_key"], row["x"]) for row in rows][-1] == ([b"last"], [30])
    assert len(rows) < 30
    offsets = [row["kafka_offset"][0] for row in rows]
    assert offsets == [number if number < 30 else 31 for number in (row["x"][0] for row in rows)]


def test_a_consumer_group_is_told_of_windows_that_are_done(make_topic: MakeTopic) -> None:
    from confluent_kafka import Consumer, TopicPartition

    topic = make_topic(2, group_id="trainers")
    topic.send(xs(range(5)))
    resolved = topic.resolve()
    consumer = Consumer({"bootstrap.servers": topic.broker.address, "group.id": "trainers"})
    partitions = [TopicPartition(topic.name, number) for number in range(2)]
    assert [one.offset for one in consumer.committed(partitions)] == [-1001, -1001]
    topic.generate(resolved)
    assert [one.offset for one in consumer.committed(partitions)] == [5, 0]
    consumer.close()
