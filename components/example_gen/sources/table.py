"""Sources of rows with columns: what one has to say beside where its rows are is their Arrow record batches."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from penstock.components.example_gen.sources import columns
from penstock.components.example_gen.sources.pieces import Piece
from penstock.components.example_gen.sources.source import Block, Source
from penstock.core.examples import records


@dataclass(frozen=True)
class TableSource[P: Piece](Source[P]):
    """A source whose columns have types of their own: a file format, a database, a catalogue.

    A null is a feature without values, as in TFX; zeros stay (TFX drops them). columns.py says what types become. With
    `skips_nulls` it is none of the row's features, where the rows beside a row decide which columns it has.
    """

    skips_nulls: ClassVar[bool] = False

    @abstractmethod
    def batches(self, piece: P) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a piece in order, of any Arrow types: the same ones whenever and wherever it is read."""

    def read(self, piece: P) -> Iterator[Block]:
        """Yields the rows of `batches` as features, a few thousand at a time. Examples and canonical ones are equal."""
        for batch in self.batches(piece):
            for start in range(0, batch.num_rows, records.BATCH_SIZE):
                features = columns.features(batch.slice(start, records.BATCH_SIZE), piece.name)
                yield self.block(features, piece)

    def block(self, features: pa.RecordBatch, piece: P) -> Block:
        """Returns features with their Examples."""
        examples = records.encode(features, self.skips_nulls)
        return Block(features, examples, examples)
