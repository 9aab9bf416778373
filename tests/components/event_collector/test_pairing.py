"""Requests and responses in any order, twice, late, or alone."""

from penstock.components.event_collector import pairing
from penstock.components.event_collector.events import Event
from tests.components.event_collector.conftest import NOON, event, late

MOMENT = round(NOON.timestamp() * 1e6)


def ids(pairs: list[pairing.Pair]) -> list[tuple[str | None, str | None]]:
    return [(one.request and one.request.id, one.response and one.response.id) for one in pairs]


def test_either_order_makes_a_pair() -> None:
    events = [event("response", 2, 2.5), event("request", 1, 3), event("request", 2, 2), event("response", 1, 3.25)]
    pairs = pairing.pairs(events)
    assert ids(pairs) == [("id-2", "id-2"), ("id-1", "id-1")]
    assert [one.seconds for one in pairs] == [0.5, 0.25]


def test_one_alone_is_a_pair_without_the_other() -> None:
    pairs = pairing.pairs([event("request", 1), event("response", 2, 1)])
    assert ids(pairs) == [("id-1", None), (None, "id-2")]
    assert [one.seconds for one in pairs] == [None, None]


def test_of_an_event_that_is_there_twice_the_first_counts() -> None:
    pairs = pairing.pairs([event("request", 1), event("request", 1, body=b"later"), event("response", 1)])
    assert ids(pairs) == [("id-1", "id-1")]
    assert pairs[0].request == event("request", 1)


def test_the_same_id_of_another_model_is_another_request() -> None:
    pairs = pairing.pairs([event("request", 1), event("response", 1, inferenceservicename="birds")])
    assert ids(pairs) == [(None, "id-1"), ("id-1", None)]


def test_the_version_is_what_either_says_or_the_response_has() -> None:
    def of_response(body: bytes, annotations: str = "") -> int:
        (pair,) = pairing.pairs(
            [event("request", 1, annotations=annotations), event("response", 1, body=body, annotations="")]
        )
        return pair.version

    assert of_response(b'{"model_name": "taxi", "model_version": "17", "outputs": []}') == 17
    assert of_response(b'{"model_version": "v1"}') == of_response(b"\xff") == 0
    assert of_response(b'{"model_version": "17"}', '{"penstock.dev/model-version": "4"}') == 4


def test_what_waits_is_young_and_alone_and_within_bounds() -> None:
    events: list[Event] = [
        event("request", 1),
        late(event("request", 2), 5),
        late(event("request", 3), 6),
        late(event("response", 4), 7),
        *(late(event(kind, 5), 8) for kind in ("request", "response")),
    ]
    assert [one.id for one in pairing.waiting(events, MOMENT + 5_000_000, 1 << 20)] == ["id-2", "id-3", "id-4"]
    size = event("response", 4).size + event("request", 3).size
    assert [one.id for one in pairing.waiting(events, 0, size)] == ["id-3", "id-4"]
    assert [one.id for one in pairing.waiting(events, 0, size - 1)] == ["id-4"]
