"""TFRecord files of tf.Example, gzip or plain: passed on as they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.components.example_gen.sources import pieces as sources
from penstock.components.example_gen.sources.pieces import Block, Piece, Shard
from penstock.core.errors import DataError
from penstock.core.examples import records


@dataclass(frozen=True)
class TFRecordSource:
    """Reads whole files: where a record begins is known only from the one before."""

    def read(self, piece: Piece) -> Iterator[Block]:
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


def plan(files: dict[str, list[Path]]) -> tuple[TFRecordSource, list[Shard]]:
    """Returns a reader and the shards; a DataError for an empty file."""
    pieces: dict[str, list[Piece]] = {}
    for split, paths in files.items():
        pieces[split] = []
        for path in paths:
            size = path.stat().st_size
            if not size:
                raise DataError(f"{path}: the file is empty: expected TFRecord data")
            pieces[split].append(Piece(path, str(path), 0, size, size))
    return TFRecordSource(), sources.shards(pieces)


def _first_bad(examples: list[bytes]) -> int:
    for index, example in enumerate(examples):
        try:
            records.decode([example])
        except (RuntimeError, ValueError):
            return index
    return 0
