"""The findings of a monitored window, as alerts are decided from them, and the address of its page."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from penstock.components.alerter.decisions import Measured, Window
from penstock.core.artifacts.monitoring import Finding, MonitoredWindow
from penstock.core.errors import DataError
from penstock.core.files import atomic, object_stores

_GOOGLE = "https://storage.cloud.google.com/"  # opens an object in the browser of who may read it
_UNNAMED = "model"  # the only one in a log


def read(folder: Path, report: str = "") -> Window:
    """Reads a MonitoredWindow; `report` is the address of its page. Raises a DataError if it is none."""
    window = MonitoredWindow(folder)
    try:
        record = window.read()
    except FileNotFoundError:
        raise DataError(f"{window.path} does not exist: expected a window from WindowMonitor") from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{window.path}: expected a window from WindowMonitor: {reason}") from None
    measured = [_measured(finding, report) for finding in record["findings"]]
    return Window(record["model"] or _UNNAMED, record["begin"], record["end"], record["baseline"], measured)


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
        measure=finding["measure"],
        value=finding["value"],
        threshold=finding["threshold"],
        is_beyond=finding["alerts"],
        rows=finding["rows"],
        importance=finding.get("importance"),
        sentence=finding["sentence"],
        cause=finding["cause"],
        report=f"{report}#{finding['figure']}" if report and finding["figure"] else report,
    )
