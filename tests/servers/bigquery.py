"""BigQuery on loopback, for what its emulator cannot: failures by script, snapshots, offsets, bytes, all types.

REST (tables, jobs, pages) and gRPC (the Storage Read API, by the messages of Google's own package). A script of REST is
`fail`, as of all loopback servers, with a message "reason|text"; one of gRPC is `cuts`.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types

from tests.servers.loopback import Loopback, Refusal, Request, Status

PROJECT = "team"
_ROUTES = [
    (r"/projects/[^/]+/jobs/[^/]+/cancel$", "cancel"),
    (r"/projects/[^/]+/jobs/[^/]+$", "job"),
    (r"/projects/[^/]+/jobs$", "jobs"),
    (r"/projects/[^/]+/queries/[^/]+$", "rows"),
    (r"/tables/[^/]+/data$", "rows"),
    (r"/tables/[^/]+$", "table"),
    (r"/tables$", "tables"),
    (r"/datasets/[^/]+$", "dataset"),
    (r"/datasets$", "datasets"),
]
_SERVICE = "/google.cloud.bigquery.storage.v1.BigQueryRead/"
_ROWS_OF_AN_ANSWER = 10
_RESULT = "anonymous.result"


@dataclass
class Table:
    """A table: its rows, its columns as REST has them, and when it was changed, in milliseconds."""

    rows: pa.Table
    fields: list[dict[str, Any]]
    modified: int = 1_769_853_600_000
    size: int = 1 << 20


@dataclass(frozen=True)
class Cut:
    """A stream fails after so many answers of a call."""

    answers: int
    code: grpc.StatusCode
    details: str


@dataclass
class Sessions:
    """What was asked of the Storage Read API."""

    requests: list[Any] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    refusal: tuple[grpc.StatusCode, str] | None = None
    streams: int = 3


class BigQuery(Loopback):
    """`tables` are by `dataset.table`; every query gives the rows of `result`, and reads `bytes` of `shop.trips`."""

    def __init__(self, tables: dict[str, Table], result: Table) -> None:
        super().__init__()
        self.tables = tables | {_RESULT: result}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.job_errors: list[dict[str, str]] = []
        self.bytes = 1 << 30
        self.sessions = Sessions()
        self._grpc = grpc.server(ThreadPoolExecutor(4))
        self._grpc.add_generic_rpc_handlers((_StorageRead(self),))
        self.storage = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._grpc.start()
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        self._grpc.stop(None).wait()
        super().__exit__(*exception)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "BIGQUERY_EMULATOR_HOST": self.url,
            "BIGQUERY_STORAGE_EMULATOR_HOST": self.storage,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }

    def route(self, path: str) -> str:
        return next((route for pattern, route in _ROUTES if re.search(pattern, path)), path)

    def error(self, failure: Status) -> Any:
        reason, _, message = failure.message.partition("|")
        listed = [{"reason": reason, "message": message, "domain": "global"}]
        return {"error": {"code": failure.code, "message": message, "errors": listed}}

    def answer(self, request: Request) -> Any:
        names = request.path.split("/")
        if request.route == "jobs":
            return self._start(request.body)
        if request.route in ("job", "cancel"):
            return self._job(names[6])
        if request.route == "datasets":
            return {"datasets": [{"datasetReference": {"projectId": PROJECT, "datasetId": "shop"}}]}
        if request.route == "dataset":
            return {"datasetReference": {"projectId": PROJECT, "datasetId": names[-1]}}
        if request.route == "tables":
            return {"tables": [{"tableReference": _reference(name)} for name in self.tables]}
        if request.route == "rows" and "/queries/" in request.path:
            return self._rows(_RESULT, request.query) | {"jobReference": self._job(names[6])["jobReference"]}
        name = f"{names[6]}.{names[8]}"
        if name not in self.tables:
            raise Refusal(404, f"notFound|Not found: Table {PROJECT}:{name}")
        return self._rows(name, request.query) if request.route == "rows" else self._table(name)

    def _table(self, name: str) -> dict[str, Any]:
        table = self.tables[name]
        return {
            "tableReference": _reference(name),
            "type": "TABLE",
            "schema": {"fields": table.fields},
            "numRows": str(table.rows.num_rows),
            "numBytes": str(table.size),
            "lastModifiedTime": str(table.modified),
        }

    def _rows(self, name: str, query: Any) -> dict[str, Any]:
        rows = self.tables[name].rows
        start = int(query.get("startIndex") or query.get("pageToken") or 0)
        end = min(rows.num_rows, start + int(query.get("maxResults") or rows.num_rows))
        found = [{"f": [{"v": _cell(value)} for value in row.values()]} for row in rows[start:end].to_pylist()]
        return {
            "totalRows": str(rows.num_rows),
            "rows": found,
            "schema": {"fields": self.tables[name].fields},
            "jobComplete": True,
            **({"pageToken": str(end)} if end < rows.num_rows else {}),
        }

    def _start(self, body: Any) -> dict[str, Any]:
        configuration = body["configuration"]
        job = body["jobReference"].get("jobId") or "dry"
        if job in self.jobs:
            raise Refusal(409, f"duplicate|Already Exists: Job {PROJECT}:{job}")
        statistics = {
            "totalBytesProcessed": str(self.bytes),
            "query": {
                "totalBytesProcessed": str(self.bytes),
                "referencedTables": [_reference("shop.trips")],
                "schema": {"fields": self.tables[_RESULT].fields},
            },
        }
        made = {
            "jobReference": {"projectId": PROJECT, "jobId": job, "location": "EU"},
            "configuration": {"query": configuration["query"] | {"destinationTable": _reference(_RESULT)}},
            "status": {"state": "DONE" if configuration.get("dryRun") else "RUNNING"},
            "statistics": statistics,
        }
        if not configuration.get("dryRun"):
            self.jobs[job] = made
        return made

    def _job(self, name: str) -> dict[str, Any]:
        job = self.jobs[name]
        if job["status"]["state"] != "DONE":
            error = self.job_errors.pop(0) if self.job_errors else None
            job["status"] = {"state": "DONE"} | ({"errorResult": error, "errors": [error]} if error else {})
        return job


class _StorageRead(grpc.GenericRpcHandler):
    """Sessions whose streams take turns of a table's rows; a stream is read from an offset on."""

    def __init__(self, owner: BigQuery) -> None:
        self._owner, self._tables = owner, dict[str, pa.Table]()

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == f"{_SERVICE}CreateReadSession":
            return grpc.unary_unary_rpc_method_handler(
                self._create, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
            )
        return grpc.unary_stream_rpc_method_handler(
            self._read, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
        )

    def _create(self, request: Any, context: Any) -> Any:
        sessions, asked = self._owner.sessions, request.read_session
        sessions.requests.append(request)
        if sessions.refusal:
            context.abort(*sessions.refusal)
        _, project, _, dataset, _, table = asked.table.split("/")
        rows = self._owner.tables[f"{dataset}.{table}"].rows
        rows = rows.select(list(asked.read_options.selected_fields) or rows.column_names)
        name = f"projects/{project}/locations/eu/sessions/{len(sessions.requests)}"
        streams = [f"{name}/streams/{number}" for number in range(sessions.streams if rows.num_rows else 0)]
        self._tables |= {
            stream: rows.take(pa.array(range(number, rows.num_rows, len(streams)), pa.int64()))
            for number, stream in enumerate(streams)
        }
        return types.ReadSession(
            name=name,
            table=asked.table,
            streams=[types.ReadStream(name=stream) for stream in streams],
            arrow_schema=types.ArrowSchema(serialized_schema=rows.schema.serialize().to_pybytes()),
            estimated_total_bytes_scanned=self._owner.tables[f"{dataset}.{table}"].size,
        )

    def _read(self, request: Any, context: Any) -> Iterator[Any]:
        sessions = self._owner.sessions
        sessions.offsets.append(request.offset)
        cut = sessions.cuts.pop(0) if sessions.cuts else None
        rows = self._tables[request.read_stream].slice(request.offset).combine_chunks()
        for number, batch in enumerate(rows.to_batches(_ROWS_OF_AN_ANSWER)):
            if cut and number == cut.answers:
                context.abort(cut.code, cut.details)
            record_batch = types.ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes())
            yield types.ReadRowsResponse(arrow_record_batch=record_batch, row_count=batch.num_rows)


def _reference(name: str) -> dict[str, str]:
    dataset, table = name.split(".")
    return {"projectId": PROJECT, "datasetId": dataset, "tableId": table}


def _cell(value: Any) -> Any:
    return None if value is None else str(value)
