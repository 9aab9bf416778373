"""Two threads: one has events on the disk before they are answered, one writes ended journals into the log."""

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from penstock.components.event_collector import log_files, pairing
from penstock.components.event_collector.events import Event, Half
from penstock.components.event_collector.journal import JournalFile, JournalWriter
from penstock.components.event_collector.metrics import Metrics
from penstock.components.event_collector.settings import Settings
from penstock.core import progress
from penstock.core.errors import UserError

_TICK = 0.5  # seconds between two looks at what is due
_MOST_EVENTS = 256  # that are written to the disk at once
_PAUSE = 10.0  # seconds after the log has taken no file
_MOST_FAILURES = 3  # of journals after each other, then it is the log that takes no files
_CARRIED_SHARE = 4  # of a journal's size, at most so great a part of it waits on in the next one: a quarter
_MICROSECONDS = 1_000_000
logger = logging.getLogger(__name__)


class Full(Exception):
    """So much waits that no more events are taken."""


@dataclass(frozen=True)
class _Waiting:
    event: Event
    answer: "Future[bool]"


class Collector:
    """Keeps events. A UserError if the folder of journals cannot be written, or another collector has it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # None: the end
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._resources = contextlib.ExitStack()
        self._resources.enter_context(_held(settings))
        journals = JournalFile.all(settings.journals) or [JournalFile.create(settings.journals, 1, [], [])]
        content = journals[-1].read()
        self._writer = JournalWriter(journals[-1])
        self._seen: set[Half] = {event.half for event in content.events}
        self._finished: set[Half] = content.finished
        self._is_empty = not content.events
        self._began = time.monotonic()
        self._sealed_bytes = sum(one.bytes for one in journals[:-1])
        self._sealed = threading.Event()
        self._sealed.set()  # perhaps by an earlier process
        self._written: set[JournalFile] = set()  # of those that are there
        self._disk = threading.Thread(target=self._keep, name="journal", daemon=True)
        self._log = threading.Thread(target=self._deliver, name="log", daemon=True)

    def start(self) -> None:
        self._disk.start()
        self._log.start()

    @property
    def is_alive(self) -> bool:
        """Whether events are kept and written into the log."""
        return self._disk.is_alive() and self._log.is_alive()

    def add(self, event: Event) -> "Future[bool]":
        """Has an event kept. The future is done when it is on the disk, with whether it had not been there before.

        Raises Full if too much waits already. An OSError is the future's if the disk does not take it.
        """
        size = event.size
        with self._lock:
            if self._queued_bytes + size > self._settings.queue_bytes:
                raise Full("too many events wait for the disk")
            if self._sealed_bytes + self._writer.bytes + size > self._settings.journal_bytes:
                raise Full(f"the journals are full, for {self._settings.log} takes no files")
            self._queued_bytes += size
        waiting = _Waiting(event, Future())
        self._queue.put(waiting)
        return waiting.answer

    def close(self) -> int:
        """Keeps what waits, and writes all of it into the log; returns how many journals could not be written there."""
        self._queue.put(None)
        self._disk.join()
        self._sealed.set()
        self._log.join()
        left = JournalFile.all(self._settings.journals)
        last_is_empty = bool(left) and not left[-1].read().events
        self._resources.close()
        return len(left) - last_is_empty

    def _keep(self) -> None:
        """Takes events from the queue to the disk, until the end."""
        resumes, ending = 0.0, False
        while not ending:
            taken = self._taken()
            ending = None in taken
            if batch := [one for one in taken if one]:
                self._append(batch)
            if ending or (self._is_due() and time.monotonic() >= resumes):
                try:
                    self._rotate(ending)
                except Exception as error:  # whatever it is, events are taken
                    resumes = time.monotonic() + _PAUSE
                    logger.error("a journal could not be ended: %s", error, exc_info=not isinstance(error, OSError))
        self._writer.close()

    def _taken(self) -> list[_Waiting | None]:
        """Returns what waits, after a while if nothing does."""
        taken: list[_Waiting | None] = []
        with contextlib.suppress(queue.Empty):
            taken.append(self._queue.get(timeout=_TICK))
            while len(taken) < _MOST_EVENTS and taken[-1]:
                taken.append(self._queue.get_nowait())
        return taken

    def _append(self, batch: list[_Waiting]) -> None:
        new: dict[Half, Event] = {}
        are_new = []
        for event in (waiting.event for waiting in batch):
            is_new = not any(event.half in known for known in (self._seen, new, self._finished))
            are_new.append(is_new)
            if is_new:
                new[event.half] = event
        failure: Exception | None = None
        try:
            if new:
                self._writer.append(new.values())
        except Exception as error:  # each event is answered, whatever it is
            logger.error("%d events are not kept: %s", len(new), error)
            failure = error
        else:
            self._seen |= new.keys()
            self._is_empty = self._is_empty and not new
        with self._lock:
            self._queued_bytes -= sum(waiting.event.size for waiting in batch)
        for waiting, is_new in zip(batch, are_new, strict=True):
            if not waiting.answer.set_running_or_notify_cancel():
                continue
            if failure:
                waiting.answer.set_exception(failure)
            else:
                waiting.answer.set_result(is_new)

    def _is_due(self) -> bool:
        """Whether the journal is to end. One without events begins to age with the first."""
        if self._is_empty:
            self._began = time.monotonic()
        age = time.monotonic() - self._began
        return age >= self._settings.rotate_seconds or self._writer.bytes >= self._settings.rotate_bytes

    def _rotate(self, ending: bool) -> None:
        """Ends the journal: what waits for its other half goes into the next one."""
        journal = self._writer.journal
        events = journal.read().events
        if not events:
            return
        since = 0 if ending else time.time_ns() // 1000 - round(self._settings.patience * _MICROSECONDS)
        most = 0 if ending else self._settings.rotate_bytes // _CARRIED_SHARE
        carried = [] if ending else pairing.waiting(events, since, most)
        finished = {event.half for event in events} - {event.half for event in carried}
        size = journal.bytes
        following = JournalFile.create(self._settings.journals, journal.number + 1, carried, sorted(finished))
        try:
            writer = JournalWriter(following)
        except BaseException:
            following.path.unlink(missing_ok=True)  # another one gets its number
            raise
        ended = self._writer
        with self._lock:
            self._sealed_bytes += size
            self._writer = writer
        self._seen, self._finished = {event.half for event in carried}, finished
        self._is_empty, self._began = not carried, time.monotonic()
        self._sealed.set()
        ended.close()

    def _deliver(self) -> None:
        """Writes journals that have ended into the log, the oldest first, until the end."""
        ending = False
        while not ending:
            self._sealed.wait(_PAUSE)
            self._sealed.clear()
            ending = not self._disk.is_alive()
            with self._lock:
                current = self._writer.journal.number  # the next one may be there before it is written to
            journals = [one for one in JournalFile.all(self._settings.journals) if one.number <= current]
            failures = 0
            for journal, following in itertools.pairwise(journals):
                try:
                    if journal not in self._written:
                        self._write(journal, following)
                        self._written.add(journal)
                    if not failures:  # else the one before needs it, which says what was carried into it
                        self._remove(journal)
                except Exception as error:  # of the system, pyarrow or the store: the journals stay
                    self._metrics.failed_writes.inc()
                    logger.warning("%s takes no file, and will be tried again: %s", self._settings.log, error)
                    failures += 1
                    if failures == _MOST_FAILURES:
                        break

    def _remove(self, journal: JournalFile) -> None:
        """Removes a journal that the log has."""
        size = journal.bytes
        journal.keep_rest()
        journal.path.unlink()
        self._written.discard(journal)
        with self._lock:
            self._sealed_bytes -= size

    def _write(self, journal: JournalFile, following: JournalFile) -> None:
        carried = following.read().carried
        pairs = pairing.pairs(event for event in journal.read().events if event.half not in carried)
        files = log_files.write(self._settings.log, pairs, journal)
        unanswered = sum(pair.response is None for pair in pairs)
        unasked = sum(pair.request is None for pair in pairs)
        self._metrics.written.labels("paired").inc(len(pairs) - unanswered - unasked)
        self._metrics.written.labels("request").inc(unanswered)
        self._metrics.written.labels("response").inc(unasked)
        counts = progress.text({"requests": len(pairs) - unasked, "files": files})
        logger.info("%s: %s; %d without a response", self._settings.log, counts, unanswered)


@contextlib.contextmanager
def _held(settings: Settings) -> Iterator[None]:
    """Holds the folder of journals, for this collector alone."""
    import fcntl  # Windows, where other commands run too, has none

    try:
        settings.journals.mkdir(parents=True, exist_ok=True)
        lock = open(settings.journals / ".lock", "a")  # noqa: SIM115 - closed below, with the lock
    except OSError as error:
        raise UserError(f"journals: {settings.journals} cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"journals: another collector has {settings.journals}: each needs a folder of its own"
            ) from None
        yield
