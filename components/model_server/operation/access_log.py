"""The access log: a line of JSON for each request, written by a thread. It never has what was asked or answered."""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import orjson

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.background import Background
from penstock.components.model_server.operation.calls import ANSWERED, Call
from penstock.core.errors import ConfigError

_MOST_LINES = 50_000
_LINE_BYTES = 400  # about


type _Line = tuple[Call, float]  # and the seconds that it took


class AccessLog(Background[_Line]):
    """Writes to standard output, or to the end of a file, which may be moved away meanwhile (logrotate)."""

    def __init__(self, log: settings.AccessLog, dropped: Callable[[int], None]):
        super().__init__("access log", dropped, _MOST_LINES, _MOST_LINES * _LINE_BYTES)
        self._path = log.path
        self._errors_only = log.level == "errors"
        self._file: IO[bytes] | None = _open(log.path) if log.path else None

    def answered(self, call: Call, seconds: float) -> None:
        """Adds the line of a request."""
        if not self._errors_only or call.outcome != ANSWERED:
            self.add((call, seconds), _LINE_BYTES)

    def take(self, entries: Sequence[_Line]) -> None:
        lines = b"".join(orjson.dumps(_line(call, seconds)) + b"\n" for call, seconds in entries)
        if self._path is None:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
            return
        if self._file is None or _moved(self._path, self._file):
            self.finish()
            self._file = _open(self._path)
        self._file.write(lines)

    def finish(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def _open(path: Path) -> IO[bytes]:
    """Opens the end of a file, without a buffer; a ConfigError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "ab", buffering=0)
    except OSError as error:
        raise ConfigError(f"access log: {path} cannot be written: {error.strerror}: name another file") from None


def _moved(path: Path, file: IO[bytes]) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return True


def _line(call: Call, seconds: float) -> dict[str, object]:
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(call.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": call.request_id,
        "protocol": call.protocol,
        "method": call.method,
        "path": call.path,
        "status" if isinstance(call.status, int) else "grpc_status": call.status,
        "outcome": call.outcome,
        "milliseconds": round(seconds * 1000, 3),
        "received_bytes": call.received_bytes,
        "sent_bytes": call.sent_bytes,
        "client": call.client,
    }
    if call.model:
        line |= {"model": call.model, "version": call.version}
    if call.batch:
        line |= {
            "signature": call.signature,
            "queue_milliseconds": round(call.queued * 1000, 3),
            "model_milliseconds": round(call.computed * 1000, 3),
            "batch_rows": call.batch,
        }
    return line
