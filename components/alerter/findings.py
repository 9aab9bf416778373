"""The findings of a monitored window, as alerts are decided from them, and the address of its page."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from penstock.components.alerter.decisions import DRIFT, Measured, Window
from penstock.core.artifacts.monitoring import Finding, MonitoredWindow, WindowRecord
from penstock.core.errors import DataError
from penstock.core.files import atomic, object_stores

_GOOGLE = "https://storage.cloud.google.com/"  # opens an object in the browser of who may read it
UNNAMED = "model"  # the only one in a log


def read(folder: Path, report: str = "") -> list[Window]:
    """Reads a MonitoredWindow, after the earlier windows that were measured again with it, the oldest first.

    Of these only counts how good the model was: all else was known before. `report` is the address of the page. Raises
    a DataError for what is no MonitoredWindow.
    """
    window = MonitoredWindow(folder)
    try:
        record, again = window.read(), window.read_again()
    except FileNotFoundError:
        raise DataError(f"{window.path} does not exist: expected a window from WindowMonitor") from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{window.path}: expected a window from WindowMonitor: {reason}") from None
    earlier = [_window(one, filter(_is_performance, one["findings"]), report) for one in again]
    return [*earlier, _window(record, record["findings"], report)]


def _window(record: WindowRecord, findings: Iterable[Finding], report: str) -> Window:
    measured = [_measured(finding, report) for finding in filter(_is_certain, findings)]
    return Window(record["model"] or UNNAMED, record["begin"], record["end"], record["baseline"], measured)


def _is_performance(finding: Finding) -> bool:
    return finding["subject"] == "performance"


def _is_certain(finding: Finding) -> bool:
    """Whether a finding says anything: a metric whose interval is on both sides of its limit does not."""
    if not _is_performance(finding) or finding["alerts"] or finding["threshold"] is None:
        return True
    if "low" not in finding or "high" not in finding:
        return False
    below = finding.get("side") == "below"
    return finding["low"] >= finding["threshold"] if below else finding["high"] <= finding["threshold"]


def address(uri: str, links: Mapping[str, str]) -> str:
    """Returns the address at which people open what is at a URI. `links` are addresses by the beginnings of URIs."""
    for beginning in sorted(links, key=len, reverse=True):
        if uri.startswith(beginning):
            return f"{links[beginning]}{quote(uri.removeprefix(beginning))}"
    if uri.startswith("gs://"):
        return _GOOGLE + quote(uri.removeprefix("gs://"))
    if not uri or object_stores.is_remote(uri):
        return uri
    return atomic.local_path(uri).absolute().as_uri()


def _measured(finding: Finding, report: str) -> Measured:
    subject, name = finding["subject"], finding["name"]
    is_clear = subject in ("feature", name)  # else the name may be a feature's as well
    return Measured(
        feature=name if is_clear else f"{subject} {name}".strip(),
        measure=f"{finding['measure']}{DRIFT if finding.get('compared_with') == 'window' else ''}",
        value=finding["value"],
        threshold=finding["threshold"],
        is_beyond=finding["alerts"],
        rows=finding["rows"],
        importance=finding.get("importance"),
        sentence=finding["sentence"],
        cause=finding["cause"],
        subject=subject,
        report=f"{report}#{finding['figure']}" if report and finding["figure"] else report,
    )
