"""Events of KServe's logger: which model, version and moment they are of, and what is none."""

import json

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from penstock.components.event_collector.events import Event, Ignored, NoEvent
from tests.components.event_collector.conftest import NOON, headers, of, request

MOMENT = round(NOON.timestamp() * 1e6)


def test_an_event_says_its_model_version_and_time() -> None:
    one = of(headers("request", "1f", 2.5), request(1))
    assert one == Event("request", "1f", "taxi", 3, MOMENT + 2_500_000, MOMENT, "application/json", request(1))


def test_what_the_sdk_of_cloudevents_sends_is_read() -> None:
    attributes = {name.removeprefix("ce-"): value for name, value in headers("response", "ä b%").items()}
    attributes["datacontenttype"] = attributes.pop("content-type")
    sent, body = to_binary(CloudEvent(attributes, {"predictions": [1]}), data_marshaller=json.dumps)
    one = of({name.lower(): value for name, value in sent.items()}, body)
    assert (one.type, one.model, one.version, one.body) == ("response", "taxi", 3, b'{"predictions": [1]}')


@pytest.mark.parametrize(
    ("attributes", "model", "version", "time"),
    [
        ({"namespace": ""}, "taxi", 3, MOMENT),
        ({"namespace": "other"}, "taxi.other", 3, MOMENT),
        ({"component": ""}, "taxi", 3, MOMENT),
        ({"annotations": ""}, "taxi", 0, MOMENT),
        ({"annotations": "[]"}, "taxi", 0, MOMENT),
        ({"annotations": '{"penstock.dev/model-version": "v3"}'}, "taxi", 0, MOMENT),
        ({"annotations": "%7B%22penstock.dev/model-version%22:%20%2217%22%7D"}, "taxi", 17, MOMENT),
        ({"time": "2026-11-01T13:00:00+01:00"}, "taxi", 3, MOMENT),
        ({"time": "noon"}, "taxi", 3, MOMENT),
        ({"time": "2026-11-01T11:00:00"}, "taxi", 3, MOMENT),
        ({"time": "9999-12-31T23:59:59-12:00"}, "taxi", 3, MOMENT),
        ({"time": "9999-12-31T23:59:59.999999Z"}, "taxi", 3, 253_402_300_799_999_999),
        ({"time": "1970-01-01T00:00:00+01:00"}, "taxi", 3, MOMENT),
        ({"inferenceservicename": "x" * 255}, "x" * 255, 3, MOMENT),
    ],
)
def test_what_is_left_out_or_odd(attributes: dict[str, str], model: str, version: int, time: int) -> None:
    one = of(headers("request", "1f", **attributes), b"")
    assert (one.model, one.version, one.time) == (model, version, time)


@pytest.mark.parametrize("missing", ["ce-id", "ce-type", "ce-inferenceservicename"])
def test_what_is_no_event_is_said(missing: str) -> None:
    sent = {name: value for name, value in headers("request", "1f").items() if name != missing}
    with pytest.raises(
        NoEvent, match=f"expected a CloudEvent of KServe's logger in binary mode, found no header {missing}"
    ):
        of(sent, b"")


@pytest.mark.parametrize(
    "attributes", [{"type": "org.kubeflow.serving.inference.feedback"}, {"component": "transformer"}]
)
def test_events_of_other_things_are_none_of_a_models(attributes: dict[str, str]) -> None:
    with pytest.raises(Ignored):
        of(headers("request", "1f", **attributes), b"")


@pytest.mark.parametrize("name", ["x" * 256, "%C3%A4" * 50])
def test_a_model_whose_name_no_folder_can_have_is_told(name: str) -> None:
    with pytest.raises(NoEvent, match="expected a shorter name of a model, received"):
        of(headers("request", "1f", inferenceservicename=name), b"")
