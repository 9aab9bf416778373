"""Every key of a configuration on a line of its own: what it may hold, its default, and what it is for."""

import datetime
import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from penstock.pipelines.config import file
from penstock.pipelines.config.key import Key

_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime.date: "date",
    datetime.datetime: "date and time",
    Any: "anything",
}


def entries(model: type[BaseModel], filled: tuple[str, ...]) -> list[Key]:
    """Returns the keys. `filled` are those that are required of the model but not of the person."""
    return [
        Key(
            key=path,
            holds=_kind(info.annotation),
            required=info.is_required() and path not in filled,
            default=_default(info),
            meaning=str(info.description),
        )
        for path, info in file.fields(model)
    ]


def listing(keys: list[Key]) -> str:
    """Returns the lines."""
    return "\n".join(f"{key['key']:44} {key['holds']}{_word(key)}: {key['meaning']}" for key in keys)


def _word(key: Key) -> str:
    if key["required"]:
        return ", required"
    return "" if key["default"] is None else f", by default {json.dumps(key['default'])}"


def _default(info: FieldInfo) -> Any:
    if info.is_required() or info.default in ("", [], {}) or isinstance(info.default, BaseModel):
        return None  # what is not there by default
    if isinstance(info.default, dict):  # of sections by a person's names, as the channels of alerts
        return {name: _plain(value) for name, value in info.default.items()}
    return info.default


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, BaseModel) else value


def _kind(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_kinds(annotation)))


def _kinds(annotation: Any) -> Iterator[str]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        yield from _kinds(arguments[0])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _kinds(argument)
    elif origin is Literal:
        yield from map(str, arguments)
    elif origin is list:
        yield f"[{_kind(arguments[0])}]"
    elif origin is tuple:
        yield f"[{', '.join(map(_kind, arguments))}]"
    elif origin is dict:
        yield f"{{name: {_kind(arguments[1])}}}"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "section"
    elif annotation is not type(None):
        yield _WORDS[annotation]
