"""Reads a configuration file: YAML 1.2's core schema, the line of every key, overrides from the command line.

A mistake is told in one sentence that names the file, the line, the key and, for an unknown key, the nearest right one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from penstock.core.errors import ConfigError
from penstock.core.files import kinds
from penstock.core.suggestions import did_you_mean, nearest
from penstock.pipelines.config.section import PATTERN_WORDS

Location = tuple[str | int, ...]
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "float_parsing": "a number",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "keys with values",
    "string_type": "text",
    "too_short": "at least one",
}


class _Loader(yaml.SafeLoader):
    """Plain scalars as editors understand them (YAML 1.2): `no`, `12:30`, `2024-01-01` are text, `1e-3` is a number."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: _float(node.value))


def _float(text: str) -> float:
    return float(
        text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf").lower().replace(".nan", "nan")
    )


@dataclass
class Document:
    """A configuration as it was written: the values, and where each of them stands."""

    source: str
    values: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)

    def place(self, location: Location) -> str:
        """Returns where a value stands ("pipeline.yaml:12" or "--set a.b"), or where the nearest one above it does."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return self.source


def read(path: Path) -> Document:
    """Reads a configuration file; a ConfigError if it is missing, is not a YAML mapping, or has a key twice."""
    if special := kinds.special(path):
        raise ConfigError(f"{path} is {special}: expected a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"no configuration at {path}: expected a YAML file; `penstock init NAME` writes one"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder: expected a YAML file, such as {path / 'pipeline.yaml'}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text: {error.reason} at byte {error.start}") from None
    node = _compose(text, path.name)
    document = Document(path.name, parse(text, path.name) or {})
    if node is not None:
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path.name}: expected keys with values, such as `label: tips`")
        document.places.update(_places(node, path.name))
    return document


def parse(text: str, source: str) -> Any:
    """Returns the value of a YAML text; a ConfigError names the line that does not parse."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.MarkedYAMLError, ValueError) as error:
        raise ConfigError(_yaml_sentence(error, text, source)) from None


def override(document: Document, assignments: Iterable[str]) -> None:
    """Applies `key.key=value` assignments; the value is YAML, so that `[train, eval]` is a list and `3` a number."""
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not separator or not all(keys):
            raise ConfigError(f"--set {assignment}: expected key=value, such as training.train_steps=100")
        if not text.strip():
            raise ConfigError(f"--set {assignment}: expected a value: null takes the default, '\"\"' is an empty text")
        assign(document, keys, parse(text, f"--set {path}"), f"--set {path}")


def assign(document: Document, keys: Sequence[str], value: Any, place: str) -> None:
    """Puts a value at a path of keys, whatever stood there; list items are counted from 0."""
    target: Any = document.values
    for position, key in enumerate(keys[:-1]):
        if isinstance(target, list):
            target = target[_index(target, key, place)]
            continue
        if not isinstance(target.get(key), dict | list):
            if target.get(key) is not None and not isinstance(target[key], bool | str):
                raise ConfigError(f"{place}: {'.'.join(keys[: position + 1])} holds {target[key]!r}, no keys")
            target[key] = {}
        target = target[key]
    last: str | int = keys[-1]
    if isinstance(target, list):
        last = _index(target, keys[-1], place)
    target[last] = value
    location: Location = tuple(int(key) if key.isdigit() else key for key in keys)
    for known in [known for known in document.places if known[: len(location)] == location]:
        del document.places[known]
    for length in range(1, len(location)):
        document.places.setdefault(location[:length], place)
    document.places[location] = place


def validate[Model: BaseModel](document: Document, model: type[Model], folder: Path) -> Model:
    """Checks the values against the model; a ConfigError tells every mistake in a sentence of its own.

    Relative paths in the configuration are relative to `folder`, handed to the validators in their context.
    """
    try:
        return model.model_validate(document.values, context={"folder": folder})
    except ValidationError as error:
        sentences = _sentences(error, document, model)
    if len(sentences) == 1:
        raise ConfigError(sentences[0])
    raise ConfigError(f"{document.source} has {len(sentences)} mistakes", "\n".join(sentences))


