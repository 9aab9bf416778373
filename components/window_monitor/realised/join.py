"""The labels of a run: joined with its window, and with the windows before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from penstock.components.monitoring.labels.source import LabelSource
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor.asked import Asked, Known
from penstock.components.window_monitor.judging import Limits
from penstock.components.window_monitor.realised import late
from penstock.components.window_monitor.realised.late import Labels
from penstock.components.window_monitor.realised.question import NotAsked, Question
from penstock.core.artifacts.monitoring import JoinedLabels, MeasuredAgain, MeasuredIn, WindowRecord
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
        again = list(_again(asked, labels, window, before, now or datetime.now(UTC)))
        labels.account(window)
    window["measured_again"] = [_change(one) for one in again]
    return again


def _again(
    asked: Asked, labels: Labels, window: WindowRecord, before: Sequence[WindowRecord], now: datetime
) -> Iterator[WindowRecord]:
    """Measures the earlier windows whose labels may have come, each beside the baseline that it has; yields these."""
    baselines: dict[str, tuple[Known, Labels] | None] = {asked.known.uri: (asked.known, labels)}
    for earlier in labels.awaited(before, window, now):
        uri = earlier["baseline"]
        if uri not in baselines:
            baselines[uri] = _beside(uri, asked.known, labels)
        if (pair := baselines[uri]) is None:
            continue
        known, of_baseline = pair
        measured_in = late.measured_by(earlier, window) or _as_it_is(earlier, window)
        with asked.within(_times(earlier), known) as requests:
            if of_baseline.measure(earlier, requests):
                earlier["labels"]["measured_in"] = measured_in
                yield earlier


def _beside(uri: str, newest: Known, labels: Labels) -> tuple[Known, Labels] | None:
    """Returns another baseline and the labels as its evaluation compares them; None, with a note, if that cannot be."""
    key = labels.table.key
    try:
        known = Known.read(atomic.local_path(uri), uri, newest.instances)
        question = Question.of(known, labels.source.column, [])
        columns = late.columns_of(key, known.features.types, question.label)
        if not columns.equals(late.columns_of(key, newest.features.types, labels.question.label)):
            raise NotAsked("its schema has other types of the key or the label")
    except (NotAsked, ConfigError, DataError) as error:
        labels.notes.append(f"windows beside {uri} are not measured again: {error}")
        return None
    return known, replace(labels, question=question, limits=replace(labels.limits, judged=question.judged))


def _as_it_is(window: WindowRecord, by: WindowRecord) -> MeasuredIn:
    """Returns what a window is before another window's run measures it again."""
    labelled = window["labels"]["rows"] if "labels" in window else 0
    alerting = [one["name"] for one in late.of_metrics(window) if one["alerts"]]
    return MeasuredIn(begin=by["begin"], end=by["end"], labelled=labelled, alerting=alerting)


def _change(window: WindowRecord) -> MeasuredAgain:
    before = window["labels"]["measured_in"]
    realised = [one for one in late.of_metrics(window) if one["name"] not in before["alerting"]]
    return MeasuredAgain(
        begin=window["begin"],
        end=window["end"],
        rows=window["rows"],
        labelled=window["labels"]["rows"],
        labelled_before=before["labelled"],
        alerts=[one["sentence"] for one in realised if one["alerts"]],
    )


def _times(window: WindowRecord) -> Window:
    return Window(datetime.fromisoformat(window["begin"]), datetime.fromisoformat(window["end"]))
