"""BigQuery's REST API, by Google's own client: tables, dry runs, and queries that are run once."""

import contextlib
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.components.example_gen.sources.bigquery import faults
from penstock.components.example_gen.sources.bigquery.options import BigQueryOptions
from penstock.core import progress
from penstock.core.errors import ConfigError, DataError
from penstock.core.services import retries
from penstock.core.services.retries import NotFound, Unanswered
from penstock.core.suggestions import did_you_mean

EMULATOR = "BIGQUERY_EMULATOR_HOST"  # Google's client reads it
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TIMEOUT = 60.0  # seconds that an answer may take
_LONGEST_PAUSE = 2.0  # seconds between two looks at a query that runs


@dataclass(frozen=True)
class DryRun:
    """What a query would read, bytes and tables (`project.dataset.table`), and the columns that it gives."""

    size: int
    tables: Sequence[str]
    columns: Sequence[str]


@dataclass(frozen=True)
class Answered:
    """A query that has run, and the table that holds its rows for a day."""

    job: str
    location: str
    table: Any


class BigQuery:
    """A connection. `project` is the one that is billed.

    Credentials are those of Google's default chain. An emulator, which BIGQUERY_EMULATOR_HOST names, takes none.
    """

    def __init__(self, options: BigQueryOptions) -> None:
        try:
            from google.cloud import bigquery
        except ImportError:
            raise faults.missing() from None
        self._bigquery, self._options = bigquery, options
        self.credentials, project = faults.ask(credentials, "bigquery")
        self.project = options.project or project or ""
        if not self.project:
            raise ConfigError("data.bigquery.project: expected the project that is billed: the credentials name none")
        self._client = bigquery.Client(
            project=self.project, credentials=self.credentials, location=options.location or None
        )

    def table(self, name: str) -> Any:
        """Returns a table as it is now; a DataError that says what there is if there is none of that name."""
        try:
            return faults.ask(lambda: self._client.get_table(name, retry=None, timeout=_TIMEOUT), name)
        except NotFound:
            raise DataError(self._not_there(name)) from None

    def dry_run(self, query: str, where: str) -> DryRun:
        """Returns what a query would read; a DataError that quotes its line if it is none."""
        config = self._bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        job = faults.ask(lambda: self._started(query, config, ""), where, query)
        tables = [f"{table.project}.{table.dataset_id}.{table.table_id}" for table in job.referenced_tables]
        return DryRun(job.total_bytes_processed or 0, sorted(tables), [field.name for field in job.schema or ()])

    def run(self, query: str, where: str) -> Answered:
        """Runs a query, and waits for its end. It is cancelled if this process is interrupted.

        A job that BigQuery itself fails at is started anew; one whose answers get lost is not, or it would be billed
        twice.
        """
        for number in range(1, retries.TRIES + 1):
            job = self._finished(query, where)
            if not job.error_result:
                break
            reason, message = (str(job.error_result.get(key, "")) for key in ("reason", "message"))
            failure = faults.answered(0, reason, message, where, query)
            if not isinstance(failure, Unanswered) or number == retries.TRIES:
                raise failure
            retries.pause(number, failure)
        table = faults.ask(lambda: self._client.get_table(job.destination, retry=None, timeout=_TIMEOUT), where)
        return Answered(job.job_id, job.location or "", table)

    def total_rows(self, name: str, job: str, location: str) -> int:
        """Returns how many rows a table has, or what a query's job gave, as a page of them says it."""

        def counted() -> int:
            rows = self.pages(name, job, location, 0, 1, 1)
            next(rows.pages, None)
            return rows.total_rows or 0

        return faults.ask(counted, name)

    def pages(self, name: str, job: str, location: str, start: int, count: int, size: int) -> Any:
        """Returns an iterator of rows, a page at a time, of a table or of what a query's job gave."""
        page = {"start_index": start, "max_results": count, "page_size": size, "retry": None, "timeout": _TIMEOUT}
        if not job:
            return self._client.list_rows(self._client.get_table(name, retry=None, timeout=_TIMEOUT), **page)
        found = self._client.get_job(job, location=location or None, retry=None, timeout=_TIMEOUT)
        return found.result(job_retry=None, **page)

    def _started(self, query: str, config: Any, job: str) -> Any:
        """Starts a query's job, which has an id of ours: where the answer got lost, it is found by that."""
        from google.api_core import exceptions

        try:
            return self._client.query(query, config, job_id=job or None, retry=None, job_retry=None, timeout=_TIMEOUT)
        except exceptions.Conflict:
            return self._client.get_job(job, retry=None, timeout=_TIMEOUT)

    def _finished(self, query: str, where: str) -> Any:
        config = self._bigquery.QueryJobConfig(
            labels=dict(self._options.labels),
            maximum_bytes_billed=self._options.maximum_bytes_billed or None,
        )
        name, pause, started = f"penstock-{uuid.uuid4().hex}", 0.1, time.monotonic()
        job = faults.ask(lambda: self._started(query, config, name), where, query)
        try:
            while job.state != "DONE":
                progress.say(f"the query runs, {time.monotonic() - started:.0f} s")
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                faults.ask(lambda: job.reload(retry=None, timeout=_TIMEOUT), where, query)
        except BaseException:
            with contextlib.suppress(Exception):
                job.cancel(retry=None, timeout=_TIMEOUT)
            raise
        return job

    def _not_there(self, name: str) -> str:
        """Says what there is in place of a table: the dataset's others, or the project's other datasets."""
        place, _, table = name.rpartition(".")
        project, _, dataset = place.rpartition(".")
        try:
            faults.ask(lambda: self._client.get_dataset(place, retry=None, timeout=_TIMEOUT), name)
            names = faults.ask(
                lambda: [item.table_id for item in self._client.list_tables(place, retry=None, timeout=_TIMEOUT)], name
            )
            return f"data.bigquery: {place} has no table {table!r}; {did_you_mean(table, names, 'there are')}"
        except NotFound:
            names = faults.ask(
                lambda: [item.dataset_id for item in self._client.list_datasets(project, retry=None, timeout=_TIMEOUT)],
                name,
            )
            return f"data.bigquery: {project} has no dataset {dataset!r}; {did_you_mean(dataset, names, 'there are')}"


def credentials() -> tuple[Any, str | None]:
    """Returns Google's default credentials and their project; those of nobody for an emulator."""
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    if os.environ.get(EMULATOR):
        return AnonymousCredentials(), os.environ.get("GOOGLE_CLOUD_PROJECT")  # type: ignore[no-untyped-call]
    found, project = google.auth.default(scopes=_SCOPES)
    return found, project
