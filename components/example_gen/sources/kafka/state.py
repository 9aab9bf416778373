"""Which windows of a topic there were, from run to run."""

import functools
from collections.abc import Callable
from typing import Literal, TypedDict

from pydantic import TypeAdapter

from penstock.components.example_gen.sources.kafka.windows import Offsets, Window
from penstock.core import state
from penstock.core.artifacts.state import KafkaState
from penstock.core.files import object_stores
from penstock.core.state.folder import Folder, Kind

KEPT = 1000  # windows that can be read again


class State(TypedDict):
    """The last windows, the oldest first. The last one may wait for its Examples."""

    version: Literal[1]
    windows: list[Window]


@functools.cache
def _form() -> TypeAdapter[State]:
    return TypeAdapter(State)


WINDOWS = Kind(
    _form,
    lambda: State(version=1, windows=[]),
    KafkaState,
    of="windows of a topic",
    lost="the topic is read from kafka.start on",
)


def opened(folder: str, topic: str) -> Folder[State]:
    """Returns the state of a topic below the folder of all sources."""
    return state.open_folder(object_stores.join(folder, f"kafka/{topic}"), WINDOWS)


def done(folder: str, topic: str, window_id: str, tell: Callable[[Offsets], None] | None = None) -> None:
    """Notes that the Examples of a window are in place: the next one begins at its end.

    `tell` is called with the end before that. Nothing happens for a window that is not the last one.
    """
    place = opened(folder, topic)
    with place.held():
        found = place.read()
        last = found["windows"][-1] if found["windows"] else None
        if last is None or last["id"] != window_id or last["is_done"]:
            return
        if tell:
            tell(last["end"])
        last["is_done"] = True
        place.write(found)
