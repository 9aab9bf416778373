"""What a server answered, or did not, and how something is made once although answers get lost."""

import email.utils
import sys
import time
from collections.abc import Callable

from penstock.core.errors import ServerError, ServerUnavailable, SystemFailure
from penstock.core.text import printable

TRIES = 3
PAUSE = 1.0  # seconds before the second try, twice as many before the third
LONGEST_PAUSE = 60.0
_LONG_PAUSE = 5.0  # a pause that is as long is told, so that nobody takes it for a hang


class AlreadyExists(ServerError):
    """The server has something of that name."""


class NotFound(ServerError):
    """The server knows no such thing."""


class Unanswered(ServerUnavailable):
    """No usable answer, whatever became of the request.

    `what` happened is the sentence without the advice, for where to try again is the wrong advice. `retry_after` is the
    seconds that the server asks to be left alone for. `under_way` says that the request may still be worked on, so that
    what it makes may appear later.
    """

    def __init__(self, what: str, advice: str = "", retry_after: float = 0.0, under_way: bool = False):
        super().__init__(f"{what}: {advice}" if advice else what)
        self.what = what
        self.retry_after = retry_after
        self.under_way = under_way


class Interrupted(SystemFailure):
    """Ctrl-C, which ends this process, and not what the server is at."""

    exit_code = 130


def pause(number: int, error: Unanswered) -> None:
    """Waits after the try of that number, longer each time, and as long as the server asked for, within reason."""
    wait = min(max(PAUSE * 2 ** (number - 1), error.retry_after), LONGEST_PAUSE)
    if wait >= _LONG_PAUSE:
        asked = f" (it asks for {error.retry_after:.0f} s)" if error.retry_after > wait else ""
        what = printable.sentence(error.what)
        print(f"{what}: trying again in {wait:.0f} s{asked}", file=sys.stderr, flush=True)
    time.sleep(wait)


def seconds(retry_after: str) -> float:
    """Reads a Retry-After header: seconds, or a date; 0 where it is neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0


def make_once[Made](make: Callable[[], Made], find: Callable[[], Made | None], unknown: str) -> Made:
    """Makes something that `find` finds by its name; it is made again only where it is known to be missing.

    After a timeout it is not made again at all: the server may still be at it. So it may after Ctrl-C, which ends in an
    Interrupted that says `unknown`, as a timeout does.
    """
    try:
        return _make_once(make, find, unknown)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {unknown}") from None


def _make_once[Made](make: Callable[[], Made], find: Callable[[], Made | None], unknown: str) -> Made:
    failure: Unanswered | None = None
    under_way = False
    for number in range(1, TRIES + 1):
        if failure:
            pause(number - 1, failure)
            try:
                made = find()
            except Unanswered as error:
                raise SystemFailure(unknown, str(error)) from None
            if made:
                return made
            if under_way:
                continue
        try:
            return make()
        except AlreadyExists:
            if failure and (made := find()):  # it was made by a request whose answer was lost
                return made
            raise
        except Unanswered as error:
            failure, under_way = error, error.under_way
    assert failure
    return _found_at_last(find, failure, unknown)


def _found_at_last[Made](find: Callable[[], Made | None], failure: Unanswered, unknown: str) -> Made:
    """Looks once more after the last try; where nothing is there, the last failure is told."""
    try:
        made = find()
    except Unanswered:
        made = None
        failure.under_way = True
    if made:
        return made
    if failure.under_way:
        raise SystemFailure(unknown, failure.message)
    raise failure
