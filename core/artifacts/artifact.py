"""What every artifact has: its folder, its splits, its metadata; and what an executor returns of its outputs."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from penstock.core.errors import ConfigError, DataError, UserError

# Written into the metadata of every artifact: TFX takes one without it for older than 0.29, with another layout.
TFX_VERSION = "1.21.0"

_SPLIT_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")

type Property = str | int | float

type Metadata = dict[str, Property]  # of an artifact, by name: what ML Metadata can hold


def metadata(*, split_names: Iterable[str] | None = None, **properties: Property) -> Metadata:
    """Returns the metadata of an artifact as TFX writes it: with its version, and `split_names` as a JSON list."""
    splits: Metadata = {} if split_names is None else {"split_names": json.dumps(list(split_names))}
    return {"tfx_version": TFX_VERSION, **splits, **properties}


def split_names(properties: Mapping[str, Property]) -> list[str]:
    """Returns the split names in the metadata of an artifact; a KeyError if it has none."""
    return list(json.loads(str(properties["split_names"])))


def check_split_name(name: str) -> str:
    """Returns the name; a UserError if it does not consist of letters, digits, `-` and `_`."""
    if not _SPLIT_NAME.match(name):
        raise UserError(f"split name: expected letters, digits, '-' and '_', received {name!r}")
    return name


@dataclass(frozen=True)
class TaskResult:
    """What an executor returns: the metadata of each of its task's outputs, by the output's name."""

    metadata: dict[str, Metadata]


@dataclass(frozen=True)
class GateResult(TaskResult):
    """What the executor of a gate returns: also whether the pipeline may go on."""

    blessed: bool


@dataclass(frozen=True)
class Artifact:
    """An artifact's folder."""

    root: Path


@dataclass(frozen=True)
class SplitArtifact(Artifact):
    """An artifact with one folder for each split: `Split-<name>/`."""

    SPLIT: ClassVar[str] = "Split-"

    def splits(self) -> list[str]:
        """Returns the names of the splits, sorted."""
        folders = (path.name for path in self.root.glob(f"{self.SPLIT}*") if path.is_dir())
        return sorted(name.removeprefix(self.SPLIT) for name in folders)

    def split(self, name: str) -> Path:
        """Returns the split's folder, whether it exists or not."""
        return self.root / f"{self.SPLIT}{name}"

    def included(
        self, properties: Mapping[str, Property], exclude: Iterable[str] = (), strict: bool = False
    ) -> list[str]:
        """Returns the splits without the excluded ones, in the order of `split_names` in the metadata, else by name.

        Raises a ConfigError if none is left and, if `strict`, if an excluded split does not exist.
        """
        names = split_names(properties) if properties.get("split_names") else self.splits()
        self.require_splits(names)
        existing = ", ".join(names) or "none"
        unknown = [name for name in exclude if name not in names]
        if unknown and strict:
            raise ConfigError(f"exclude_splits: split {unknown[0]!r} does not exist: expected some of {existing}")
        included = [name for name in names if name not in set(exclude)]
        if not included:
            raise ConfigError(f"exclude_splits: no split is left: there are {existing}")
        return included

    def require_splits(self, names: Iterable[str]) -> None:
        """Raises a DataError that lists the existing splits if one of `names` is missing."""
        missing = [name for name in names if name not in self.splits()]
        if missing:
            existing = ", ".join(self.splits()) or "none"
            raise DataError(f"split {missing[0]!r} does not exist: expected one of {existing}")
