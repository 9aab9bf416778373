"""Every key of a configuration on a line of its own: what it may hold, its default, and what it is for."""

import json
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from penstock.pipelines.config import file

_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


def listing(model: type[BaseModel], filled: tuple[str, ...]) -> str:
    """Returns the lines. `filled` are keys that are required of the model but not of the person."""
    return "\n".join(
        f"{path:44} {_kind(info.annotation)}{_default(info, path in filled)}: {info.description}"
        for path, info in file.fields(model)
    )


def _default(info: FieldInfo, filled: bool) -> str:
    if info.is_required():
        return "" if filled else ", required"
    if info.default in (None, "", [], {}) or isinstance(info.default, BaseModel):
        return ""  # what is not there by default
    return f", by default {json.dumps(info.default)}"


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
    elif origin is dict:
        yield f"{{name: {_kind(arguments[1])}}}"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "section"
    elif annotation is not type(None):
        yield _WORDS[annotation]
