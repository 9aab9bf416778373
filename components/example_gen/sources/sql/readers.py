"""Connections that read parts of one query side by side, all in one moment."""

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from penstock.components.example_gen.sources.sql.databases.database import Connection, Database
from penstock.core.errors import PenstockError
from penstock.core.services.retries import Unanswered

logger = logging.getLogger(__name__)
MOST = 4  # connections: enough to keep a few cores of a server busy, and few enough for any server


@dataclass
class Readers:
    """A connection, and others that join its moment once there are parts to read. They end with `stack`.

    Attributes:
        database: What is connected to.
        connection: The one whose moment it is.
        stack: What closes the others.
    """

    database: Database
    connection: Connection
    stack: ExitStack

    def read[Part](self, parts: Iterable[Part], read: Callable[[Part, Connection], None]) -> None:
        """Calls `read` with each part and one of the connections.

        Where another connection than the first is lost, its part is read anew over the first. Raises what `read`
        raises, and then reads no part more.
        """
        left = deque(parts)
        with ThreadPoolExecutor(MOST) as pool:
            others = [pool.submit(self._help, other, left, read) for other in tuple(self._others)]
            try:
                _drain(left, self.connection, read)
            except BaseException:
                left.clear()
                raise
            for other in others:
                other.result()
        _drain(left, self.connection, read)  # what a connection that was lost has left

    @functools.cached_property
    def _others(self) -> list[Connection]:
        """The other connections; fewer or none where the server gives no more of them, or not of this moment."""
        found: list[Connection] = []
        shared = self.connection.share()
        try:
            while shared and len(found) + 1 < MOST:
                found.append(self.stack.enter_context(self.database.connected(shared["moment"])))
        except PenstockError as error:
            logger.info("reading over %d connections: %s", len(found) + 1, error)
        return found

    def _help[Part](self, other: Connection, left: deque[Part], read: Callable[[Part, Connection], None]) -> None:
        try:
            _drain(left, other, read)
        except Unanswered as error:
            logger.info("a connection was lost, its part is read over another one: %s", error)
            self._others.remove(other)
        except BaseException:
            left.clear()
            raise


def _drain[Part](left: deque[Part], connection: Connection, read: Callable[[Part, Connection], None]) -> None:
    """Reads parts until none is left. One that could not be read is left."""
    while left:
        try:
            part = left.popleft()
        except IndexError:  # another thread was quicker
            return
        try:
            read(part, connection)
        except BaseException:
            left.appendleft(part)
            raise
