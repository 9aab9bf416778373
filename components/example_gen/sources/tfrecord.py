"""TFRecord files of tf.Example, gzip or plain: passed on as they are."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Block, Opened, Request, Source
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class TFRecordSource(Source[FilePiece]):
    """Reads whole files: where a record begins is known only from the one before."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives a shard for each file or group of small ones; a DataError for an empty file."""
        with spans.local_files(request.input_base, request.splits) as files:
            shards = pieces.shards({split: [_piece(path) for path in paths] for split, paths in files.items()})
            yield Opened(cls(), shards, spans.extent(files))

    def read(self, piece: FilePiece) -> Iterator[Block]:
        """Yields the records unchanged, and in canonical form to choose the split.

        A DataError names the first record that is damaged or no tf.Example.
        """
        count = 0
        for examples in records.read(piece.path):
            try:
                columns = records.decode(examples)
            except (RuntimeError, ValueError):
                raise DataError(
                    f"{piece.name}, record {count + 1 + _first_bad(examples)}: expected a serialized tf.Example"
                ) from None
            count += len(examples)
            yield Block(columns, examples, records.encode(columns, skip_nulls=True))


def _piece(path: Path) -> FilePiece:
    size = path.stat().st_size
    if not size:
        raise DataError(f"{path}: the file is empty: expected TFRecord data")
    return FilePiece(path, str(path), 0, size, size)


def _first_bad(examples: Sequence[bytes]) -> int:
    for index, example in enumerate(examples):
        try:
            records.decode([example])
        except (RuntimeError, ValueError):
            return index
    return 0
