"""Rows of a server that went away while they were read: they are read again, and none is given twice."""

import itertools
from collections.abc import Callable, Iterator

from penstock.core.services import retries
from penstock.core.services.retries import Unanswered


def reading_again[Rows](
    read: Callable[[], Iterator[Rows]], failure: Callable[[Exception], Unanswered | None]
) -> Iterator[Rows]:
    """Yields what `read()` yields. Where it fails, it is called anew, and what was given already is skipped.

    `read` must yield the same whenever it is called. `failure` says what an error means: what may pass soon is an
    Unanswered, and None is anything else, which is raised as it is. After three failures without anything new in
    between the Unanswered is raised.
    """
    given, failures = 0, 0
    while True:
        try:
            for rows in itertools.islice(read(), given, None):
                yield rows
                given, failures = given + 1, 0
            return
        except Exception as error:
            passing = failure(error)
            if passing is None:
                raise
            failures += 1
            if failures == retries.TRIES:
                raise passing from None
        retries.pause(failures, passing)
