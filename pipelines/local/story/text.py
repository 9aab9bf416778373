"""The story of a run's model as lines for a person."""

from collections.abc import Iterator
from datetime import UTC, datetime

from penstock.core.artifacts.gates import OVERALL
from penstock.core.artifacts.monitoring import WindowRecord, moved, titled
from penstock.core.artifacts.retraining import Retraining, sentence
from penstock.core.page import numbers
from penstock.core.text.printable import printable
from penstock.pipelines.local.story.story import Story

_NAMED = 5  # features of a window, alerts


def lines(story: Story) -> Iterator[str]:
    """Yields the story, a chapter after the other; nothing of what there is not."""
    for title, chapter in (
        ("why", _why(story)),
        ("data", _data(story)),
        ("model", _model(story)),
        ("serves", _serving(story)),
        ("monitored", _windows(story)),
        ("alerts", _alerts(story)),
        ("retrained", _retrainings(story)),
    ):
        for number, line in enumerate(chapter):
            yield printable(f"{'' if number else title:10} {line}").rstrip()


def _why(story: Story) -> Iterator[str]:
    one = story["retraining"]
    if one is None:
        yield "`penstock run`: a person or a program has called it"
        return
    by_hand = all(signal["kind"] == "person" for signal in one["signals"])
    yield f"{'a person has asked for it' if by_hand else 'retraining'}: {sentence(one['signals'])}"
    if one["end"]:
        yield f"of the window {_times(one['begin'], one['end'])}, {one['report']}"
    if one["answered"]:
        yield one["answered"]
    yield one["id"]


def _data(story: Story) -> Iterator[str]:
    counted = f"{story['rows']:,} rows" if story["rows"] is not None else ""
    spans = f"spans {', '.join(story['spans'])}" if story["spans"] else ""
    if counted or spans:
        yield ", ".join(filter(None, (counted, spans)))
    yield from (" ".join(line.split()) for line in story["origin"][:_NAMED])  # a query may have lines


def _model(story: Story) -> Iterator[str]:
    if story["blessed"] is not None:
        yield "blessed" if story["blessed"] else "not blessed"
    for reason in story["reasons"]:
        yield f"{'✓' if reason['passed'] else '✗'} {reason['sentence']}"


def _serving(story: Story) -> Iterator[str]:
    for one in story["serving"]:
        share = f", {one['percent']} % of the requests" if one["percent"] else ""
        yield f"{one['place']} (version {one['version']}): {one['state']}{share}"


def _windows(story: Story) -> Iterator[str]:
    for window in story["windows"]:
        yield f"{_times(window['begin'], window['end'])}: {window['rows']:,} rows; {_moved(window)}"
        for one in window.get("realised", []):
            if one["slice"] == OVERALL and one["value"] is not None:
                before = "" if one["evaluation"] is None else f", in the evaluation {numbers.number(one['evaluation'])}"
                yield f"  {one['metric']} {numbers.number(one['value'])}{before}"
        for metric in window.get("performance", []):
            low, high = numbers.number(metric["low"]), numbers.number(metric["high"])
            value, before = numbers.number(metric["value"]), numbers.number(metric["evaluation"])
            yield f"  {metric['metric']} most likely {value} ({low} to {high}), in the evaluation {before}"


def _moved(window: WindowRecord) -> str:
    if not window["rows"]:
        return "nothing was measured"
    names = [titled(one["subject"], one["name"]) for one in moved(window["findings"])]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'; '.join(names[:_NAMED])}{more} moved" if names else "nothing moved"


def _alerts(story: Story) -> Iterator[str]:
    for alert in story["alerts"][:_NAMED]:
        yield f"{alert['severity']}: {alert['feature']}: {alert['sentence']}"
    if len(story["alerts"]) > _NAMED:
        yield f"and {len(story['alerts']) - _NAMED} more"


def _retrainings(story: Story) -> Iterator[str]:
    for one in story["retrainings"]:
        yield f"{one['id']}: {one['status']}{_run(one)}: {sentence(one['signals'])}"


def _run(one: Retraining) -> str:
    return f" ({one['link'] or one['run']})" if one["run"] else ""


def _times(begin: str, end: str) -> str:
    first, last = (datetime.fromisoformat(text).astimezone(UTC) for text in (begin, end))
    return f"{numbers.period(first, last)} (UTC)"
