"""What a push has changed so far, each change with its undo: so that half a push is none."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.services.retries import AlreadyExists

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Change:
    what: str
    undo: Callable[[], None]
    left: str


class Changes:
    """The changes of one push, in their order.

    A change is noted before it is made: where its answer is lost, it may have been made. So an `undo` first looks what
    there is. It does nothing where nothing was made, and removes nothing that another push has made: `push` is this
    one's name, and is kept with what it makes.
    """

    def __init__(self) -> None:
        self.push = uuid.uuid4().hex[:12]
        self._made: list[_Change] = []
        self._kept: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._made or self._kept)

    def keep(self, left: str) -> None:
        """Notes what stays even if all is undone, such as a version that is stored."""
        self._kept.append(left)

    def make[Made](self, what: str, do: Callable[[], Made], undo: Callable[[], None], left: str) -> Made:
        """Makes a change. `what` names it as in "registering the model"; `left` says what stays if it is not undone.

        `left` names the thing and the command that removes it: "model taxi-17: remove it with `aws ...`". A failure of
        `do` is passed on; one that says that somebody else has made it already is noted as no change.
        """
        logger.info("%s", what)
        self._made.append(_Change(what, undo, left))
        try:
            return do()
        except AlreadyExists:
            self._made.pop()
            raise

    def undo(self) -> list[str]:
        """Undoes all changes, the last one first; returns what is left behind of those that could not be undone.

        A second Ctrl-C ends it at once.
        """
        left, self._kept = self._kept, []
        while self._made:
            change = self._made.pop()
            try:
                change.undo()
                logger.info("undone: %s", change.what)
            except Exception as error:  # whatever it is, the other changes are undone
                logger.warning("not undone: %s: %s", change.what, error)
                left.append(change.left)
        return left
