"""Some rows of each kind of source for `penstock validate`: a bounded amount, without a trace or a bill.

What a source resolves and opens is looked at as it is, unless that would read all of it, or leave something. For those
there is a module here, by the source's name.
"""

import contextlib
import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from penstock.components.example_gen.sampling.look import ROWS, Look, NotLookedAt, OnlyColumns
from penstock.components.example_gen.sources.source import Opened

__all__ = ["ROWS", "Look", "NotLookedAt", "OnlyColumns", "opened"]

_IN_PART = ("bigquery", "dvc", "glue", "http", "kafka", "nifi", "sql")


def opened(look: Look) -> AbstractContextManager[Opened[Any]]:
    """Gives an open source whose first rows may be read; it is `done` by nobody.

    Raises what resolving and opening the source does, NotLookedAt where nothing may be looked at, and OnlyColumns where
    rows may not.
    """
    if look.name not in _IN_PART:
        return _as_in_a_run(look)
    found: AbstractContextManager[Opened[Any]] = importlib.import_module(f"{__name__}.{look.name}").opened(look)
    return found


@contextlib.contextmanager
def _as_in_a_run(look: Look) -> Iterator[Opened[Any]]:
    splits = look.source.resolve(look.asked).splits
    with look.source.open(look.request(splits)) as found:
        yield found
