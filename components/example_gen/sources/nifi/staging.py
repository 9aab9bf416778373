"""FlowFiles and landed files as files that a source of their format reads."""

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from penstock.components.example_gen.sources.nifi import packets
from penstock.components.example_gen.sources.nifi.options import NifiOptions
from penstock.components.example_gen.sources.nifi.packets import FlowFile
from penstock.components.example_gen.sources.spooled.opening import Fetched
from penstock.components.example_gen.sources.spooled.row_files import documents_rows, write_parts
from penstock.components.example_gen.sources.spooled.spool import Kept
from penstock.core.errors import DataError
from penstock.core.files import documents

_LONGEST_HEADER = 1 << 20  # bytes


@dataclass
class Staging:
    """Writes files below `folder`, each of which is read on its own."""

    options: NifiOptions
    folder: Path
    _count: int = field(default=0, init=False)

    def landed(self, path: Path, name: str) -> Fetched:
        """Returns a landed file as it is read."""
        if self.options.format != "json":
            return Fetched(path, name)
        if path.stat().st_size > documents.LARGEST:
            raise DataError(
                f"{name}: expected at most {documents.LARGEST >> 20} MiB of JSON, found more: land JSON lines"
            )
        return self._written(self._rows(path.read_bytes(), name), name)

    def flow_files(self, path: Path, kept: Kept, names: str) -> Iterator[Fetched]:
        """Yields files of the FlowFiles of a transaction whose filename matches a pattern.

        Rows of JSON become one file, and tables of CSV with the same header, too; others a file each.
        """
        passed = {*kept.without, *(self.options.site_to_site.skip if self.options.site_to_site else ())}
        tables: dict[bytes, Path] = {}
        parts: dict[Path, list[tuple[int, str]]] = {}
        with path.open("rb") as file:
            for flow_file in packets.flow_files(path, kept.name):
                if flow_file.id in passed or not flow_file.size:
                    continue
                if not fnmatch.fnmatchcase(flow_file.attributes.get("filename", ""), names):
                    continue
                file.seek(flow_file.start)
                if self.options.format in ("json", "json_lines", "csv"):
                    table, start = self._add(file, flow_file, tables)
                    parts.setdefault(table, []).append((start, flow_file.name))
                    continue
                target = self._new()
                with target.open("wb") as single:
                    _copy(file, single, flow_file.size)
                yield Fetched(target, flow_file.name)
        for table in tables.values():
            write_parts(table, parts.get(table, []))
            yield Fetched(table, kept.name)

    def _add(self, file: BinaryIO, flow_file: FlowFile, tables: dict[bytes, Path]) -> tuple[Path, int]:
        """Adds a FlowFile to the file with what it begins with, a table's header or nothing; returns where it is."""
        left, header = flow_file.size, b""
        if self.options.format == "csv" and not self.options.csv.get("column_names"):
            header = file.readline(min(left, _LONGEST_HEADER))
            left -= len(header)
        is_new = header.strip() not in tables
        target = tables.setdefault(header.strip(), self._new() if is_new else Path())
        with target.open("ab") as table:
            start = table.tell()
            if self.options.format == "json":
                if left > documents.LARGEST:
                    raise DataError(
                        f"{flow_file.name}: expected at most {documents.LARGEST >> 20} MiB of JSON, found more"
                    )
                table.writelines(self._rows(file.read(left), flow_file.name))
                return target, start
            if is_new and header:
                table.write(header.rstrip(b"\r\n") + b"\n")
            if _copy(file, table, left) not in (b"\n", b""):
                table.write(b"\n")
        return target, start

    def _rows(self, content: bytes, name: str) -> Iterator[bytes]:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}: expected JSON: {error}") from None
        listed = [document] if isinstance(document, dict) and not self.options.records else document
        for row in documents_rows(listed, () if listed is not document else self.options.records, name):
            yield json.dumps(row).encode() + b"\n"

    def _written(self, lines: Iterator[bytes], name: str) -> Fetched:
        target = self._new()
        with target.open("wb") as file:
            file.writelines(lines)
        return Fetched(target, name)

    def _new(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._count += 1
        return self.folder / f"{self._count:06}"


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> bytes:
    """Copies bytes; returns the last one."""
    last = b""
    while size and (part := source.read(min(size, 1 << 20))):
        target.write(part)
        size, last = size - len(part), part[-1:]
    return last
