"""CloudEvents, taken by a receiver on a loopback address."""

import threading

import pytest

from penstock.components.model_server.operation import cloud_events, settings
from penstock.components.model_server.operation.cloud_events import EventSender
from tests.components.model_server.operation.receiver import Receiver


def test_a_request_and_its_answer_are_events_of_kserves_types(receiver: Receiver) -> None:
    events = settings.Events(receiver.url, source="pod-1", service="taxi", namespace="prod", endpoint="default")
    sender = EventSender(events, pytest.fail)
    sender.start()
    sender.requested("id-1", 1796073848.5, "application/json", b'{"instances": [1]}')
    sender.answered("id-1", 1796073848.5, "application/json", b'{"predictions": [2]}')
    sender.close(20)
    (headers, body), (of_answer, answer) = receiver.events
    assert (body, answer) == (b'{"instances": [1]}', b'{"predictions": [2]}')
    expected = {
        "ce-specversion": "1.0",
        "ce-id": "id-1",
        "ce-type": "org.kubeflow.serving.inference.request",
        "ce-source": "pod-1",
        "ce-time": "2026-11-30T21:24:08.500000Z",
        "ce-inferenceservicename": "taxi",
        "ce-namespace": "prod",
        "ce-endpoint": "default",
        "ce-component": "predictor",
        "content-type": "application/json",
    }
    assert headers.items() >= expected.items()
    assert of_answer.items() >= (expected | {"ce-type": "org.kubeflow.serving.inference.response"}).items()


@pytest.mark.parametrize(("mode", "kept"), [("request", "request"), ("response", "response")])
def test_a_mode_sends_one_of_the_two(receiver: Receiver, mode: settings.EventMode, kept: str) -> None:
    sender = EventSender(settings.Events(receiver.url, mode=mode), pytest.fail)
    sender.start()
    sender.requested("1", 0.0, "text/plain", b"request")
    sender.answered("1", 0.0, "text/plain", b"response")
    sender.close(20)
    assert [body.decode() for _, body in receiver.events] == [kept]


def test_a_receiver_that_fails_is_asked_again_and_one_that_refuses_is_not(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cloud_events, "_PAUSE", 0.01)
    dropped: list[int] = []
    sender = EventSender(settings.Events(receiver.url), dropped.append)
    receiver.statuses = [503, 429, 200, 400, 500, 500, 500]
    sender.start()
    for name in ("kept after two failures", "refused", "failed three times", "kept"):
        sender.requested(name, 0.0, "text/plain", name.encode())
    sender.close(20)
    assert [body.decode() for _, body in receiver.events] == ["kept after two failures", "kept"]
    assert dropped == [1, 1]
    assert f"{receiver.url} does not take an event: it answers 400" in caplog.text


def test_a_receiver_that_is_not_there_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as gone:
        url = gone.url
    monkeypatch.setattr(cloud_events, "_MOST_ENTRIES", 10)
    dropped: list[int] = []
    sender = EventSender(settings.Events(url), dropped.append)
    sender.start()
    for number in range(100):
        sender.requested(str(number), 0.0, "text/plain", b"request")
    assert len(dropped) == 90
    sender.close(1.0)  # the pauses between the tries end with it
    assert sum(dropped) == 100


def test_an_end_waits_for_nothing_once_all_is_sent(receiver: Receiver) -> None:
    sender = EventSender(settings.Events(receiver.url), pytest.fail)
    sender.start()
    sender.close(600)
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):  # the process would wait for it
            timer.join(5)
            assert not timer.is_alive()
