"""Brokers that are not there, stop half way, or refuse: a bounded wait, one sentence, no record twice."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from penstock.components.example_gen.sources.kafka import messages, source
from penstock.components.example_gen.sources.kafka.messages import OffsetsPiece
from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.core.errors import DataError, ServerError
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from tests.components.example_gen.sources.kafka.conftest import Topic, xs
from tests.servers import kafka, ports

MakeTopic = Callable[..., Topic]
# So little is fetched at once that much of a window is not, when its first records are there.
_LITTLE = {"fetch.message.max.bytes": 20_000, "queued.max.messages.kbytes": 20, "queued.min.messages": 1}


def _options(topic: Topic, **more: Any) -> KafkaOptions:
    return KafkaOptions.parse({"bootstrap_servers": topic.broker.address, "topic": topic.name, "timeout": 20, **more})


def test_a_broker_that_stops_half_way(make_topic: MakeTopic) -> None:
    topic = make_topic()
    padding = "x" * 100
    topic.send([{"x": number, "padding": padding} for number in range(20_000)])
    piece = OffsetsPiece(topic.name, 0, 0, 20_000, 1)
    batches = messages.batches(_options(topic, timeout=40, config=_LITTLE), piece)
    read = [message.offset() for message in next(batches)]
    topic.broker.stop()
    starting = threading.Timer(0.5, topic.broker.start)
    starting.start()
    read += [message.offset() for batch in batches for message in batch]
    starting.join()
    assert read == list(range(20_000))


def test_a_broker_that_hangs(make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    topic = make_topic()
    topic.send(xs(range(10)))
    resolved = topic.resolve()
    with topic.broker.paused(), pytest.raises(Unanswered, match=r"no answer from the Kafka brokers .* in 1 s"):
        list(messages.batches(_options(topic, timeout=1), OffsetsPiece(topic.name, 0, 0, 10, 1)))
    with topic.broker.paused(), pytest.raises(Unanswered, match=r"check kafka\.bootstrap_servers"):
        topic.resolve(timeout=1)
    with topic.broker.paused(), pytest.raises(Unanswered, match="no answer from the Kafka brokers"):
        source._commit(_options(topic, timeout=1, group_id="g"), {0: 1})
    assert topic.resolve() == resolved
    assert topic.numbers() == list(range(10))


def test_a_topic_and_brokers_that_are_not_there(make_topic: MakeTopic) -> None:
    topic = make_topic()
    with pytest.raises(DataError, match=rf"topic no-such: the Kafka brokers {topic.broker.address} know no such topic"):
        topic.resolve(topic="no-such")
    nobody = f"127.0.0.1:{ports.reserve()}"
    with pytest.raises(Unanswered, match=rf"no answer from the Kafka brokers {nobody} in 1 s \(.*Connection refused"):
        topic.resolve(bootstrap_servers=nobody, timeout=1)
    with pytest.raises(ServerError, match=r"there is no server of that name: .*no-such-host\.invalid"):
        topic.resolve(bootstrap_servers="no-such-host.invalid:9092")


def test_signing_in(make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", kafka.PASSWORD)
    monkeypatch.setenv("WRONG_PASSWORD", "guessed-password")
    topic = make_topic()
    topic.send(xs([1, 2]))
    topic.options |= {
        "bootstrap_servers": topic.broker.sasl_address,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "reader",
    }
    with pytest.raises(ServerError, match=r"refuse the sign-in: .*Authentication failed") as refused:
        topic.resolve(sasl_password_env="WRONG_PASSWORD")
    assert "guessed-password" not in str(refused.value)
    with pytest.raises(ServerError, match=r"refuse the sign-in: .*SCRAM-SHA-256.*"):
        topic.resolve(sasl_password_env="KAFKA_PASSWORD", sasl_mechanism="SCRAM-SHA-256")
    assert topic.numbers(config_env={"sasl.password": "KAFKA_PASSWORD"}) == [1, 2]
    assert topic.numbers(sasl_password_env="KAFKA_PASSWORD") == [1, 2]
    assert kafka.PASSWORD not in topic.state.read_text() + str(topic.metadata)
    with pytest.raises(Unanswered, match=r"SSL handshake failed: .*connecting to a PLAINTEXT broker listener"):
        topic.resolve(sasl_password_env="KAFKA_PASSWORD", security_protocol="SASL_SSL", timeout=1)


def test_a_partition_that_ends_before_the_window(make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a leader's that lost what it had not told its replicas."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    topic = make_topic()
    topic.send(xs(range(5)))
    piece = OffsetsPiece(topic.name, 0, 0, 8, 1)
    with pytest.raises(Unanswered, match="it ends at offset 5, before 8, where it ended when the window was fixed"):
        list(messages.batches(_options(topic), piece))
    topic.delete_before(3)
    with pytest.raises(DataError, match=r"offset 0 is gone, as by the topic's retention: expected all of 0 to 4"):
        list(messages.batches(_options(topic), replace(piece, end=5)))
