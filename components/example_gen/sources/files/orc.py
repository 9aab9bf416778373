"""ORC files: stripes as shards."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from pyarrow import orc

from penstock.components.example_gen.sources.files.tables import Table, TableFiles
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.core.errors import DataError
from penstock.core.files.data_files import DataFile


@dataclass(frozen=True)
class OrcSource(TableFiles):
    """Reads stripes of ORC files, whatever their compression. A stripe, and not its file, has to fit in memory."""

    format_name: ClassVar[str] = "ORC"

    @classmethod
    def table(cls, file: DataFile) -> Table:
        with file.open("rb") as opened:
            try:
                data = orc.ORCFile(opened)
                stripes, schema, size = data.nstripes, data.schema, data.content_length
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{file}: expected a whole ORC file: {error}") from None
        name = str(file)
        each = max(size // max(stripes, 1), 1)
        return Table(schema, tuple(FilePiece(file, name, index, index + 1, each) for index in range(stripes)))

    def rows_of(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        with piece.path.open("rb") as opened:
            try:
                data = orc.ORCFile(opened)
                for index in range(piece.start, piece.end):
                    batch = data.read_stripe(index, list(self.columns))
                    yield batch.select(list(self.columns))
            except (pa.ArrowInvalid, OSError) as error:
                raise DataError(f"{piece.name}: the ORC data is damaged: {error}") from None
