"""TFRecord files of tf.Example or tf.SequenceExample, gzip or plain: passed on as they are.

On the wire a tf.SequenceExample without feature_lists is a tf.Example. So a file is refused as the other kind if it has
feature_lists and should not, or if it should and no record of it has any.
"""

import bisect
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.kinds import FeatureKinds
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Block, Opened, Request, Source
from penstock.core.errors import DataError
from penstock.core.examples import payloads, records, sequences
from penstock.core.examples.payloads import PayloadFormat


@dataclass(frozen=True)
class TFRecordSource(Source[FilePiece]):
    """Reads whole files: where a record begins is known only from the one before."""

    typed_by_record: ClassVar[bool] = True
    payload_format: PayloadFormat

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Gives a shard for each file or group of small ones.

        A writer that had no record leaves an empty file; a DataError if all are empty.
        """
        with spans.local_files(request.input_base, request.splits, request.engine) as files:
            shards = pieces.shards({split: list(map(_piece, _filled(paths))) for split, paths in files.items()})
            if not shards:
                first = next(path for paths in files.values() for path in paths)
                raise DataError(f"{first}: the file is empty: expected TFRecord data")
            yield Opened(cls(request.payload_format), shards, spans.extent(files), files.root)

    def read(self, piece: FilePiece) -> Iterator[Block]:
        """Yields the records unchanged, and in canonical form to choose the split.

        The columns of tf.SequenceExamples are those of their context. A DataError names the first record that is
        damaged or is not what was said, or has a feature of another kind.
        """
        first, only_examples = 1, self.payload_format == payloads.TF_SEQUENCE_EXAMPLE
        for examples in records.read(piece.path):
            try:
                block = self._block(examples)
            except records.HasFeatureLists as error:
                raise _has_feature_lists(piece.name, first + error.index) from None
            except (RuntimeError, ValueError) as error:
                raise self._explained(examples, piece.name, first, error) from None
            only_examples = only_examples and sequences.first_with_feature_lists(examples) is None
            yield block
            first += len(examples)
        if only_examples and first > 1:
            raise DataError(
                f"{piece.name}: expected tf.SequenceExamples, as payload_format says, found no record with "
                "feature_lists: these are tf.Examples; leave payload_format out, or the file"
            )

    def _block(self, examples: Sequence[bytes]) -> Block:
        columns = self._columns(examples)
        if self.payload_format == payloads.TF_EXAMPLE:
            return Block(columns, examples, records.encode(columns, skip_nulls=True))
        return Block(columns, examples, sequences.canonical(examples))

    def _columns(self, examples: Sequence[bytes]) -> pa.RecordBatch:
        columns = records.decode(examples, payload_format=self.payload_format)
        return columns.select([name for name in columns.schema.names if name != sequences.COLUMN])

    def _explained(self, examples: Sequence[bytes], file: str, first: int, error: Exception) -> DataError:
        """Returns what is wrong with records, of which the first has number `first`, that do not decode together."""
        message = payloads.MESSAGES[self.payload_format]
        bad = bisect.bisect_left(
            range(1, len(examples)), True, key=lambda count: not self._is_decodable(examples[:count])
        )
        if not self._is_decodable(examples[bad : bad + 1]):
            return DataError(f"{file}, record {first + bad}: expected a serialized {message}")
        kinds = FeatureKinds()
        try:
            kinds.add(self._columns(examples[:bad]), file, first)
            kinds.add(self._columns(examples[bad : bad + 1]), file, first + bad)
        except DataError as different:
            return different
        return DataError(f"{file}, record {first + bad}: expected a {message} like those before it: {error}")

    def _is_decodable(self, examples: Sequence[bytes]) -> bool:
        try:
            self._block(examples)
        except (RuntimeError, ValueError):
            return False
        return True

    def rows(self, piece: FilePiece) -> int:
        """Returns how many records a file has, without decoding them."""
        return sum(map(len, records.read(piece.path)))


def _filled(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.stat().st_size)


def _piece(path: Path) -> FilePiece:
    size = path.stat().st_size
    return FilePiece(path, str(path), 0, size, size)


def _has_feature_lists(file: str, record: int) -> DataError:
    return DataError(
        f"{file}, record {record}: expected a tf.Example, found feature_lists: it is a tf.SequenceExample, which "
        f"data.payload_format: {payloads.TF_SEQUENCE_EXAMPLE} (payload_format of import_example_gen) says"
    )
