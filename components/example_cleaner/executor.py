"""ExampleCleaner: learns what rules need to know, applies them shard by shard, and keeps what was changed."""

import contextlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import pandas  # noqa: F401  Arrow imports it on first use: here once, else in every worker that is forked

from penstock.components.engines import Engine, open_engine
from penstock.components.example_cleaner import limits, references
from penstock.components.example_cleaner import report as report_page
from penstock.components.example_cleaner.learning import passes
from penstock.components.example_cleaner.shards import Plan, Shard
from penstock.components.example_cleaner.survey import Survey, survey
from penstock.components.example_cleaner.writing import Counted, Writer
from penstock.core import artifacts, progress
from penstock.core.artifacts import DataCleaning, Examples, Property, Quarantine, TaskResult
from penstock.core.cleaning import cleaning as cleaning_
from penstock.core.cleaning import fitting, parsing
from penstock.core.cleaning.rules import Rule
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import payloads
from penstock.core.files import atomic

logger = logging.getLogger(__name__)
_KEPT = ("span", "version", "payload_format", "file_format", "input_fingerprint", "spans")  # of the metadata


def run(
    *,
    cleaned_examples: str,
    quarantine: str,
    cleaning: str,
    report: str = "",
    examples: str,
    rules: str,
    train_splits: Sequence[str] = (),
    label: str = "",
    max_quarantined: float = 0.1,
    max_changed: float = 1.0,
    engine: str = "local",
    examples_metadata: Mapping[str, Property] | None = None,
) -> TaskResult:
    """Writes the cleaned examples, the quarantine, cleaning.json and the page; component.py describes the arguments.

    Raises a ConfigError for rules that are wrong in themselves, a DataError for those that do not fit the data, and
    for more dropped or changed rows than may be: then there are no cleaned examples, but the quarantine and the page.
    """
    source, target = Examples(Path(examples)), Path(cleaned_examples)
    properties = dict(examples_metadata or {})
    read = parsing.parse(rules, label)
    _check(properties, max_quarantined=max_quarantined, max_changed=max_changed)
    splits = source.included(properties)
    train = list(train_splits) or ["train"]
    source.require_splits(train)
    with (
        progress.task("ExampleCleaner") as counts,
        open_engine(engine, target) as opened,
        atomic.scratch(target) as scratch,
    ):
        shards = _shards(source, splits)
        known = _surveyed(opened, shards)
        fitting.check(read, known.types)
        types = {name: kind for name, kind in sorted(known.types.items()) if kind is not None}
        plan = Plan(cleaning_.of(read, types), references=references.fetch(read, scratch))
        plan = passes.learn(plan, shards, train, opened, scratch)
        limit = partial(limits.check, label=label, max_quarantined=max_quarantined, max_changed=max_changed)
        counted, problem = _write(opened, plan, shards, splits, target, Quarantine(Path(quarantine)), limit)
        if report:
            report_page.write(Path(report), plan.cleaning, counted, problem)
        if problem:
            logger.error("what was changed and dropped is in %s", quarantine)
            raise problem
        looked_up = references.learned(read, plan.references)
        plan.cleaning.with_learned(looked_up).write(DataCleaning(Path(cleaning)).path)
        counts.show(rows=counted.rows.total(), **{"dropped rows": counted.dropped.total()})
    return _result(properties, splits, counted, DataCleaning(Path(cleaning)))


def _check(properties: Mapping[str, Property], **shares: float) -> None:
    """Raises a ConfigError for shares that are none, and for examples without columns."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{name}: expected a share from 0 to 1, received {share}")
    if payloads.of(properties) != payloads.TF_EXAMPLE:
        raise ConfigError("examples: expected tf.Examples: rules clean columns, which tf.SequenceExamples have not")


def _shards(source: Examples, splits: Sequence[str]) -> list[Shard]:
    files = [(split, file) for split in splits for file in source.files(split)]
    return [Shard(split, number, file) for number, (split, file) in enumerate(files)]


def _surveyed(engine: Engine, shards: Sequence[Shard]) -> Survey:
    progress.say("looking at the columns")
    found = engine.fold(survey, Survey.merge, shards)
    if found is None or not found.rows:
        raise DataError("the examples hold no row: expected at least one")
    return found


def _write(
    engine: Engine,
    plan: Plan,
    shards: Sequence[Shard],
    splits: Sequence[str],
    target: Path,
    quarantine: Quarantine,
    limit: Callable[[Counted, tuple[Rule, ...]], None],
) -> tuple[Counted, limits.TooMuch | None]:
    """Writes the splits' folders, all or none of them, and the quarantine, also where too much was dropped."""
    progress.say("writing the rows")
    problem = None
    with atomic.replacing(quarantine.root) as changes:
        changes.mkdir()
        try:
            with contextlib.ExitStack() as stack:
                folders = {name: stack.enter_context(atomic.replacing(Examples(target).split(name))) for name in splits}
                for folder in folders.values():
                    folder.mkdir()
                writer = Writer(plan, folders, Quarantine(changes), len(shards))
                counted = engine.fold(writer, Counted.merge, shards) or Counted()
                limit(counted, plan.cleaning.rules)
        except limits.TooMuch as too_much:
            problem = too_much
    return counted, problem


def _result(
    properties: Mapping[str, Property], splits: Sequence[str], counted: Counted, cleaning: DataCleaning
) -> TaskResult:
    kept = {name: properties[name] for name in _KEPT if name in properties}
    dropped = Counter({split: counted.dropped[split] for split in splits})
    left = {split: counted.rows[split] - dropped[split] for split in splits}
    digest = sha256(cleaning.path.read_bytes()).hexdigest()
    own = {Examples.CLEANED: digest, Examples.DROPPED: json.dumps(dropped), "num_examples": json.dumps(left)}
    metadata = artifacts.metadata(split_names=splits, **(kept | own))
    return TaskResult(
        {"cleaned_examples": metadata, "quarantine": artifacts.metadata(), "cleaning": artifacts.metadata()}
    )


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
