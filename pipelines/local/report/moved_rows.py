"""What moves rows to other splits, told by comparison with the run before: metrics are then not those of the same rows.

ExampleGen's metadata says how it divided the rows and of which types the columns were. What is compared depends on what
decides a row's split: all of its columns, the partition feature, or its place.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.artifacts import Examples
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import Artifact, RunRecord

_SHOWN = 3  # columns in a sentence
_KEPT = "rows keep their split with splits: {by: row}, which asks for their place alone"


@dataclass(frozen=True)
class Division:
    """How a run divided its rows, and the types of its columns; no types where the metadata could not hold them."""

    shares: tuple[tuple[str, int], ...]
    by: str
    partition_feature: str
    seed: int
    stratify: str
    types: Mapping[str, str]

    @classmethod
    def of(cls, artifact: Artifact) -> "Division | None":
        """Reads the metadata of examples; None of those that do not tell, or that kept the splits of their data."""
        try:
            division: dict[str, Any] = json.loads(artifact.metadata[Examples.DIVISION])
            types: dict[str, str] = json.loads(artifact.metadata.get(Examples.COLUMN_TYPES, "{}"))
            shares = tuple(division["splits"].items())
            return cls(
                shares, division["by"], division["partition_feature"], division["seed"], division["stratify"], types
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    @property
    def method(self) -> str:
        """What decides a row's split, in the configuration's words."""
        if self.partition_feature:
            return f"partition_feature: {self.partition_feature}"
        chance = f", seed: {self.seed}" + (", stratify: true" if self.stratify else "") if self.by == "random" else ""
        return f"by: {self.by}{chance}"

    def asks_for(self, column: str) -> bool:
        """Whether the values of a column have a part in deciding a row's split."""
        if self.partition_feature or self.by != "content":
            return column in (self.partition_feature, self.stratify)
        return True

    @property
    def hash_buckets(self) -> str:
        """The splits' shares, in the configuration's words."""
        return "{" + ", ".join(f"{name}: {buckets}" for name, buckets in self.shares) + "}"


def warnings(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yields the name of a task and a sentence for each thing that moved rows since the newest earlier run."""
    for artifact in run.made("examples"):
        now = Division.of(artifact)
        if now is None:
            continue
        for earlier in record.earlier(run.folder.parent, run.name):
            if earlier.folder.name >= run.folder.name:
                continue
            divisions = (
                Division.of(before) for before in earlier.made("examples") if before.task.name == artifact.task.name
            )
            before = next(divisions, None)
            if before is not None:
                yield from ((artifact.task.name, sentence) for sentence in compare(before, now, earlier.folder.name))
                break


def compare(before: Division, now: Division, run: str) -> Iterator[str]:
    """Yields what has changed since `run` that moves rows to other splits, and what would have kept them in place."""
    if now.method != before.method:
        yield (
            f"the rows are divided {{{now.method}}}, and were {{{before.method}}} in {run}: rows of one split are in "
            "another now, so metrics are not those of the same rows"
        )
        return
    if now.shares != before.shares:
        same = sorted(now.shares) == sorted(before.shares)
        yield (
            f"splits.hash_buckets are {now.hash_buckets}, and were {before.hash_buckets} in {run}: rows of one split "
            "are in another now"
            + ("; their order counts, as in TFX, and the earlier one keeps the rows in place" if same else "")
        )
    changes = list(_changes(before, now)) if before.types and now.types else []
    if changes:
        listed = ", ".join(changes[:_SHOWN]) + (f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else "")
        way = f"; {_KEPT}" if now.by == "content" and not now.partition_feature else ""
        yield (
            f"since {run}, {listed}: a row's split is the hash of what it holds, so rows of one split are in another "
            f"now{way}"
        )


def _changes(before: Division, now: Division) -> Iterator[str]:
    """Yields the changes of the columns that decide a row's split."""
    for name in sorted(before.types.keys() | now.types.keys()):
        then, kind = before.types.get(name), now.types.get(name)
        if then == kind or not now.asks_for(name):
            continue
        if kind is None:
            yield f"column {name!r} is gone"
        elif then is None:
            yield f"column {name!r} is new"
        else:
            yield f"column {name!r} is {kind or 'empty'} and was {then or 'empty'}"
