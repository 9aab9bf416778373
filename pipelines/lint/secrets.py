"""Secrets in plain text, by their names or their shapes: a compiled pipeline is read by all who see its runs."""

import json
from collections.abc import Iterator
from typing import Any

from penstock.core.credentials import names, shapes
from penstock.core.files.yaml_documents import Location
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import Broken, rule

_CONSTANTS = ("defaultValue", "runtimeValue", "env")  # what Pipeline.constants yields, in better words


@rule("plain-secret")
def plain_secret(pipeline: Pipeline) -> Iterator[Broken]:
    """A password, token or key, by its name or by its shape (a URL with a password, a bearer token, a known service's
    key): in a parameter, inside one that is JSON, in an environment variable, or elsewhere in the pipeline."""
    for constant in pipeline.constants():
        for path, name, value in _leaves(constant.name, constant.name, constant.value):
            kind = _kind(name, value)
            if kind is not None:
                place = constant.place.removesuffix(constant.name) + path
                yield Broken(path, _sentence(place, kind), constant.path)
    for number, document in enumerate((pipeline.spec, pipeline.platform)):
        for location, text in _others((number,), document):
            credential = next(shapes.credentials(text), None)
            if credential is not None:
                path = ".".join(str(key) for key in location[1:] if isinstance(key, str))
                yield Broken(path, _sentence(path, f" ({credential.kind})"), location)


def _kind(name: str, value: Any) -> str | None:
    """Returns what kind of a secret a value is, " (a JSON Web Token)" or "" by its name alone; None if it is none."""
    if names.is_secret(name, value):
        return ""
    known = [*shapes.credentials(value), *shapes.assignments(value)] if isinstance(value, str) else []
    return f" ({known[0].kind})" if known else None


def _sentence(place: str, kind: str) -> str:
    return (
        f"{place}: a secret in plain text{kind} is there for all who see the pipeline: take it from a Secret's env, or "
        "name only where it is"
    )


def _leaves(path: str, name: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields the dotted path, the last name in it and the value of each part of a constant, also of JSON in a text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}", str(key), part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(path, name, part)
    else:
        yield path, name, value


def _others(path: Location, value: Any) -> Iterator[tuple[Location, str]]:
    """Yields the places and the texts of what no constant is: images, commands, URIs, descriptions."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in _CONSTANTS:
                yield from _others((*path, key), part)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _others((*path, index), part)
    elif isinstance(value, str):
        yield path, value


RULES = (plain_secret,)
