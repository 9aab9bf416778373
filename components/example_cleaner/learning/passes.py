"""Passes over the shards, until all rules know what they need to know.

A rule learns from rows to which the rules before it were applied. Rules that do not depend on one another learn in the
same pass.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.example_cleaner import partitions
from penstock.components.example_cleaner.learning import duplicates, learners, modes, quantiles
from penstock.components.example_cleaner.learning.learners import Spill
from penstock.components.example_cleaner.shards import Application, Plan, Shard
from penstock.core import progress
from penstock.core.cleaning.rules import Duplicates, Missing, MissingValues, Outliers, Rule, Type
from penstock.core.errors import DataError


@dataclass(frozen=True)
class Pass:
    """The places of rules that learn in one pass, and of those that are applied to the rows on the way to them."""

    learning: tuple[int, ...]
    applied: tuple[int, ...]


def learn(plan: Plan, shards: Sequence[Shard], train: Sequence[str], engine: Engine, scratch: Path) -> Plan:
    """Returns the plan with all that its rules have to know; files of it are in `scratch`.

    Raises a DataError if the train splits have no value to learn from.
    """
    count = partitions.count([shard.file for shard in shards])
    rules = plan.cleaning.rules
    for number, one in enumerate(passes(rules), start=1):
        progress.say(f"pass {number} over the rows: {', '.join(rules[index].name for index in one.learning)}")
        everywhere = any(learners.learns_of_all_splits(rules[index]) for index in one.learning)
        looked_at = [shard for shard in shards if everywhere or shard.split in train]
        collect = partial(_collect, plan=plan, one=one, train=tuple(train), scratch=scratch, count=count)
        of_shards = engine.map(collect, looked_at)
        learned = {}
        for index in one.learning:
            parts = [part[index] for part in of_shards if index in part]
            types = plan.cleaning.types_before[index]
            folder = scratch / f"rule{index:03d}-found"
            learned[index] = _Finishing(rules[index], types, engine, folder, count, shards).finish(parts)
        plan = plan.known(learned)
    return plan


def passes(rules: Sequence[Rule]) -> Iterator[Pass]:
    """Yields the passes until every rule has learned."""
    left = [index for index, rule in enumerate(rules) if rule.learns]
    while left:
        one = _next(rules, left)
        yield one
        left = [index for index in left if index not in one.learning]


def _next(rules: Sequence[Rule], left: Sequence[int]) -> Pass:
    """Returns the pass in which rules learn whose rows do not depend on what another one has yet to learn."""
    learning, applied = list[int](), list[int]()
    unknown: set[str] = set()  # columns that depend on it
    for index, rule in enumerate(rules):
        depends = bool(unknown) and (_reads_all(rule) or bool(unknown & {*rule.reads, *rule.flags}))
        if not depends:
            (learning if index in left else applied).append(index)
        if index in left or depends:
            if rule.drops:
                break
            unknown |= {*rule.columns, *rule.reads, *rule.flags}
    return Pass(tuple(learning), tuple(index for index in applied if index < learning[-1]))


def _collect(shard: Shard, plan: Plan, one: Pass, train: Sequence[str], scratch: Path, count: int) -> dict[int, Any]:
    """Returns what rules collect of a shard, by their places."""
    rules = plan.cleaning.rules
    collecting = {
        index: learners.learner(rules[index], Spill(scratch, index, shard, count))
        for index in one.learning
        if shard.split in train or learners.learns_of_all_splits(rules[index])
    }
    application = Application(plan, shard)
    for _, rows in shard.batches(_needed(plan, one)):
        rows.records = False
        for index in sorted({*one.applied, *collecting}):
            if index in collecting:
                collecting[index].add(rows)
            else:
                application.apply(index, rows)
    return {index: learner.result() for index, learner in collecting.items()}


def _needed(plan: Plan, one: Pass) -> dict[str, Type] | None:
    """Returns the columns that a pass looks at, with their types; None of one that looks at all."""
    rules = [plan.cleaning.rules[index] for index in (*one.learning, *one.applied)]
    if any(map(_reads_all, rules)):
        return None
    types = plan.cleaning.types
    return {name: types[name] for rule in rules for name in (*rule.reads, *rule.columns) if name in types}


def _reads_all(rule: Rule) -> bool:
    return isinstance(rule, Duplicates | MissingValues) and not rule.columns


@dataclass(frozen=True)
class _Finishing:
    """Makes of what shards have collected what a rule has to know."""

    rule: Rule
    types: Mapping[str, Type | None]
    engine: Engine
    folder: Path
    partitions: int
    shards: Sequence[Shard]

    def finish(self, parts: Sequence[Any]) -> Any:
        match self.rule:
            case Duplicates() as rule:
                files = list(chain.from_iterable(parts))
                dropped = duplicates.Dropped(rule, files, self.folder)
                return self.engine.map(dropped, range(self.partitions)) if files else []
            case Missing(action="drop_column") as rule:
                return self._shares(rule, parts)
            case Missing(action="previous"):
                return self._before(parts)
            case Missing(action="mode") as rule:
                return {column: self._mode(column, parts) for column in rule.columns}
            case Missing() as rule:
                return {column: self._median(column, parts) for column in rule.columns}
            case Outliers() as rule:
                return {column: self._bounds(rule, column, parts) for column in rule.columns}
        raise AssertionError(self.rule)

    def _shares(self, rule: Missing, parts: Sequence[tuple[int, dict[str, int]]]) -> dict[str, Any]:
        rows = sum(count for count, _ in parts)
        shares = {column: sum(missing[column] for _, missing in parts) / max(rows, 1) for column in rule.columns}
        return {column: {"missing": share, "dropped": share > rule.above} for column, share in shares.items()}

    def _before(self, parts: Sequence[dict[str, pa.Scalar]]) -> list[dict[str, pa.Scalar]]:
        """Returns the last values before each shard, in its split."""
        before, last = [], dict[str, dict[str, pa.Scalar]]()
        for shard, part in zip(self.shards, parts, strict=True):
            of_split = last.setdefault(shard.split, {})
            before.append(dict(of_split))
            of_split.update(part)
        return before

    def _mode(self, column: str, parts: Sequence[Mapping[str, list[Path]]]) -> Any:
        files = [path for part in parts for path in part[column]]
        if not files:
            raise self._nothing(column)
        found = functools.reduce(modes.better, self.engine.map(modes.Most(files), range(self.partitions)))
        assert found is not None
        value = found[1]
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise DataError(f"rule {self.rule.name!r}: the mode of {column!r} is no text in UTF-8") from None
        return value

    def _sorted(self, column: str, parts: Sequence[Mapping[str, list[Path]]]) -> quantiles.Sorted:
        files = [path for part in parts for path in part[column]]
        if not files:
            raise self._nothing(column)
        return quantiles.Sorted(files)

    def _median(self, column: str, parts: Sequence[Mapping[str, list[Path]]]) -> int | float:
        """Returns the median; of whole numbers a whole one, halves to the even one."""
        median = self._finite(column, [self._sorted(column, parts).quantile(0.5)])[0]
        return round(median) if self.types.get(column) == "integer" else median

    def _bounds(self, rule: Outliers, column: str, parts: Sequence[Mapping[str, list[Path]]]) -> list[float]:
        values = self._sorted(column, parts)
        if rule.method == "quantiles":
            bounds = [values.quantile(rule.low), values.quantile(rule.high)]
        else:
            median = values.quantile(0.5)
            files = [path for part in parts for path in part[column]]
            away = quantiles.Sorted(self.engine.map(partial(quantiles.deviations, centre=median), files))
            reach = rule.deviations * quantiles.MAD_SCALE * away.quantile(0.5)
            bounds = [median - reach, median + reach]
        return self._finite(column, bounds)

    def _finite(self, column: str, learned: list[float]) -> list[float]:
        if not np.isfinite(learned).all():
            raise DataError(
                f"rule {self.rule.name!r}: column {column!r} has infinite numbers, and so is what is learned of it: "
                "expected a rule `range` before it"
            )
        return learned

    def _nothing(self, column: str) -> DataError:
        return DataError(
            f"rule {self.rule.name!r}: column {column!r} has no value in the train splits, so nothing can be learned "
            "of it: expected one at least, or another rule, such as the action drop_column or constant"
        )
