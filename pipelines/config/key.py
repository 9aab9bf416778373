"""What is told of a key of a configuration."""

from typing import Any, TypedDict


class Key(TypedDict):
    """A key: what it may hold, in words; whether it is required; its default, None for what is not there without it."""

    key: str
    holds: str
    required: bool
    default: Any
    meaning: str
