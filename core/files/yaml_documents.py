"""YAML that anybody may have written: read strictly, and within bounds.

A document is built from its parser's events, so that nothing recurses, and nothing is built before it is counted: an
alias counts as all that it stands for. Refused is, with its line, what is deeper or more than any document of ours, a
key that is there twice, a tag that JSON has no value for, and characters that no program can be given.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from penstock.core.files.documents import DEEPEST, LONGEST_NUMBER, TOO_DEEP, DocumentError
from penstock.core.text import printable

Location = tuple[str | int, ...]
MOST_VALUES = 200_000
_INTEGERS = range(-(1 << 63), 1 << 64)
# libyaml's where PyYAML was built with it: ten times faster.
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RETOLD = 64 << 10  # characters of a text whose mistake PyYAML's own parser tells, which it does better
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by YAML itself
_UNUSABLE = re.compile("[\0\ud800-\udfff]")  # also where they are written as escapes
_TAG = "tag:yaml.org,2002:"
_TEXT = {f"{_TAG}str", f"{_TAG}merge", f"{_TAG}value", "!"}  # plain `<<` and `=` have tags of their own in YAML 1.1
_NUMBERS = {f"{_TAG}int", f"{_TAG}float"}
_TOO_MANY = f"expected at most {MOST_VALUES:,} values, found more; an alias counts as all that it stands for"


@dataclass
class Yaml:
    """A YAML document: its value, and the line of each key and of each item of a list."""

    value: Any
    lines: dict[Location, int] = field(default_factory=dict)


def parse(text: str, source: str, numbered: bool = True) -> Yaml:
    """Returns the one document of a text that a person wrote, by YAML 1.2's core schema; None for an empty text.

    `source` begins sentences: a file's name, followed by the line, or what of the command line is not `numbered`.
    """
    documents = _Builder(text, source, numbered, _Core()).documents()
    if len(documents) > 1:
        raise DocumentError(f"{source}: expected one document, found {len(documents)}: take out the lines of ---")
    return documents[0] if documents else Yaml(None)


def parse_compiled(text: str, source: str) -> list[Any]:
    """Returns the documents of a compiled pipeline that hold anything, as PyYAML and so KFP reads them (YAML 1.1)."""
    return [document.value for document in parse_compiled_lines(text, source)]


def parse_compiled_lines(text: str, source: str) -> list[Yaml]:
    """Returns what `parse_compiled` does, with the lines."""
    documents = _Builder(text, source, True, _Scalars()).documents()
    return [document for document in documents if document.value]


class _Scalars(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """What plain scalars are to PyYAML, which reads what it writes: YAML 1.1."""

    tags = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "binary", "timestamp"))

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)

    def value(self, tag: str, text: str) -> Any:
        """Returns what a scalar of a tag holds; a ValueError or the like if nothing, an OverflowError if too much."""
        if tag in _NUMBERS and len(text) > LONGEST_NUMBER:
            raise OverflowError(text)
        value = self.yaml_constructors[tag](self, yaml.ScalarNode(tag, text))
        if (isinstance(value, int) and value not in _INTEGERS) or (
            isinstance(value, float) and math.isinf(value) and "inf" not in text.lower()
        ):
            raise OverflowError(text)
        return value


class _Core(_Scalars):
    """What plain scalars are to editors (YAML 1.2): `no`, `12:30`, `2024-01-01` are text, `1e-3` is a number."""

    tags = frozenset(_TAG + name for name in ("null", "bool", "int", "float"))
    patterns: ClassVar[dict[str, re.Pattern[str]]] = {}

    def value(self, tag: str, text: str) -> Any:
        if not self.patterns[tag].fullmatch(text):
            raise ValueError(text)
        return super().value(tag, text)


_Core.yaml_implicit_resolvers = {}
for _name, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
]:
    _Core.patterns[_TAG + _name] = re.compile(_pattern)
    _Core.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), list(_first))
_Core.add_constructor(f"{_TAG}int", lambda _, node: int(node.value))
_Core.add_constructor(f"{_TAG}float", lambda _, node: float(re.sub(r"\.(?=[in])", "", node.value.lower())))


@dataclass
class _Node:
    """A value, how many values are in it, and how deep they are."""

    value: Any
    count: int = 1
    height: int = 0


@dataclass
class _Open(_Node):
    """A list or mapping whose end has not been met yet; `key` is that of the next value of a mapping."""

    location: Location = ()
    anchor: str | None = None
    key: str | None = None
    height: int = 1

    @property
    def awaits_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None

    @property
    def next(self) -> Location:
        """Where the next value stands."""
        return (*self.location, len(self.value) if self.key is None else self.key)


class _Builder:
    """Builds the documents of a text from the parser's events."""

    def __init__(self, text: str, source: str, numbered: bool, scalars: _Scalars):
        self._text, self._source, self._numbered, self._scalars = text, source, numbered, scalars
        self._documents: list[Yaml] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node] = {}
        self._count = 0
        self._line = 1

    def documents(self) -> list[Yaml]:
        forbidden = _FORBIDDEN.search(self._text)
        if forbidden:
            self._line += self._text.count("\n", 0, forbidden.start())
            raise self._error(f"found {_named(forbidden[0])}, which no YAML may hold: remove it")
        try:
            for event in yaml.parse(self._text, _PARSER):
                self._line = event.start_mark.line + 1 if event.start_mark else self._line
                self._take(event)
        except yaml.YAMLError as error:
            raise self._no_yaml(error) from None
        return self._documents

    def _take(self, event: yaml.Event) -> None:
        parent = self._open[-1] if self._open else None
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents.append(Yaml(None))
            self._anchors = {}
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self._open.pop()
            self._mark(node.anchor, node)
            self._put(node)
        elif not isinstance(event, yaml.NodeEvent):
            return
        elif parent and parent.awaits_key:
            self._begin_entry(parent, event)
        else:
            if parent and isinstance(parent.value, list):
                self._documents[-1].lines[parent.next] = self._line
            if isinstance(event, yaml.CollectionStartEvent):
                self._begin(parent, event)
            else:
                whole = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else self._aliased(event.anchor)
                self._counted(whole.count)
                self._put(whole)

    def _begin(self, parent: _Open | None, event: yaml.CollectionStartEvent) -> None:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in (None, "!", f"{_TAG}{'seq' if is_list else 'map'}"):
            raise self._error(_unknown(event.tag))
        if len(self._open) == DEEPEST:
            raise self._error(TOO_DEEP)
        self._counted(1)
        self._open.append(_Open([] if is_list else {}, location=parent.next if parent else (), anchor=event.anchor))

    def _begin_entry(self, parent: _Open, event: yaml.NodeEvent) -> None:
        """Takes the key of a mapping: text as it is written, for JSON and protobuf have no other."""
        key = self._aliased(event.anchor).value if isinstance(event, yaml.AliasEvent) else getattr(event, "value", None)
        if not isinstance(key, str):
            raise self._error("a key is a list or a mapping: expected text; a template's {{ }} stands in quotes")
        self._require_usable(key)
        lines, location = self._documents[-1].lines, (*parent.location, key)
        if key in parent.value:
            first = f", first in line {lines[location]}" if self._numbered else ""
            raise self._error(f"key {key!r} is here again{first}")
        lines[location] = self._line
        parent.key = key
        if isinstance(event, yaml.ScalarEvent):
            self._mark(event.anchor, _Node(key))

    def _aliased(self, name: str | None) -> _Node:
        if name is None or name not in self._anchors:
            raise self._error(f"no value above is marked &{name}; text that begins with * stands in quotes")
        node = self._anchors[name]
        return _Node(_copied(node.value), node.count, node.height)

    def _scalar(self, event: yaml.ScalarEvent) -> _Node:
        text: str = event.value
        tag: str = event.tag or self._scalars.resolve(yaml.ScalarNode, text, event.implicit)  # type: ignore[no-untyped-call]
        self._require_usable(text)
        node = _Node(text)
        if tag not in _TEXT:
            if tag not in self._scalars.tags:
                raise self._error(_unknown(tag))
            try:
                node.value = self._scalars.value(tag, text)
            except OverflowError:
                raise self._error(f"{printable.value(text)} is too large for a number; text stands in quotes") from None
            except (ValueError, LookupError, TypeError, AttributeError):  # whatever PyYAML's constructors raise
                raise self._error(f"{printable.value(text)} is no {_short(tag)}; text stands in quotes") from None
        self._mark(event.anchor, node)
        return node

    def _mark(self, anchor: str | None, node: _Node) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _put(self, node: _Node) -> None:
        """Puts a whole value where it stands."""
        if not self._open:
            self._documents[-1].value = node.value
            return
        parent = self._open[-1]
        if len(self._open) + node.height > DEEPEST:
            raise self._error(TOO_DEEP)
        parent.count += node.count
        parent.height = max(parent.height, node.height + 1)
        if parent.key is None:
            parent.value.append(node.value)
        else:
            parent.value[parent.key] = node.value
            parent.key = None

    def _counted(self, count: int) -> None:
        self._count += count
        if self._count > MOST_VALUES:
            raise self._error(_TOO_MANY)

    def _require_usable(self, text: str) -> None:
        unusable = _UNUSABLE.search(text)
        if unusable:
            raise self._error(f"found {_named(unusable[0])}, which no program can be given: remove it")

    def _error(self, problem: str) -> DocumentError:
        line = f":{self._line}" if self._numbered else ""
        return DocumentError(f"{self._source}{line}: {problem}")

    def _no_yaml(self, error: yaml.YAMLError) -> DocumentError:
        if len(self._text) <= _RETOLD:
            try:
                list(yaml.parse(self._text, yaml.SafeLoader))
            except yaml.YAMLError as retold:
                error = retold
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        wrong = ""
        if mark:
            self._line = mark.line + 1
            line = "".join(self._text.split("\n")[mark.line : self._line])  # none after the end
            wrong = line[mark.column : mark.column + 1]
        hint = "; lines begin with spaces, not with tabs" if wrong == "\t" else ""
        if wrong == "%" or self._text.startswith("%"):  # a date's format
            hint = "; text that begins with % stands in quotes"
        return self._error(f"this is not YAML: {getattr(error, 'problem', None) or error}{hint}")


def _copied(value: Any) -> Any:
    """Returns a value that may be changed without the one it stands for; it is not deep."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _unknown(tag: str) -> str:
    return f"unknown tag {_short(tag)}: expected plain YAML, without it"


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag


def _named(character: str) -> str:
    return f"the character U+{ord(character):04X}"
