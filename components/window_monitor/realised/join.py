"""The labels of a run: joined with its window, and with the windows before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from penstock.components.monitoring.labels.source import LabelSource
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor.asked import Asked, Known
from penstock.components.window_monitor.judging import REALISED, Limits
from penstock.components.window_monitor.realised import late
from penstock.components.window_monitor.realised.late import Labels
from penstock.components.window_monitor.realised.question import NotAsked, Question
from penstock.core.artifacts.monitoring import JoinedLabels, MeasuredAgain, WindowRecord
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic


def join(
    asked: Asked,
    source: LabelSource,
    limits: Limits,
    window: WindowRecord,
    before: Sequence[WindowRecord],
    now: datetime | None = None,
) -> list[WindowRecord]:
    """Puts into the window's record what its labels say, and into those before it; returns which of these changed."""
    known, notes = asked.known, list[str]()
    source = replace(source, column=source.column or known.record["label_name"])
    try:
        question = Question.of(known, source.column, notes)
    except NotAsked as error:
        window["labels"] = JoinedLabels(rows=0, files="", left_out=[], notes=[str(error)])
        return []
    with late.read(asked.engine, source, known.features.types, question, limits, notes) as labels:
        with asked.within(_times(window)) as requests:
            labels.measure(window, requests)
        again = list(_again(asked, labels, before, now or datetime.now(UTC)))
        labels.account(window)
    window["measured_again"] = [_change(*one) for one in again]
    return [one for one, _ in again]


def _again(
    asked: Asked, labels: Labels, before: Sequence[WindowRecord], now: datetime
) -> Iterator[tuple[WindowRecord, int]]:
    """Measures the earlier windows whose labels may have come, each beside the baseline that it has.

    Yields those that have changed, with the number of rows that had a label before.
    """
    baselines: dict[str, tuple[Known, Labels] | None] = {asked.known.uri: (asked.known, labels)}
    for window in labels.awaited(before, now):
        uri = window["baseline"]
        if uri not in baselines:
            baselines[uri] = _beside(uri, asked.known.instances, labels)
        if (pair := baselines[uri]) is None:
            continue
        known, of_baseline = pair
        labelled = window["labels"]["rows"] if "labels" in window else 0
        with asked.within(_times(window), known) as requests:
            if of_baseline.measure(window, requests):
                yield window, labelled


def _beside(uri: str, instances: str, labels: Labels) -> tuple[Known, Labels] | None:
    """Returns another baseline and the labels as its evaluation compares them; None if that cannot be."""
    try:
        known = Known.read(atomic.local_path(uri), uri, instances)
        question = Question.of(known, labels.source.column, [])
    except (NotAsked, ConfigError, DataError):
        return None
    if question.label != labels.question.label:
        return None
    return known, replace(labels, question=question, limits=replace(labels.limits, judged=question.judged))


def _change(window: WindowRecord, labelled: int) -> MeasuredAgain:
    realised = [one for one in window["findings"] if one["measure"] == REALISED]
    return MeasuredAgain(
        begin=window["begin"],
        end=window["end"],
        rows=window["rows"],
        labelled=window["labels"]["rows"],
        labelled_before=labelled,
        alerts=[one["sentence"] for one in realised if one["alerts"]],
    )


def _times(window: WindowRecord) -> Window:
    return Window(datetime.fromisoformat(window["begin"]), datetime.fromisoformat(window["end"]))
