"""Reads a configuration file: YAML 1.2's core schema, the line of every key, overrides from the command line.

A mistake is told in one sentence that names the file, the line, the key and, for an unknown key, the nearest right one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from penstock.core.errors import ConfigError
from penstock.core.files import documents, kinds, yaml_documents
from penstock.core.suggestions import did_you_mean, nearest
from penstock.core.text import printable
from penstock.pipelines.config.section import PATTERN_WORDS

Location = yaml_documents.Location
_MOST_SENTENCES = 20
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
_MISMATCHES = _EXPECTED.keys() - {"too_short"}  # a value of another type


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
        text = documents.read_text(path)
    except FileNotFoundError:
        raise ConfigError(
            f"no configuration at {path}: expected a YAML file; `penstock init NAME` writes one"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder: expected a YAML file, such as {path / 'pipeline.yaml'}") from None
    except documents.DocumentError as error:
        raise ConfigError(str(error)) from None
    read = _parsed(text, path.name)
    if not isinstance(read.value, dict | None):
        raise ConfigError(f"{path.name}: expected keys with values, such as `label: tips`")
    places = {location: f"{path.name}:{line}" for location, line in read.lines.items()}
    return Document(path.name, read.value or {}, places)


def parse(text: str, source: str) -> Any:
    """Returns the value of a YAML text; a ConfigError names the line that does not parse."""
    return _parsed(text, source).value


def _parsed(text: str, source: str) -> yaml_documents.Yaml:
    try:
        return yaml_documents.parse(text, source, numbered=not source.startswith("--set"))
    except documents.DocumentError as error:
        raise ConfigError(str(error)) from None


def override(document: Document, assignments: Iterable[str]) -> None:
    """Applies `key.key=value` assignments; the value is YAML, so that `[train, eval]` is a list and `3` a number."""
    for assignment in assignments:
        if not _is_text(assignment):
            raise ConfigError(f"--set {assignment}: expected UTF-8 text")
        path, separator, text = assignment.partition("=")
        keys = path.strip().split(".")
        if not separator or not all(keys):
            raise ConfigError(f"--set {assignment}: expected key=value, such as training.train_steps=100")
        if not text.strip():
            raise ConfigError(f"--set {assignment}: expected a value: null takes the default, '\"\"' is an empty text")
        assign(document, keys, parse(text, f"--set {path}"), f"--set {path}")


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:  # bytes of the command line that are not UTF-8
        return False
    return True


def assign(document: Document, keys: Sequence[str], value: Any, place: str) -> None:
    """Puts a value at a path of keys, whatever stood there; list items are counted from 0."""
    if len(keys) > documents.DEEPEST:
        raise ConfigError(f"{place}: expected at most {documents.DEEPEST} keys in one another, found {len(keys):,}")
    target: Any = document.values
    location: Location = ()
    for key in keys[:-1]:
        part, known = _part(target, key, place)
        location = (*location, part)
        if not isinstance(known, dict | list):
            if known is not None and not isinstance(known, bool | str):
                raise ConfigError(f"{place}: {_dotted(location)} holds {printable.value(known)}, no keys")
            known = target[part] = {}
        target = known
        document.places.setdefault(location, place)
    last, _ = _part(target, keys[-1], place)
    target[last] = value
    location = (*location, last)
    for known_place in [known for known in document.places if known[: len(location)] == location]:
        del document.places[known_place]
    document.places[location] = place


def validate[Model: BaseModel](document: Document, model: type[Model], folder: Path) -> Model:
    """Checks the values against the model; a ConfigError tells every mistake in a sentence of its own.

    Relative paths in the configuration are relative to `folder`, handed to the validators in their context.
    """
    try:
        return model.model_validate(document.values, context={"folder": folder})
    except ValidationError as error:
        mistakes = _mistakes(error, document)
        sentences = _sentences(mistakes[:_MOST_SENTENCES], document, model)
        more = len(mistakes) - _MOST_SENTENCES
    if len(sentences) == 1:
        raise ConfigError(sentences[0])
    if more > 0:
        raise ConfigError(
            f"{document.source} has {more + _MOST_SENTENCES:,} mistakes", "\n".join([*sentences, f"and {more:,} more"])
        )
    raise ConfigError(f"{document.source} has {len(sentences)} mistakes", "\n".join(sentences))


@dataclass(frozen=True)
class _Mistake:
    """What pydantic tells of a place in the document. `missing` is the key that it lacks there."""

    type: str
    location: Location
    expected: str
    received: Any
    sentence: str = ""
    missing: Location = ()


def _mistakes(error: ValidationError, document: Document) -> list[_Mistake]:
    """Returns what is wrong, each place once: of a value that may be of several types, pydantic tells each of them.

    What is wrong within a value says more than that it is none of another type.
    """
    mistakes = [_mistake(detail, document.values) for detail in error.errors(include_url=False)]
    inside = {mistake.location[:end] for mistake in mistakes for end in range(len(mistake.location))}
    inside |= {mistake.location for mistake in mistakes if mistake.type not in _MISMATCHES}
    merged: dict[tuple[Location, int], _Mistake] = {}
    for number, mistake in enumerate(mistakes):
        if mistake.type not in _MISMATCHES:
            merged[mistake.location, number] = mistake
        elif mistake.location not in inside:
            before = merged.get((mistake.location, -1))
            words = dict.fromkeys([*([before.expected] if before else []), mistake.expected])
            merged[mistake.location, -1] = replace(mistake, expected=" or ".join(words))
    return list(merged.values())


def _mistake(detail: Mapping[str, Any], values: Any) -> _Mistake:
    location = _written(detail["loc"], values)
    sentence = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else ""
    missing = detail["loc"][-1:] if detail["type"] == "missing" else ()
    return _Mistake(detail["type"], location, _expected(detail), detail["input"], sentence, missing)


def _sentences(mistakes: Iterable[_Mistake], document: Document, model: type[BaseModel]) -> list[str]:
    """Returns a sentence for each mistake, none twice."""
    sentences: dict[str, None] = {}
    for mistake in mistakes:
        place, key = document.place(mistake.location), _dotted(mistake.location)
        if mistake.type == "extra_forbidden":
            text = f"unknown key {printable.value(key)}; {_known_key(mistake.location, model)}"
        elif mistake.type == "missing":
            path = (*mistake.location, *mistake.missing)
            text = f"{_dotted(path)} is missing: expected {_description(path, model)}"
        elif mistake.type == "value_error":
            named = _named_in(mistake.location, mistake.sentence, document)
            text = f"{key}{'.' if named else ': '}{mistake.sentence}" if key else mistake.sentence
            place = document.place(named or mistake.location)
        else:
            text = f"{key}: expected {mistake.expected}, received {printable.value(mistake.received)}"
        sentences[f"{place}: {text.removeprefix(place.removeprefix('--set ') + ': ')}"] = None
    return list(sentences)


def _expected(mistake: Mapping[str, Any]) -> str:
    """Returns what a value is expected to be, in words for who writes YAML rather than Python."""
    if mistake["type"] == "string_pattern_mismatch":
        return PATTERN_WORDS[mistake["ctx"]["pattern"]]
    return _EXPECTED.get(mistake["type"]) or str(mistake["msg"]).removeprefix("Input should be ")


def _written(location: Location, values: Any) -> Location:
    """Returns the part of an error's location that the document holds; pydantic adds the names of a union's members."""
    written: Location = ()
    for part in location:
        known = values if isinstance(values, Mapping) else range(len(values)) if isinstance(values, list) else ()
        if part in known:
            values = values[part]
            written = (*written, part)
    return written


def _named_in(location: Location, sentence: str, document: Document) -> Location:
    """Returns the key that a sentence begins with: the validator of a whole section names the key it speaks of."""
    key, separator, _ = sentence.partition(": ")
    named = (*location, *key.split("."))
    return named if separator and _written(named, document.values) == named else ()


def _known_key(location: Location, model: type[BaseModel]) -> str:
    paths = list(key_paths(model))
    parent, section, wrong = "", str(location[-2]) if location[1:] else "", str(location[-1])
    for part in location[:-1]:  # the person's own keys, such as a metric's name, are in no path
        parent = f"{parent}.{part}".lstrip(".") if f"{parent}.{part}".lstrip(".") in paths else parent
    siblings = [path.rpartition(".")[2] for path in paths if path.rpartition(".")[0] == parent]
    if not siblings:  # a section that stands in several places, such as a source under the name of a split
        siblings = list(dict.fromkeys(path.split(".")[-1] for path in paths if path.split(".")[-2:-1] == [section]))
    if not nearest(wrong, siblings):
        elsewhere: dict[str, str] = {}
        for path in sorted(paths, key=lambda path: path.count(".")):  # a key of one service is the less likely one
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


def _part(target: list[Any] | dict[str, Any], key: str, place: str) -> tuple[str | int, Any]:
    """Returns what a key of a path is in a list or mapping, the index or itself, and what stands there."""
    if isinstance(target, dict):
        return key, target.get(key)
    if not key.isdecimal() or len(key) > len(str(len(target))) or int(key) >= len(target):
        raise ConfigError(f"{place}: expected the number of an item, 0 to {len(target) - 1}, received {key!r}")
    return int(key), target[int(key)]