def _sentences(error: ValidationError, document: Document, model: type[BaseModel]) -> list[str]:
    sentences: dict[str, None] = {}
    for mistake in error.errors(include_url=False):
        location = _written(mistake["loc"], document.values)
        place = document.place(location)
        key = ".".join(str(part) for part in mistake["loc"][: len(location)])
        if mistake["type"] == "extra_forbidden":
            text = f"unknown key {key!r}; {_known_key(mistake['loc'], model)}"
        elif mistake["type"] == "missing":
            text = f"{_dotted(mistake['loc'])} is missing: expected {_description(mistake['loc'], model)}"
        elif mistake["type"] == "value_error":
            text = str(mistake["ctx"]["error"])
            named = _named_in(location, text, document)
            text = f"{key}{'.' if named else ': '}{text}" if key else text
            place = document.place(named or location)
        else:
            text = f"{key}: expected {_expected(mistake)}, received {mistake['input']!r}"
        sentences[f"{place}: {text.removeprefix(place.removeprefix('--set ') + ': ')}"] = None
    return list(sentences)


def _expected(mistake: Mapping[str, Any]) -> str:
    """Returns what a value is expected to be, in words for who writes YAML rather than Python."""
    if mistake["type"] == "string_pattern_mismatch":
        return PATTERN_WORDS[mistake["ctx"]["pattern"]]
    return _EXPECTED.get(mistake["type"]) or str(mistake["msg"]).removeprefix("Input should be ")


def _written(location: Location, values: Any) -> Location:
    """Returns the part of an error's location that the document holds; pydantic adds the names of a union's members."""
    depth = 0
    for part in location:
        known = values if isinstance(values, Mapping) else range(len(values)) if isinstance(values, list) else ()
        if part in known:
            values = values[part]
            depth += 1
        else:
            break
    return location[:depth]


def _named_in(location: Location, sentence: str, document: Document) -> Location:
    """Returns the key that a sentence begins with: the validator of a whole section names the key it speaks of."""
    key, separator, _ = sentence.partition(": ")
    named = (*location, *key.split("."))
    return named if separator and _written(named, document.values) == named else ()


def _known_key(location: Location, model: type[BaseModel]) -> str:
    paths = list(key_paths(model))
    parent, wrong = "", str(location[-1])
    for part in location[:-1]:  # the person's own keys, such as a metric's name, are in no path
        parent = f"{parent}.{part}".lstrip(".") if f"{parent}.{part}".lstrip(".") in paths else parent
    siblings = [path.rpartition(".")[2] for path in paths if path.rpartition(".")[0] == parent]
    if not nearest(wrong, siblings):
        elsewhere: dict[str, str] = {}
        for path in paths:
            elsewhere.setdefault(path.rpartition(".")[2], path)
        near = nearest(wrong, elsewhere, cutoff=0.8)
        if near:
            return f"did you mean {elsewhere[near]!r}?"
    return did_you_mean(wrong, sorted(siblings))


def key_paths(model: type[BaseModel]) -> Iterator[str]:
    """Yields the dotted path of every key that a model knows, sections before the keys in them."""
    return (path for path, _ in fields(model))


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yields the dotted path of every key and its field, sections before the keys in them."""
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        yield path, info
        for section in _sections(info.annotation):
            yield from fields(section, f"{path}.")


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            yield argument


def _description(location: Location, model: type[BaseModel]) -> str:
    current: type[BaseModel] | None = model
    description = "a value"
    for part in location:
        fields = {info.alias or name: info for name, info in current.model_fields.items()} if current else {}
        info = fields.get(str(part))
        if info is None:
            return "a value"
        description = info.description or description
        current = next(_sections(info.annotation), None)
    return description[0].lower() + description[1:].rstrip(".")


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location)


def _index(items: list[Any], key: str, place: str) -> int:
    if not key.isdigit() or int(key) >= len(items):
        raise ConfigError(f"{place}: expected the number of an item, 0 to {len(items) - 1}, received {key!r}")
    return int(key)


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_yaml_sentence(error, text, source)) from None


def _yaml_sentence(error: Exception, text: str, source: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = f":{mark.line + 1}" if mark and not source.startswith("--set") else ""
    problem = getattr(error, "problem", None) or str(error)
    percent = text.startswith("%") or "'%'" in problem  # a date's format
    hint = "; text that begins with % stands in quotes" if percent else ""
    return f"{source}{line}: this is not YAML: {problem}{hint}"


def _places(node: yaml.Node, source: str, location: Location = ()) -> Iterator[tuple[Location, str]]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(f"{source}:{line}: key {key.value!r} is here again, first in line {seen[key.value]}")
            seen[key.value] = line
            yield (*location, key.value), f"{source}:{line}"
            yield from _places(value, source, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*location, index), f"{source}:{value.start_mark.line + 1}"
            yield from _places(value, source, (*location, index))
