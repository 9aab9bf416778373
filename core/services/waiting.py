"""Waiting for a service that takes its time."""

import time
from collections.abc import Callable

from penstock.core.errors import SystemFailure

PAUSE = 5.0  # seconds between two looks


def until[Found](look: Callable[[], Found | None], seconds: float, late: str) -> Found:
    """Looks again and again until `look` returns something; a SystemFailure with the sentence `late` after `seconds`.

    `look` asks the service with `repeat`, so that a lost answer does not end the waiting, and raises what ended badly.
    """
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() + PAUSE > end:
            raise SystemFailure(late)
        time.sleep(PAUSE)
