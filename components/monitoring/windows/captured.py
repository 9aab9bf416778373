"""What a SageMaker endpoint has captured: its files, and the exchanges in their lines."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from penstock.components.model_server.encoding import json_text
from penstock.components.model_server.failures import RequestError
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import MARGIN, NO_LOG, NOT_WHOLE, Piece, Selection
from penstock.components.monitoring.windows.payloads.exchange import Body, Exchange
from penstock.components.monitoring.windows.payloads.instances import B64, bytes_of
from penstock.components.monitoring.windows.window import Window, moment
from penstock.core.artifacts import CapturedData
from penstock.core.errors import ConfigError

_NO_RECORD = "a line that is no record of SageMaker's data capture"


def pieces(data: CapturedData, selection: Selection, window: Window, account: Account) -> list[Piece]:
    """Returns the files that may have requests of the window, a piece each, sorted by variant and time."""
    result: list[Piece] = []
    for endpoint, variant in [one for one in data.variants() if selection.includes_variant(*one)]:
        folder = data.folder(endpoint, variant)
        for path in sorted(path for path in folder.glob("*/*/*/*/*") if data.file(path) is None):
            account.left_out.add("files", NO_LOG, path.relative_to(data.root).as_posix())
        for file in data.files(endpoint, variant, window.begin - MARGIN, window.end + MARGIN):
            name = file.path.relative_to(data.root).as_posix()
            result.append(Piece(file.path, name, 0, file.begin, file.end, variant=variant))
    return result


def read(piece: Piece, account: Account) -> Iterator[Exchange]:
    """Yields the exchanges of a file; counts lines that are no records, and the last one if it is cut off."""
    try:
        with open(piece.path, "rb") as file:
            yield from _exchanges(file, piece, account)
    except OSError as error:
        account.left_out.add("files", NOT_WHOLE, f"{piece.name}: {error}")


def _exchanges(lines: Iterable[bytes], piece: Piece, account: Account) -> Iterator[Exchange]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{piece.name}, line {number}"
        try:
            yield _exchange(json_text.loads(line))
        except (RequestError, KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            if line.endswith(b"\n"):
                account.left_out.add("rows", _NO_RECORD, f"{where}: {error}")
            else:
                account.left_out.add("files", NOT_WHOLE, f"{where}: {error}")


def _exchange(record: Any) -> Exchange:
    data, about = record["captureData"], record["eventMetadata"]
    time = moment("inferenceTime", about["inferenceTime"])
    return Exchange(
        time=round(datetime.timestamp(time) * 1_000_000),
        request_id=str(about.get("inferenceId") or about["eventId"]),  # labels that come later name the inferenceId
        request=_body(data.get("endpointInput")),
        response=_body(data.get("endpointOutput")),
    )


def _body(captured: Mapping[str, Any] | None) -> Body | None:
    if captured is None:
        return None
    text = captured["data"]
    content = bytes_of({B64: text}) if captured.get("encoding") == "BASE64" else text.encode(errors="replace")
    return Body(content, str(captured.get("observedContentType") or ""))
