"""What differs between two runs of a pipeline: metrics, learning curves, configuration, columns, code and data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

from penstock.components.trainer import epochs
from penstock.components.trainer.epochs import History
from penstock.core import artifacts, metrics
from penstock.core.credentials import masks
from penstock.core.errors import SchemaError
from penstock.core.suggestions import unified_diff
from penstock.pipelines.local import results
from penstock.pipelines.local.records import reasons
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.results import RunResult

_LARGEST = 1 << 20  # bytes of a file that is compared line by line
_MODULE = "*.py"


class Metric(TypedDict):
    """A metric over all examples in both runs. `better` is None where that is not known, or nothing changed."""

    metric: str
    first: float | None
    second: float | None
    better: bool | None


class Curve(TypedDict):
    """What a training measured: for each of the runs a value after each epoch, None where there is none."""

    task: str
    measure: str
    first: list[float | None]
    second: list[float | None]


class Value(TypedDict):
    """A key of the configuration that has not the same value; None where it has its default."""

    key: str
    first: Any
    second: Any


class Column(TypedDict):
    """A column of the data that is not in both, or of another type; None where it is not there."""

    column: str
    first: str | None
    second: str | None


class Change(TypedDict):
    """What decided a task's outputs otherwise in the second run, in words: its data, its parameters, code, versions."""

    task: str
    changed: str


class FileDiff(TypedDict):
    """A file of the user's that changed, as a unified diff."""

    file: str
    diff: str


class Comparison(TypedDict):
    """Two runs, and what differs in the second."""

    first: RunResult
    second: RunResult
    metrics: list[Metric]
    curves: list[Curve]
    configuration: list[Value]
    columns: list[Column]
    tasks: list[Change]
    files: list[FileDiff]


def compare(first: RunRecord, second: RunRecord) -> Comparison:
    """Compares two runs; what a run of an older version does not know of itself is left out."""
    ends = results.result(first), results.result(second)
    return Comparison(
        first=ends[0],
        second=ends[1],
        metrics=list(_metrics(*ends)),
        curves=list(_curves(first, second)),
        configuration=list(_values("", *(masks.masked_value(run.origin.configuration) for run in (first, second)))),
        columns=list(_columns(first, second)),
        tasks=list(_changes(first, second)),
        files=list(_files(first, second)),
    )


def _metrics(first: RunResult, second: RunResult) -> Iterator[Metric]:
    for name in dict.fromkeys([*second["metrics"], *first["metrics"]]):
        before, after = first["metrics"].get(name), second["metrics"].get(name)
        better = None
        if before is not None and after is not None and before != after and metrics.tells_quality(name):
            better = (after < before) == metrics.lower_is_better(name)
        yield Metric(metric=name, first=before, second=after, better=better)


def _curves(first: RunRecord, second: RunRecord) -> Iterator[Curve]:
    before, after = _histories(first), _histories(second)
    for task, history in after.items():
        other = before.get(task)
        if other:
            for name in history.measures:
                values = [[epoch.measured.get(name) for epoch in one.epochs] for one in (other, history)]
                yield Curve(task=task, measure=name, first=values[0], second=values[1])


def _histories(run: RunRecord) -> dict[str, History]:
    made = ((artifact.task.name, artifact.path) for artifact in run.artifacts() if artifact.name == "model_run")
    return {task: history for task, folder in made if (history := epochs.read(folder))}


def _values(path: str, first: Any, second: Any) -> Iterator[Value]:
    """Yields the keys with values that differ, by the path of each."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys(), key=str):
            yield from _values(f"{path}.{key}".lstrip("."), first.get(key), second.get(key))
    elif isinstance(first, dict) and second is None:
        yield from _values(path, first, {})
    elif isinstance(second, dict) and first is None:
        yield from _values(path, {}, second)
    elif first != second:
        yield Value(key=path, first=first, second=second)


def _columns(first: RunRecord, second: RunRecord) -> Iterator[Column]:
    before, after = column_types(first), column_types(second)
    if before is None or after is None:
        return
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Column(column=name, first=before.get(name), second=after.get(name))


def column_types(run: RunRecord) -> dict[str, str] | None:
    """Returns the columns' types by a run's schema; None where it has none, or one that cannot be read."""
    for artifact in run.made("schema"):
        try:
            schema = artifacts.Schema(artifact.path).read()
        except SchemaError:
            return None
        from tensorflow_metadata.proto.v0.schema_pb2 import FeatureType

        return {feature.name: FeatureType.Name(feature.type).lower() for feature in schema.feature}
    return None


def _changes(first: RunRecord, second: RunRecord) -> Iterator[Change]:
    """Yields what changed of each task's key. That a task before it ran otherwise is told there."""
    keys = {task.name: task.key for task in first.tasks if task.key}
    for task in second.tasks:
        before = keys.get(task.name)
        if task.key and before and before.digest != task.key.digest:
            said = reasons.reason(task.key, before, {}, made_again=task.key.inputs.keys() | before.inputs.keys())
            if said.changed:
                yield Change(task=task.name, changed=said.text)


def _files(first: RunRecord, second: RunRecord) -> Iterator[FileDiff]:
    """Yields the changes of the user's files, which both runs have kept as copies."""
    before, after = _sources(first), _sources(second)
    for name in sorted(before.keys() | after.keys()):
        old, new = (_text(sources.get(name)) for sources in (before, after))
        if old is None or new is None:
            yield FileDiff(file=name, diff=f"{name}: not compared, for it is larger than 1 MiB or cannot be read")
        elif old != new:
            diff = unified_diff(old, new, f"{name} ({first.folder.name})", f"{name} ({second.folder.name})")
            yield FileDiff(file=name, diff=masks.masked(diff))


def _sources(run: RunRecord) -> dict[str, Path]:
    """Returns the copies of the user's files by the files' paths; of a folder each source in it."""
    copies: dict[str, Path] = {}
    for copy, own in run.origin.modules.items():
        place = Path(copy)
        for file in sorted(place.rglob(_MODULE)) if place.is_dir() else [place]:
            copies[str(Path(own) / file.relative_to(place)) if place.is_dir() else own] = file
    return copies


def _text(path: Path | None) -> str | None:
    """Returns a file's text, "" where a run has none; None where it cannot be compared."""
    if path is None:
        return ""
    try:
        return None if path.stat().st_size > _LARGEST else path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
