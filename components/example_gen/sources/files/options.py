"""What a person may ask of files of any format with columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.arguments import check_strings, parse_object
from penstock.core.errors import ConfigError

KEYS = ("columns", "partitions")
_WHERE = "file_options (data)"
HIVE = "hive"


@dataclass(frozen=True)
class FileOptions:
    """What is read of files.

    Args:
        columns: The columns to read, in this order; none for all.
        partitions: Whether the folders `key=value` that files are in are columns.
    """

    columns: tuple[str, ...] = ()
    partitions: bool = False

    @classmethod
    def from_json(cls, text: str, where: str = _WHERE) -> "FileOptions":
        """Reads the options; a ConfigError names an unknown one or a value that cannot be."""
        return cls.of(where, parse_object(where, text, KEYS))

    @classmethod
    def of(cls, where: str, values: Mapping[str, Any]) -> "FileOptions":
        """Reads those of an object's items that are such options."""
        columns = check_strings(f"{where}: columns", values.get("columns") or [], "names")
        twice = [name for place, name in enumerate(columns) if name in columns[:place]]
        if twice:
            raise ConfigError(f"{where}: columns: expected different names, received {twice[0]!r} twice")
        partitions = values.get("partitions") or ""
        if partitions not in ("", HIVE):
            raise ConfigError(f"{where}: partitions: expected {HIVE}, received {partitions!r}")
        return cls(tuple(columns), bool(partitions))


def refuse(text: str, format_: str) -> None:
    """Raises a ConfigError if there are options for files of a format without columns."""
    if FileOptions.from_json(text) != FileOptions():
        raise ConfigError(f"{_WHERE}: expected neither columns nor partitions for {format_} files")


def chosen(names: Sequence[str], options: FileOptions) -> list[str]:
    """Returns those of a file's columns that are read, in the order that is asked for."""
    return [name for name in options.columns if name in names] if options.columns else list(names)
