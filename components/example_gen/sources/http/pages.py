"""A page of an API: its rows as a file of UTF-8 that can be read later, how many there are, and what it says of the
next one."""

import codecs
import csv
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.components.example_gen.sources.http.options import HttpOptions
from penstock.components.example_gen.sources.http.server import Received
from penstock.components.example_gen.sources.spooled.row_files import documents_rows
from penstock.core.credentials import masks
from penstock.core.errors import DataError
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_PART = 1 << 20
_TAIL = 64  # characters: an error of JSON as near to the end is of a text that was cut


@dataclass(frozen=True)
class Page:
    """What a page holds. `next` is what the answer says at http.paging.at, None for nothing; `missing` says what there
    is if there is no such place."""

    rows: int
    next: Any = None
    missing: str = ""


def rows(body: Path, received: Received, options: HttpOptions, to: Path) -> Page:
    """Writes a page's rows to a file: JSON as JSON lines, others as they came, in UTF-8.

    Raises an Unanswered for an answer that ends within a row, a DataError for one that is not of the format.
    """
    where = masks.masked(received.url)
    kind = received.headers.get("Content-Type", "")
    if "html" in kind:
        raise DataError(f"{where}: expected {options.format}, received a page of HTML: check http.url and http.auth")
    if options.format == "json":
        return _of_json(body, options, to, where)
    encoding = str(options.csv.get("encoding", ""))
    _to_utf8(body, _codec(encoding, where) if encoding else _charset(kind, where), to, where)
    return Page(_lines(to, where) if options.format == "json_lines" else _csv_rows(to, options.csv))


def _of_json(body: Path, options: HttpOptions, to: Path, where: str) -> Page:
    content = body.read_bytes()
    if not content.strip():
        to.write_bytes(b"")
        return Page(0)
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) - _TAIL or _is_open(error):
            raise Unanswered(f"{where}: the answer ends within its JSON", "try again") from None
        raise DataError(
            f"{where}: expected JSON: {error.msg} at character {error.pos:,}: http.format says what it is, json, "
            "json_lines or csv"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: expected JSON in UTF-8: {error.reason} at byte {error.start:,}") from None
    except RecursionError:
        raise DataError(f"{where}: expected JSON of fewer levels") from None
    found = documents_rows(document, options.records, where)
    with to.open("w", encoding="ascii") as file:
        for row in found:
            file.write(json.dumps(row) + "\n")
    return Page(len(found), *_at(document, options.paging.at if options.paging else ()))


def _is_open(error: json.JSONDecodeError) -> bool:
    return error.msg.startswith("Unterminated string")


def _at(document: Any, keys: tuple[str, ...]) -> tuple[Any, str]:
    """Returns the value down these keys, None where there is none, and in words what there is if a key is missing."""
    for depth, key in enumerate(keys, 1):
        if document is None:  # an API may say so that there is none
            break
        if not (isinstance(document, Mapping) and key in document):
            there = (
                did_you_mean(key, map(str, document), "there are")
                if isinstance(document, Mapping)
                else "it is no object there"
            )
            return None, f"no {'.'.join(keys[:depth])!r}; {there}"
        document = document[key]
    return document if keys else None, ""


def no_next(page: Page, where: str) -> str:
    """Returns a sentence where the first page does not even say that there is no next one; "" for any other."""
    if not page.missing:
        return ""
    return f"{where}: http.paging.at: the first page has {page.missing}: it is taken for the only one"


def _charset(kind: str, where: str) -> str:
    match = _CHARSET.search(kind)
    if not match or match[1].lower() in ("utf-8", "utf8", "us-ascii"):
        return "utf-8-sig"
    return _codec(match[1], where)


def _codec(name: str, where: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise DataError(f"{where}: expected text in UTF-8 or another known encoding, received {name!r}") from None


def _to_utf8(body: Path, charset: str, to: Path, where: str) -> None:
    decoder = codecs.getincrementaldecoder(charset)()
    try:
        with body.open("rb") as source, to.open("wb") as target:
            while part := source.read(_PART):
                target.write(decoder.decode(part).encode())
            target.write(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        reason = getattr(error, "reason", str(error))
        raise DataError(f"{where}: expected text in {charset.removesuffix('-sig')}: {reason}") from None


def _lines(path: Path, where: str) -> int:
    count, last = 0, b""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                count, last = count + 1, line
    if last and not last.endswith(b"\n"):
        try:
            json.loads(last)
        except ValueError:
            raise Unanswered(f"{where}: the answer ends within its last line", "try again") from None
    return count


def _csv_rows(path: Path, options: Mapping[str, Any]) -> int:
    """Returns how many rows there are beside the header."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        records = sum(1 for row in _records(file, options) if row)
    return records if options.get("column_names") else max(0, records - 1)


def _records(file: Any, options: Mapping[str, Any]) -> Iterator[list[str]]:
    delimiter, quote = options.get("delimiter") or ",", options.get("quote_char") or '"'
    try:
        yield from csv.reader(file, delimiter=delimiter, quotechar=quote)
    except csv.Error:  # what is wrong is said where the file is read
        return
