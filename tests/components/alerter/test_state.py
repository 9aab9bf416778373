"""The state in object stores, each a real server on loopback: of runs that overlap one waits, or one is told."""

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from penstock.components.alerter import state
from penstock.components.alerter.state import ALERTS, State
from penstock.core import processes
from penstock.core.artifacts.alerts import AlertState
from penstock.core.errors import ConfigError, DataError, SystemFailure
from penstock.core.files import object_stores
from penstock.core.files.object_stores import Store
from penstock.core.state import store as stores_of_states
from penstock.core.state.store import StoreFolder
from tests.components.alerter.conftest import Alerter
from tests.servers import object_stores as stores
from tests.servers.object_stores import ObjectStore
from tests.servers.webhooks import Webhooks

LOUD, CALM = {"distance": 0.15}, {"distance": 0.0}
OTHER = "00000000-1"  # a process of another machine
ENDED = f"{processes.name().partition('-')[0]}-4194305"  # above the highest number that Linux gives


@pytest.fixture(scope="module")
def s3_server() -> Iterator[ObjectStore]:
    """A store whose server knows conditions, as Google's does and its emulator does not."""
    with stores.s3() as store:
        yield store


@pytest.fixture
def s3(s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.remove_everything()
    return s3_server


@pytest.fixture(autouse=True)
def _pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores_of_states, "PAUSE", 0.01)


def opened(uri: str) -> StoreFolder[State]:
    return StoreFolder(uri, ALERTS)


def names(uri: str) -> list[str]:
    with object_stores.open_store(uri) as store:
        return store.children(uri)[0]


def put(uri: str, number: int, process: str = "", minutes: int = 5) -> None:
    """Writes what a run has written that holds the state for some minutes, or for no process one that is done."""
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    holder = {"process": process, "until": until.isoformat()} if process else None
    content = json.dumps({"holder": holder, "state": state.empty()}).encode()
    with object_stores.open_store(uri) as store:
        assert store.create(object_stores.join(uri, AlertState.numbered(number)), content)


def test_each_event_is_told_once_over_the_windows(
    object_store: ObjectStore, alerter: Callable[..., Alerter], webhooks: Webhooks
) -> None:
    one = alerter(close_after=1, channels={"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}})
    one.uri = object_store.uri("team", "alerts")
    for hour, values in [(0, LOUD), (0, LOUD), (1, CALM)]:
        one.run(hour, values)
    assert [body["kind"] for body in webhooks.taken] == ["opened", "resolved"]


def test_old_objects_are_removed(
    s3: ObjectStore, alerter: Callable[..., Alerter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores_of_states, "KEPT", 2)
    one = alerter()
    one.uri = s3.uri("alerts")
    for hour in range(2):
        one.run(hour, CALM)
    assert [AlertState.number(name) for name in names(one.uri)] == [3, 4, 5, 6]  # two of before the run, and its own


def test_a_run_waits_for_the_one_that_holds_the_state(s3: ObjectStore) -> None:
    uri = s3.uri("alerts")
    order = []
    first, second = opened(uri), opened(uri)

    def wait() -> None:
        with second.held():
            order.append("second")
            assert second.read()["told"] == {"hook": ["now"]}

    with first.held():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.3)
        order.append("first")
        first.write(state.empty() | {"told": {"hook": ["now"]}})
    thread.join()
    assert order == ["first", "second"]


def test_a_state_is_read_by_who_does_not_hold_it(s3: ObjectStore) -> None:
    one = opened(s3.uri("alerts"))
    assert one.read() == state.empty()
    told = state.empty() | {"told": {"hook": ["now"]}}
    with one.held():
        one.write(told)
        assert opened(one.uri).read() == told  # another, meanwhile
    with opened(one.uri).held():
        pass
    assert one.read() == told
    assert len(names(one.uri)) == 5  # a look writes nothing


@pytest.mark.parametrize(
    ("process", "minutes", "is_free"),
    [(OTHER, -1, True), (OTHER, 4, False), (processes.name(), 4, False), (ENDED, 4, True)],
    ids=["its time is over", "of another machine", "of this machine", "of this machine, ended"],
)
def test_a_run_that_was_killed_holds_the_state_for_a_while(
    process: str, minutes: int, is_free: bool, s3: ObjectStore
) -> None:
    uri, done = s3.uri("alerts"), threading.Event()
    put(uri, 1, process, minutes)

    def wait() -> None:
        with opened(uri).held():
            done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert done.wait(20.0 if is_free else 0.5) is is_free
    if not is_free:
        put(uri, 2)
    thread.join()
    assert done.is_set()


def test_a_run_that_hung_finds_its_state_taken_over(s3: ObjectStore) -> None:
    slow = opened(s3.uri("alerts"))
    with slow.held():
        put(slow.uri, 2, OTHER)
        with pytest.raises(SystemFailure, match="another run has taken over"):
            slow.write(state.empty())
    assert len(names(slow.uri)) == 2  # it has written nothing over


def test_a_run_that_went_on_too_late_writes_nothing(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = opened(s3.uri("alerts"))
    with slow.held():
        monkeypatch.setattr(stores_of_states, "LEASE", timedelta(0))
        with pytest.raises(SystemFailure, match="did not go on for 0 minutes"):
            slow.write(state.empty())
    assert len(names(slow.uri)) == 1  # nor afterwards


def test_of_two_that_write_the_same_number_one_does(s3: ObjectStore) -> None:
    with object_stores.open_store(s3.uri()) as store:
        assert store.create(s3.uri("one"), b"first")
        assert not store.create(s3.uri("one"), b"second")
        assert store.create(s3.uri("one"), b"first")  # as a client does whose answer was lost
        store.remove(s3.uri("one"))
        store.remove(s3.uri("one"))
        assert not store.is_file(s3.uri("one"))


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted", "PreconditionFailed"])
def test_a_store_that_says_otherwise_that_another_was_first(
    code: str, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers some of these where two write at the same moment, which no test can time."""
    answer = ClientError({"Error": {"Code": code, "Message": "try again"}}, "PutObject")

    def conflict(*_: object, **__: object) -> None:
        raise translate_boto_error(answer)

    with object_stores.open_store(s3.uri()) as store:
        store.write(s3.uri("one"), b"first")
        monkeypatch.setattr(store._filesystem, "pipe_file", conflict)
        assert not store.create(s3.uri("one"), b"second")
        assert store.create(s3.uri("one"), b"first")
        with pytest.raises(SystemFailure, match="the object store failed"):
            store.create(s3.uri("none"), b"first")


def test_an_object_that_cannot_be_read_is_told(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed, as by a store that lists late, and is not there."""
    uri = s3.uri("alerts")
    put(uri, 1)
    read, places = Store.read, []

    def gone(store: Store, place: str) -> bytes:
        places.append(place)
        return read(store, f"{place}.gone")

    monkeypatch.setattr(Store, "read", gone)
    with pytest.raises(ConfigError, match="does not exist"), opened(uri).held():
        pass
    assert len(places) == 3


def test_a_damaged_state_is_told(s3: ObjectStore, alerter: Callable[..., Alerter]) -> None:
    one = dataclasses.replace(alerter(), uri=s3.write({AlertState.numbered(7): "{}"}, "alerts"))
    with pytest.raises(DataError, match=r"alert_state-000000000007\.json is no state of alerts"):
        one.run(0, LOUD)
