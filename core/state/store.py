"""The state in an object store, where there are no locks: every write is an object of the next number.

A store makes an object only if there is none of its name, at once for all who look (S3's If-None-Match, Google's
ifGenerationMatch). So of two runs that write the next number one does, and the other is told. A run says in its first
write that it holds the state, and until when; another one waits until it has let go or that time is over. A store that
knows no conditions lets both write: then let no two runs of the component overlap (docs/alerts.md, docs/retraining.md).
"""

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from pydantic import TypeAdapter

from penstock.core import processes
from penstock.core.errors import ConfigError, PenstockError, SystemFailure
from penstock.core.files import object_stores
from penstock.core.files.object_stores import Store
from penstock.core.state.folder import Folder, Kind

LEASE = timedelta(minutes=5)  # longer than a server takes for a request, unless it answers every step late
KEPT = 100  # objects, a run writes some dozens
PAUSE = 2.0  # seconds between two looks at a state that another run holds
_LOOKS = 3  # for an object that is listed and cannot be read
logger = logging.getLogger(__name__)


class Holder(TypedDict):
    """The run that holds the state: its process, and until when (ISO 8601) if it does not write again."""

    process: str
    until: str


class Record[State](TypedDict):
    """What an object holds: the state after a write, and who holds it."""

    holder: Holder | None
    state: State


@dataclass
class StoreFolder[State](Folder[State]):
    """The state below a URI."""

    uri: str
    kind: Kind[State]
    _store: Store | None = field(default=None, repr=False)
    _number: int = 0
    _moment: float = 0.0
    _written: bytes = field(default=b"", repr=False)  # the state, as the newest object has it

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        with object_stores.open_store(self.uri) as store:
            self._take(store)
            self._store = store
            try:
                yield
            finally:
                self._store = None
                if self._is_mine:
                    with contextlib.suppress(PenstockError):  # the body's error counts; the lease ends by itself
                        self._put(store, holder=None)

    def read(self) -> State:
        if self._store:
            return self.kind.parse(self._written, self.uri)
        with object_stores.open_store(self.uri) as store:  # a look, which needs no turn
            return self._newest(store)[1]["state"]

    def write(self, state: State) -> None:
        assert self._store
        if self._is_mine:
            self._written = self.kind.serialized(state)
            if self._put(self._store, holder=_holder()):
                return
        raise SystemFailure(
            f"{self.uri}: another run has taken over, since this one did not go on for "
            f"{LEASE.total_seconds() / 60:g} minutes: that run does what this one owes"
        )

    @property
    def _is_mine(self) -> bool:
        """Whether no other run may have taken over."""
        return time.monotonic() - self._moment < LEASE.total_seconds()

    def _take(self, store: Store) -> None:
        """Waits until nobody holds the state, and holds it."""
        is_told = False
        while True:
            self._number, record = self._newest(store)
            holder, self._written = record["holder"], self.kind.serialized(record["state"])
            if holder is None or _has_ended(holder):
                if self._put(store, holder=_holder()):
                    self._clean(store)
                    return
                continue
            if not is_told:
                logger.info("waiting for another run that works with the %s in %s", self.kind.of, self.uri)
                is_told = True
            time.sleep(PAUSE)

    def _newest(self, store: Store) -> tuple[int, Record[State]]:
        looks = 0
        while True:
            names = store.children(self.uri)[0]
            numbers = [number for number in map(self.kind.files.number, names) if number is not None]
            if not numbers:
                return 0, Record(holder=None, state=self.kind.empty())
            place = self._place(max(numbers))
            try:
                return max(numbers), self._parse(store.read(place), place)
            except ConfigError:  # the run that holds it has written others, and removed this one
                looks += 1
                if looks == _LOOKS:
                    raise
                time.sleep(PAUSE)

    def _put(self, store: Store, holder: Holder | None) -> bool:
        """Writes the state as the next object; whether no other run has."""
        content = b'{"holder":%s,"state":%s}' % (json.dumps(holder).encode(), self._written)
        if not store.create(self._place(self._number + 1), content):
            return False
        self._number += 1
        self._moment = time.monotonic()
        return True

    def _clean(self, store: Store) -> None:
        """Removes old objects, but not those of the last run: one that hangs must see that its next number is taken."""
        numbers = sorted(
            number for number in map(self.kind.files.number, store.children(self.uri)[0]) if number is not None
        )
        for number in numbers:
            if number <= self._number - KEPT:
                store.remove(self._place(number))

    def _parse(self, content: bytes, place: str) -> Record[State]:
        parsed = self.kind.parsed(TypeAdapter(Record[Any]), content, place)
        state = self.kind.parsed(self.kind.form(), json.dumps(parsed["state"]).encode(), place)
        return Record(holder=parsed["holder"], state=state)

    def _place(self, number: int) -> str:
        return object_stores.join(self.uri, self.kind.files.numbered(number))


def _holder() -> Holder:
    return Holder(process=processes.name(), until=(datetime.now(UTC) + LEASE).isoformat())


def _has_ended(holder: Holder) -> bool:
    """Whether a run no longer holds the state, though it has not said so: it was killed, or hangs."""
    return bool(processes.has_ended(holder["process"])) or datetime.fromisoformat(holder["until"]) < datetime.now(UTC)
