"""`penstock validate --data` looks at a topic's newest records, and no run or consumer group sees that it did."""

import json
from collections.abc import Callable
from typing import Any

from tests.components.example_gen.sources.kafka.conftest import Topic
from tests.servers import ports

MakeTopic = Callable[..., Topic]
Look = Callable[..., str]


def _data(topic: Topic, **options: object) -> Any:
    return json.loads(topic.input_base(**options))


def test_the_newest_records_are_looked_at_and_stay(make_topic: MakeTopic, look: Look) -> None:
    topic = make_topic(2, group_id="readers", start="latest")
    topic.send([{"x": number % 2, "old": 1} for number in range(2000)])
    topic.send([{"x": number % 2, "fare": number / 2} for number in range(600)])
    topic.send([{"x": 1, "fare": 7.5}, None], partition=1)
    told = look(_data(topic))
    assert "data: 501 rows looked at; columns: x (integers), fare (numbers with decimals)\n" in told
    assert not topic.folder.exists()
    groups = topic.admin.list_consumer_groups().result().valid
    assert "readers" not in {group.group_id for group in groups}
    assert len(topic.run(start="earliest")) == 2601  # nothing was taken


def test_messages_that_cannot_be_read_are_put_aside_for_the_look_alone(make_topic: MakeTopic, look: Look) -> None:
    topic = make_topic()
    topic.send([{"x": 0}, b"no JSON", {"x": 1}])
    told = look(_data(topic), code=2)
    assert "the value cannot be read as json" in told
    quarantine = topic.folder / "quarantine"
    told = look(_data(topic, max_bad_messages=1, quarantine=str(quarantine)))
    assert "data: 2 rows looked at" in told
    assert not quarantine.exists()


def test_what_a_run_would_fail_with_is_told(make_topic: MakeTopic, look: Look) -> None:
    topic = make_topic()
    assert f"topic {topic.name}: it has no committed record yet: expected at least one" in look(_data(topic), code=2)
    topic.send([{"x": 0}, {"x": 1}])
    assert "label: the data has no column 'y'; the columns are x" in look(_data(topic), label="y", code=2)
    assert "know no such topic: check kafka.topic" in look(
        {"kafka": {**_data(topic)["kafka"], "topic": "nowhere"}}, code=2
    )
    away = f"127.0.0.1:{ports.reserve()}"
    told = look(_data(topic, bootstrap_servers=away, timeout=1), code=2)
    assert f"no answer from the Kafka brokers {away} in 1 s" in told
    assert told.count("\n") == 1
