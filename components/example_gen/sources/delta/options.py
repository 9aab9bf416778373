"""What the source of Delta tables is given, and what it fixes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from penstock.core.arguments import check_list, check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.files import documents

_KEYS = ("path", "version", "timestamp", "filters", "columns")
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in")

type Filter = tuple[str, str, Any]


@dataclass(frozen=True)
class DeltaOptions:
    """Which table, and of it which version, rows and columns. The filters hold together, one and all."""

    path: str
    version: int | None = None
    timestamp: str = ""
    filters: tuple[Filter, ...] = ()
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options; a ConfigError for what does not fit."""
        given = check_object("delta", dict(options), _KEYS)
        if "version" in given and "timestamp" in given:
            raise ConfigError("delta: expected either version or timestamp, received both")
        return cls(
            check_string("delta.path", given.get("path"), "the folder of a table").rstrip("/"),
            check_whole_number("delta.version", given["version"]) if "version" in given else None,
            check_string("delta.timestamp", given["timestamp"], "a time") if "timestamp" in given else "",
            filters("delta.filters", given.get("filters", [])),
            tuple(check_strings("delta.columns", given.get("columns", []))),
        )


@dataclass(frozen=True)
class Pinned:
    """What stands for the same rows again, as a split's pattern has it: a version, and the split's own filters."""

    version: int
    filters: tuple[Filter, ...] = ()

    def text(self) -> str:
        """Returns it as a pattern."""
        return documents.json_text({"version": self.version, "filters": list(map(list, self.filters))})

    @classmethod
    def parse(cls, pattern: str) -> Self:
        """Reads a pattern."""
        given = check_object("resolved_input", documents.parse_json(pattern), ("version", "filters"))
        version = check_whole_number("resolved_input.version", given.get("version"))
        return cls(version, filters("resolved_input.filters", given.get("filters", [])))


def filters(where: str, value: Any) -> tuple[Filter, ...]:
    """Reads filters: lists of a column, an operator and a value."""
    found = []
    for index, item in enumerate(check_list(where, value)):
        own = f"{where}[{index}]"
        if not (isinstance(item, list) and len(item) == 3 and isinstance(item[0], str)):
            raise ConfigError(f'{own}: expected a column, an operator and a value, ["fare", ">", 3], received {item!r}')
        column, operator, operand = item
        if operator not in _OPERATORS:
            raise ConfigError(f"{own}: expected one of {', '.join(_OPERATORS)}, received {operator!r}")
        if ("in" in operator) != isinstance(operand, list):
            raise ConfigError(f"{own}: expected a list of values with in and not in alone, received {operand!r}")
        found.append((column, operator, operand))
    return tuple(found)
