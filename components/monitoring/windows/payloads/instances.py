"""What an instance of a request looks like: where in it the features are, and how they are called."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.components.monitoring.windows.payloads.exchange import Unreadable
from penstock.core.arguments import check_object, check_string, check_strings, parse_object
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

B64 = "b64"
_EXAMPLE = '{"columns": ["miles", "hour"], "path": "data.features", "names": {"Trip Miles": "miles"}}'
SERIALIZED = "examples"  # what an input of serialized tf.Examples is called here
_WITHOUT = "a request of none of the schema's features"
_NESTED = "an instance without the object that `instances.path` names"
_TWICE = "a request that has a feature under two names"
_VALUES = "an instance of another number of values than there are columns"


@dataclass(frozen=True)
class Instances:
    """How features are read from an instance.

    Args:
        known: The names that a feature may have.
        columns: The features of an instance that is a list, of a line of CSV without a header, or of a tensor with a
            row for each instance, in this order.
        path: The keys that lead to the features in an instance, from the outermost.
        names: The schema's name of a feature by the one that requests have.
    """

    known: frozenset[str]
    columns: Sequence[str]
    path: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: str, features: Sequence[str], others: frozenset[str] = frozenset()) -> "Instances":
        """Returns what instances look like by settings in JSON, "" for none: `columns`, `path` and `names`.

        `features` are the schema's in its order, which is that of columns by default; `others` are names of what is no
        news in requests. Raises a ConfigError for settings that do not fit.
        """
        items = parse_object("instances", settings, ("columns", "path", "names"), _EXAMPLE)
        columns = check_strings("instances.columns", items.get("columns") or [*features], "features")
        names = {
            sent: check_string(f"instances.names.{sent}", name, "a feature")
            for sent, name in check_object("instances.names", items.get("names") or {}).items()
        }
        known = (others | {*features}) - {""}  # which would be the name of an empty cell
        for where, name in [*(("columns", one) for one in columns), *(("names", one) for one in names.values())]:
            if names.get(name, name) not in known:
                raise ConfigError(f"instances.{where}: {name!r} is not in the schema; {did_you_mean(name, features)}")
        path = items.get("path") or ""
        return cls(known, columns, check_string("instances.path", path, "keys").split(".") if path else (), names)

    def name(self, sent: str) -> str:
        """Returns the schema's name of a feature."""
        return self.names.get(sent, sent)

    def of_rows(self, rows: Sequence[object]) -> dict[str, list[Any]]:
        """Returns the values of instances by feature, None where an instance has none.

        Serialized tf.Examples are the values of SERIALIZED. Raises Unreadable.
        """
        inner = [self._inner(row) for row in rows]
        if inner and all(map(self._is_serialized, inner)):
            return {SERIALIZED: [bytes_of(_only(row)) for row in inner]}
        objects = [self._object(row) for row in inner]
        return {name: [row.get(name) for row in objects] for name in dict.fromkeys(_keys(objects))}

    def of_columns(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Returns columns with the schema's names; the only one may be of serialized tf.Examples. Raises Unreadable."""
        if len(columns) == 1:
            ((name, values),) = columns.items()
            if self.name(name) not in self.known:
                return self.of_rows(values)
        self._require_known(columns)
        return self._renamed(columns)

    def _inner(self, row: object) -> object:
        for key in self.path:
            if not isinstance(row, dict) or key not in row:
                raise Unreadable(_NESTED, printable.value(row))
            row = row[key]
        return row

    def _is_serialized(self, row: object) -> bool:
        """Whether a row is a serialized tf.Example: bytes, alone or as the only input, whatever that is called."""
        if isinstance(row, bytes):
            return True
        if is_b64(row):
            return B64 not in self.known
        return isinstance(row, dict) and len(row) == 1 and not self.known & row.keys() and is_b64(_only(row))

    def _object(self, row: object) -> Mapping[str, Any]:
        if isinstance(row, dict):
            self._require_known(row)
            return self._renamed(row)
        values = row if isinstance(row, list) else [row]
        if len(values) != len(self.columns):
            raise Unreadable(_VALUES, f"{len(values)} for {len(self.columns)}")
        return self._renamed(dict(zip(self.columns, values, strict=True)))

    def _renamed[Value](self, sent: Mapping[str, Value]) -> dict[str, Value]:
        """Returns values by the schema's names."""
        renamed = {self.name(name): value for name, value in sent.items()}
        if len(renamed) < len(sent):
            raise Unreadable(_TWICE, printable.value([*sent]))
        return renamed

    def _require_known(self, sent: Mapping[str, Any]) -> None:
        if not any(self.name(name) in self.known for name in sent):
            raise Unreadable(_WITHOUT, printable.value(list(sent)))


def is_b64(value: object) -> bool:
    """Whether a value is bytes as JSON has them."""
    return isinstance(value, dict) and [*value] == [B64]


def bytes_of(value: object) -> bytes:
    """Returns the bytes of what JSON has as base64; of what is none, its text."""
    text = value[B64] if isinstance(value, dict) else value
    if isinstance(text, bytes):
        return text
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return str(text).encode(errors="replace")


def _only(row: object) -> object:
    """Returns the value of the only input, which is the row itself if it has no input's name."""
    return next(iter(row.values())) if isinstance(row, dict) and not is_b64(row) else row


def _keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for row in rows for name in row]
