"""What a message says of a retraining: how severe it is, its title, and its facts line by line."""

from collections.abc import Mapping
from datetime import UTC, datetime

from penstock.core.artifacts.alerts import Severity
from penstock.core.artifacts.retraining import NoticeKind, RetrainingNotice, sentence
from penstock.core.page import numbers
from penstock.core.text import printable

# Something is to be done where a retraining waits, or where there is none although there should be.
SEVERITIES: Mapping[NoticeKind, Severity] = {
    "waiting": "warning",
    "held_back": "info",
    "started": "info",
    "not_started": "warning",
    "done": "info",
    "failed": "warning",
}
_KINDS: Mapping[NoticeKind, str] = {
    "waiting": "retraining waits for approval",
    "held_back": "retraining is held back",
    "started": "retraining has started",
    "not_started": "retraining could not be started",
    "done": "retraining is done",
    "failed": "retraining has failed",
}
_LONGEST_NAME = 120  # characters


def title(notice: RetrainingNotice) -> str:
    """Returns a notice in one line: `[warning] flights: retraining waits for approval`."""
    model = printable.names([notice["model"]], _LONGEST_NAME)[0]
    return f"[{SEVERITIES[notice['kind']]}] {model}: {_KINDS[notice['kind']]}"


def facts(notice: RetrainingNotice) -> dict[str, str]:
    """Returns what is known of a retraining, by what a person calls it; what is not known is left out."""
    window = ""
    if notice["begin"] and notice["end"]:
        window = f"{numbers.period(_utc(notice['begin']), _utc(notice['end']))} UTC"
    rows = {
        "Because": sentence(notice["signals"]),
        "Held back": "; ".join(hold["sentence"] for hold in notice["holds"]),
        "Error": notice["error"],
        "To approve": notice["approval"],
        "Policy": notice["policy"],
        "Spans": notice["spans"],
        "Took": numbers.duration(notice["seconds"]) if notice["seconds"] else "",
        "Window": window,
        "Report": notice["report"],
        "Pipeline": notice["pipeline"],
        "Retraining": notice["retraining"],
        "Run": notice["link"] or notice["run"],
    }
    return {name: printable.sentence(text) for name, text in rows.items() if text}


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
