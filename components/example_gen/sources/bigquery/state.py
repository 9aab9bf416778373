"""What changes when the rows of a table or of a query do, without reading any."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from penstock.components.example_gen.sources.bigquery.service import BigQuery
from penstock.core.errors import PenstockError
from penstock.core.files import documents
from penstock.core.services.retries import Unanswered

_STORED = ("TABLE", "SNAPSHOT")
_CHANGING = re.compile(r"\b(CURRENT_\w+|RAND|GENERATE_UUID|SESSION_USER)\b|@@\w+", re.IGNORECASE)


def is_stored(table: Any) -> bool:
    """Whether a table has rows of its own, as sessions and pages read them; a view is a query."""
    return table.table_type in _STORED


def of_table(table: Any) -> str:
    """Returns a line that changes when a table does, or its columns."""
    schema = hashlib.sha256(documents.json_text([field.to_api_repr() for field in table.schema]).encode()).hexdigest()
    return f"modified:{table.modified.isoformat()},rows:{table.num_rows},bytes:{table.num_bytes},schema:{schema[:16]}"


def of_query(service: BigQuery, query: str) -> str:
    """Returns a line that changes when a query's tables do; always, where the query's result changes by itself."""
    dry_run = service.dry_run(query, "query")
    digest = hashlib.sha256(query.encode()).hexdigest()[:16]
    states = [_of_name(service, name) for name in dry_run.tables]
    if _CHANGING.search(query) or not all(states):
        states.append(f"read:{datetime.now(UTC).isoformat()}")
    return f"query:{digest},{','.join(states)}"


def _of_name(service: BigQuery, name: str) -> str:
    """Returns the state of a query's table; "" if it cannot be looked at."""
    try:
        table = service.table(name)
    except Unanswered:
        raise
    except PenstockError:
        return ""
    return f"{name}:{of_table(table)}" if is_stored(table) else ""
