"""Where labels come from: the files, the columns in them, and how long they may take. Standard library only."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from penstock.components.monitoring.windows import window
from penstock.core.arguments import check_string, check_strings, parse_object
from penstock.core.errors import ConfigError
from penstock.core.text import printable

REQUEST_ID, ROW = "request_id", "row"  # what a request log knows its rows by
_NAME = "labels"  # of the parameter
_KEYS = ("files", "key", "column", "wait", "csv")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLE = '{"files": "labels/*.csv", "key": ["trip_id"]}'


@dataclass(frozen=True)
class LabelSource:
    """Files with labels.

    Args:
        files: A file, a folder or a pattern, also in an object store.
        key: The columns by which a label finds its rows: features of the schema, or REQUEST_ID and ROW.
        column: The label's; "" stands for the pipeline's label.
        wait: How long after a window's end its labels may still come.
        csv: How CSV is written, as JSON of ExampleGen's csv_options.
    """

    files: str
    key: tuple[str, ...] = (REQUEST_ID,)
    column: str = ""
    wait: timedelta = timedelta(days=30)
    csv: str = ""

    def earliest(self, now: datetime) -> datetime:
        """Returns the earliest end of windows whose labels may still come."""
        return now - min(self.wait, now - _EPOCH)

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """Reads the parameter of a component; None of an empty one. A ConfigError says what is wrong with it."""
        values = parse_object(_NAME, text, _KEYS, _EXAMPLE)
        if not values:
            return None
        key = values.get("key") or [REQUEST_ID]
        return cls(
            files=check_string(f"{_NAME}.files", values.get("files"), "a file, a folder or a pattern"),
            key=tuple(dict.fromkeys(check_strings(f"{_NAME}.key", [key] if isinstance(key, str) else key, "columns"))),
            column=check_string(f"{_NAME}.column", values["column"], "a column") if values.get("column") else "",
            wait=_wait(values["wait"]) if values.get("wait") else cls.wait,
            csv=json.dumps(values["csv"]) if values.get("csv") else "",
        )


def _wait(value: object) -> timedelta:
    try:
        return window.duration(value if isinstance(value, str) else "")
    except ConfigError:
        received = printable.value(value)
        raise ConfigError(f"{_NAME}.wait: expected {window.EXPECTED}, received {received}") from None
