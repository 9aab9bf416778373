"""A thread that takes entries off the server's hands: what it does may be slow or fail, and no answer waits for it."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

_logger = logging.getLogger(__name__)

_TICK = 0.1  # seconds between two looks at the queue; nothing wakes the thread, so that adding an entry costs least
_AT_ONCE = 16  # entries; then the thread lets others have Python's lock, which it would hold for 5 ms otherwise
_BREATH = 1e-4  # seconds
_REMINDER = 60.0  # seconds between two warnings of the same log


class Background[Entry](ABC):
    """Entries that wait, within bounds, and the thread that takes them. Those beyond the bounds are dropped, counted.

    `add` is called by one thread only, the event loop's.
    """

    def __init__(self, name: str, dropped: Callable[[int], None], most_entries: int, most_bytes: int):
        self.name = name
        self._dropped = dropped
        self._most_entries, self._most_bytes = most_entries, most_bytes
        self._waiting: deque[tuple[Entry, int]] = deque()
        self._added_bytes = 0  # by the event loop's thread
        self._taken_bytes = 0  # by this one
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._warned = -_REMINDER

    def start(self) -> None:
        self._thread.start()

    def add(self, entry: Entry, size: int) -> None:
        """Adds an entry of about so many bytes, or drops it: at once in both cases."""
        full = len(self._waiting) >= self._most_entries
        if full or self._added_bytes - self._taken_bytes + size > self._most_bytes or self._ending.is_set():
            self._dropped(1)
            return
        self._added_bytes += size
        self._waiting.append((entry, size))

    def close(self, seconds: float) -> None:
        """Takes what waits, within so many seconds, and ends the thread. What is left then is dropped."""
        self._ending.set()
        self._thread.join(seconds)
        if self._thread.is_alive() and self._waiting:
            self._dropped(len(self._waiting))
            self._waiting.clear()

    def warn(self, message: str) -> None:
        """Says what is wrong, once a minute at most."""
        if time.monotonic() - self._warned >= _REMINDER:
            self._warned = time.monotonic()
            _logger.warning("%s: %s", self.name, message)

    def _run(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(_TICK)
            while self._waiting:
                self._take_some()
            self._guarded(self.tick)
        self._guarded(self.finish)

    def _take_some(self) -> None:
        entries: list[Entry] = []
        while self._waiting and len(entries) < _AT_ONCE:
            entry, size = self._waiting.popleft()
            entries.append(entry)
            self._taken_bytes += size
        try:
            self.take(entries)
        except Exception as error:
            self._dropped(len(entries))
            self.warn(f"{len(entries)} entries are dropped: {error}")
        time.sleep(_BREATH)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self.warn(str(error))

    @abstractmethod
    def take(self, entries: Sequence[Entry]) -> None:
        """Does what is to be done with entries; if it raises, they count as dropped."""

    def tick(self) -> None:  # noqa: B027
        """Is called a few times a second, whether entries have come or not."""

    def finish(self) -> None:  # noqa: B027
        """Is called once, at the end."""
