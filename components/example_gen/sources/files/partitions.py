"""Folders named `key=value`, as Hive, Spark and their kin write them: each key is a column of the files in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow as pa

from penstock.components.example_gen.sources.columns import Kind
from penstock.core.errors import ConfigError, DataError
from penstock.core.files.data_files import DataFile

_NULL = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True)
class Partitions:
    """The keys that all files have, and what their values are; of data that is not divided so, none.

    Values are integers where all files have such, else text; what stands for a missing value is null.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    root: str = ""

    @classmethod
    def of(cls, files: Sequence[DataFile], root: str) -> "Partitions":
        """Looks at the names of files below `root`; a DataError for one that has other keys than the first."""
        first = _values(str(files[0]), root)
        integers = dict.fromkeys(first, True)
        for file in files:
            values = _values(str(file), root)
            if list(values) != list(first):
                raise DataError(
                    f"{file}: expected the partitions of {files[0]}, {_listed(first)}, found {_listed(values)}"
                )
            for key, value in values.items():
                integers[key] = integers[key] and (value is None or bool(_INTEGER.fullmatch(value)))
        return cls({key: "integers" if whole else "bytes" for key, whole in integers.items()}, root)

    def only(self, names: Sequence[str]) -> "Partitions":
        """Returns those of them that are asked for."""
        return replace(self, kinds={key: kind for key, kind in self.kinds.items() if key in names})

    def columns(self, name: str, rows: int) -> dict[str, pa.Array]:
        """Returns the columns of some rows of a file."""
        columns = {}
        values = _values(name, self.root) if self.kinds else {}
        for key in self.kinds:
            value = values[key]
            if self.kinds[key] == "integers":
                columns[key] = pa.repeat(pa.scalar(None if value is None else int(value), pa.int64()), rows)
            else:
                columns[key] = pa.repeat(pa.scalar(value, pa.string()), rows)
        return columns

    def check_columns(self, names: Sequence[str]) -> None:
        """Raises a ConfigError if all columns that are asked for are partitions, which have no rows."""
        if names and all(name in self.kinds for name in names):
            raise ConfigError(
                f"columns (data.columns): expected one of the files' own beside the partitions, received {names[0]!r}"
            )

    def check_beside(self, names: Sequence[str], file: DataFile) -> None:
        """Raises a DataError if a file has a column of a partition's name."""
        for key in self.kinds:
            if key in names:
                raise DataError(f"{file}: expected {key!r} in the folder's name alone, found a column of that name too")


def _values(name: str, root: str) -> dict[str, str | None]:
    """Returns the keys and values in a file's name: those below the root, and at the root's own end."""
    parts = list(PurePosixPath(name.removeprefix(f"{root.rstrip('/')}/")).parts[:-1]) if root else []
    for part in reversed(PurePosixPath(root).parts):
        if "=" not in part:
            break
        parts.insert(0, part)
    pairs = [part.partition("=") for part in parts if "=" in part]
    return {unquote(key): None if value == _NULL else unquote(value) for key, _, value in pairs}


def _listed(keys: Sequence[str] | Mapping[str, object]) -> str:
    return "/".join(f"{key}=…" for key in keys) or "none"
