"""What of BigQuery is read, as `input_base` says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError

_TABLE = re.compile(r"^[A-Za-z0-9_.:-]+\.[A-Za-z0-9_-]+\.[^\s.`]+$")  # a project's name may have a dot and a colon
_KEYS = (
    "table",
    "query",
    "columns",
    "row_restriction",
    "project",
    "location",
    "maximum_bytes_billed",
    "labels",
)
_TABLE_WORDS = "a table such as project.dataset.table"


@dataclass(frozen=True)
class BigQueryOptions:
    """A table or a query, and how it is read; "" and 0 stand for none.

    Args:
        table: `project.dataset.table`.
        query: In GoogleSQL.
        columns: The columns to read, all by default.
        row_restriction: Which rows of tables, as a condition in GoogleSQL.
        project: The project that is billed; by default that of the credentials.
        location: Where queries run; by default where their tables are.
        maximum_bytes_billed: What reads more than this is refused.
        labels: Of the query's job, by which a bill is divided.
    """

    table: str = ""
    query: str = ""
    columns: tuple[str, ...] = ()
    row_restriction: str = ""
    project: str = ""
    location: str = ""
    maximum_bytes_billed: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Reads the options; a ConfigError for what does not fit."""
        given = check_object("bigquery", dict(options), _KEYS)
        texts = {
            key: check_string(f"bigquery.{key}", given[key], "a text")
            for key in ("table", "query", "row_restriction", "project", "location")
            if given.get(key) is not None
        }
        labels = check_object("bigquery.labels", given.get("labels") or {})
        if texts.get("table") and texts.get("query"):
            raise ConfigError("bigquery: expected either a table or a query, received both")
        if texts.get("table") and not is_table(texts["table"]):
            raise ConfigError(f"bigquery.table: expected {_TABLE_WORDS}, received {texts['table']!r}")
        return cls(
            **texts,
            columns=tuple(check_strings("bigquery.columns", given.get("columns") or [])),
            maximum_bytes_billed=check_whole_number(
                "bigquery.maximum_bytes_billed", given.get("maximum_bytes_billed"), of="bytes"
            ),
            labels={key: str(value) for key, value in labels.items()},
        )


def is_table(text: str) -> bool:
    """Whether a text is a table's name, and no query."""
    return bool(_TABLE.match(text))
