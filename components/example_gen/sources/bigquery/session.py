"""The Storage Read API: a session fixes a table's rows and cuts them into streams, which are read apart as Arrow."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from penstock.components.example_gen.sources.bigquery import faults
from penstock.components.example_gen.sources.bigquery.service import EMULATOR, credentials
from penstock.core.errors import ServerError
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered
from penstock.core.services.transport import short

EMULATOR_OF_STORAGE = "BIGQUERY_STORAGE_EMULATOR_HOST"  # host:port of an emulator's gRPC, which has no TLS
_TIMEOUT = 120.0  # seconds: a session of a large table takes some
_ALIVE = [("grpc.keepalive_time_ms", 60_000), ("grpc.keepalive_timeout_ms", 20_000)]
_LARGEST = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_GONE = ("expired", "session not found", "stream not found")


class NoSessions(Exception):
    """The account may make none, or the project has the API switched off: why, in words."""


@dataclass(frozen=True)
class Session:
    """What there is to read: `size` are the bytes that it takes, `schema` the Arrow schema as bytes."""

    name: str
    streams: Sequence[str]
    schema: bytes
    size: int


def create(
    table: Any, where: str, project: str, columns: Sequence[str], restriction: str, snapshot: datetime | None, most: int
) -> Session:
    """Fixes the rows of a table, as they are now or were at a moment, in at most so many streams.

    Raises NoSessions where pages are the way to read.
    """
    from google.api_core import exceptions

    if os.environ.get(EMULATOR) and not os.environ.get(EMULATOR_OF_STORAGE):
        raise NoSessions("the emulator has no Storage Read API")
    with _client() as (client, types):
        request = types.CreateReadSessionRequest(
            parent=f"projects/{project}",
            read_session=types.ReadSession(
                table=f"projects/{table.project}/datasets/{table.dataset_id}/tables/{table.table_id}",
                data_format=types.DataFormat.ARROW,
                read_options=types.ReadSession.TableReadOptions(selected_fields=columns, row_restriction=restriction),
                table_modifiers=types.ReadSession.TableModifiers(snapshot_time=snapshot) if snapshot else None,
            ),
            max_stream_count=most,
        )

        def created() -> Any:
            try:
                return client.create_read_session(request, retry=None, timeout=_TIMEOUT)
            except (exceptions.PermissionDenied, exceptions.MethodNotImplemented, exceptions.NotFound) as error:
                raise NoSessions(short(error.message)) from None

        made = faults.ask(created, where, restriction)
    names = [stream.name for stream in made.streams]
    return Session(made.name, names, made.arrow_schema.serialized_schema, made.estimated_total_bytes_scanned)


def batches(stream: str, schema: bytes, where: str) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a stream. Where the connection is cut, it reads on after the last row.

    Raises an Unanswered after three failures without a row in between, a SystemFailure if the session has ended.
    """
    arrow = pa.ipc.read_schema(pa.py_buffer(schema))
    given = failures = 0
    with _client() as (client, types):
        while True:
            try:
                for answer in client.read_rows(types.ReadRowsRequest(read_stream=stream, offset=given), retry=None):
                    rows = answer.arrow_record_batch.serialized_record_batch
                    batch = pa.ipc.read_record_batch(pa.py_buffer(rows), arrow)
                    yield batch
                    given, failures = given + batch.num_rows, 0
                return
            except Exception as error:
                failure = _passing(error, where)
            failures += 1
            if failures == retries.TRIES:
                raise failure
            retries.pause(failures, failure)


def _passing(error: Exception, where: str) -> Unanswered:
    """Returns what may pass soon; raises anything else."""
    meant = faults.meaning(error, where)
    if isinstance(meant, Unanswered):
        return meant
    if isinstance(meant, ServerError) and any(word in str(error).lower() for word in _GONE):
        raise faults.ended(where) from None
    raise meant or error


@contextlib.contextmanager
def _client() -> Iterator[tuple[Any, Any]]:
    """Gives a client, and the messages. A forked process cannot use the channel of another one: each has its own."""
    try:
        from google.cloud.bigquery_storage_v1 import types
        from google.cloud.bigquery_storage_v1.services.big_query_read import BigQueryReadClient
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport
    except ImportError:
        raise faults.missing() from None
    options = [*_ALIVE, *_LARGEST]
    if emulator := os.environ.get(EMULATOR_OF_STORAGE):
        import grpc

        channel = grpc.insecure_channel(emulator, options)
    else:
        found, _ = faults.ask(credentials, "bigquery")
        channel = BigQueryReadGrpcTransport.create_channel(credentials=found, options=options)
    with channel:
        yield BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel)), types
