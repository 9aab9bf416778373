"""TFRecord files of tf.Example, gzip or plain: passed on as they are."""

import bisect
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.kinds import FeatureKinds
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Block, Opened, Request, Source
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class TFRecordSource(Source[FilePiece]):
    """Reads whole files: where a record begins is known only from the one before."""

    typed_by_record: ClassVar[bool] = True

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives a shard for each file or group of small ones.

        A writer that had no record leaves an empty file; a DataError if all are empty.
        """
        with spans.local_files(request.input_base, request.splits) as files:
            shards = pieces.shards({split: list(map(_piece, _filled(paths))) for split, paths in files.items()})
            if not shards:
                first = next(path for paths in files.values() for path in paths)
                raise DataError(f"{first}: the file is empty: expected TFRecord data")
            yield Opened(cls(), shards, spans.extent(files), files.root)

    def read(self, piece: FilePiece) -> Iterator[Block]:
        """Yields the records unchanged, and in canonical form to choose the split.

        A DataError names the first record that is damaged or no tf.Example, or has a feature of another kind.
        """
        first = 1
        for examples in records.read(piece.path):
            try:
                columns = records.decode(examples)
            except (RuntimeError, ValueError) as error:
                raise _explained(examples, piece.name, first, error) from None
            yield Block(columns, examples, records.encode(columns, skip_nulls=True))
            first += len(examples)

    def rows(self, piece: FilePiece) -> int:
        """Returns how many records a file has, without decoding them."""
        return sum(map(len, records.read(piece.path)))


def _filled(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.stat().st_size)


def _piece(path: Path) -> FilePiece:
    size = path.stat().st_size
    return FilePiece(path, str(path), 0, size, size)


def _explained(examples: Sequence[bytes], file: str, first: int, error: Exception) -> DataError:
    """Returns what is wrong with records, of which the first has number `first`, that cannot be decoded together."""
    bad = bisect.bisect_left(range(1, len(examples)), True, key=lambda count: not _is_decodable(examples[:count]))
    if not _is_decodable(examples[bad : bad + 1]):
        return DataError(f"{file}, record {first + bad}: expected a serialized tf.Example")
    kinds = FeatureKinds()
    try:
        kinds.add(records.decode(examples[:bad]), file, first)
        kinds.add(records.decode(examples[bad : bad + 1]), file, first + bad)
    except DataError as different:
        return different
    return DataError(f"{file}, record {first + bad}: expected a tf.Example like those before it: {error}")


def _is_decodable(examples: Sequence[bytes]) -> bool:
    try:
        records.decode(examples)
    except (RuntimeError, ValueError):
        return False
    return True
