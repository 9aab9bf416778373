"""Vertex AI's long-running operations: each is started once, found again where its answer got lost, and waited for."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import PenstockError, ServerError, SystemFailure
from penstock.core.services import waiting
from penstock.core.services.retries import Unanswered, make_once
from penstock.core.services.vertex import Server

LOST_LOOKS = 60  # in a row without an answer, after which the push gives up
UNDO_SECONDS = 600  # that an operation has to end, once the push has failed
_DONE = "done"  # in place of an operation's name


@dataclass(frozen=True)
class Operations:
    """Operations of a server, each of which has `timeout` seconds, which the setting `timeout_key` says."""

    server: Server
    timeout: int
    timeout_key: str

    def run(self, what: str, start: Callable[[], Any], resource: str, is_done: Callable[[], bool]) -> None:
        """Starts an operation, and returns when it has ended well.

        `start` calls the client, `what` is the subject of sentences: "deploying taxi@3". Where `start` got no answer,
        the operation is looked for among those that run at the model or endpoint `resource`; `is_done` says whether its
        effect is there.
        """

        started: list[str] = []

        def begin() -> str:
            started.append(str(self.server.request(start).operation.name))
            return started[-1]

        def begun() -> str | None:
            running = self.server.running(resource)
            return running[-1] if running else _DONE if is_done() else None

        operation = make_once(begin, begun, f"it is not known whether {what} was started: run again, which finds it")
        if operation != _DONE:
            self._wait(operation, what, cancels=operation in started)
        if not is_done():
            raise SystemFailure(f"{what} has ended, and what it was for is not there: run again")

    def settle(self, resource: str, *, undoing: bool = False) -> None:
        """Waits until nothing runs at a model or an endpoint, whoever has started it and however it ends."""
        seconds = UNDO_SECONDS if undoing else self.timeout
        late = f"{resource}: an operation that was started there has not ended after {seconds} s: try again later"
        waiting.until(lambda: None if self.server.running(resource) else True, seconds, late)

    def _wait(self, operation: str, what: str, *, cancels: bool) -> None:
        """Waits for the end of an operation; one that takes too long is cancelled, as far as the service does that.

        It is not where it may be somebody else's.
        """
        lost = 0

        def look() -> Any:
            nonlocal lost
            try:
                ended = self.server.ended(operation, what)
            except Unanswered:
                lost += 1
                if lost == LOST_LOOKS:
                    raise
                return None
            lost = 0
            return ended

        late = f"{what} took longer than {self.timeout} s: raise {self.timeout_key}, or look into the service's log"
        try:
            waiting.until(look, self.timeout, late)
        except ServerError:  # it has ended
            raise
        except BaseException:
            if cancels:
                with contextlib.suppress(PenstockError):
                    self.server.cancel(operation)
            raise
