"""The interface of a source: what ExampleGen asks of a kind of data, and no more."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.example_gen.configs import InputSplit, SpanRange
from penstock.components.example_gen.sources.csv.cell_notes import CellNotes
from penstock.components.example_gen.sources.pieces import Piece, Shard
from penstock.core.examples import payloads
from penstock.core.examples.payloads import PayloadFormat


@dataclass(frozen=True)
class Asked:
    """What a person asks for, before it is known what there is.

    Args:
        options: The source's own options, as JSON has them.
        splits: The input splits; what their patterns mean is the source's own, such as a query. Without any it is
            `configs.DEFAULT_INPUT`.
        spans: The spans to read; None where nothing is said of them.
        state: A folder, local or in an object store, that lasts from run to run; "" where there is none.
    """

    options: Mapping[str, Any]
    splits: Sequence[InputSplit]
    spans: SpanRange | None = None
    state: str = ""


@dataclass(frozen=True)
class Resolved:
    """What there is to read now.

    Args:
        splits: The input splits, whose patterns say all that it takes to read the same rows again: a query with its
            dates, a snapshot, the first and the last offsets.
        fingerprint: Changes when the rows do: with an equal one ExampleGen is answered from the cache.
        span: The newest span, 0 without spans.
        version: Its version, 0 without versions.
        spans: Which spans and versions these are, in words; "" without spans.
    """

    splits: Sequence[InputSplit]
    fingerprint: str
    span: int = 0
    version: int = 0
    spans: str = ""


@dataclass(frozen=True)
class Request:
    """What a source is opened with.

    Args:
        input_base: The folder or file of the data; for data of another kind, `references.parse` reads it.
        splits: The input splits, with what `resolve` fixed: the same request stands for the same rows.
        options: The source's own options as JSON, "" for none.
        label: The label, "" for none. A source that knows its columns checks it before any row is read
            (`labels.require_column`).
        scratch: A folder for temporary files, removed when the source is closed.
        engine: Where work over all of the data is done, such as unpacking.
        payload_format: What the records are, where the data is records.
    """

    input_base: str
    splits: Sequence[InputSplit]
    options: str
    label: str
    scratch: Path
    engine: Engine
    payload_format: PayloadFormat = payloads.TF_EXAMPLE


@dataclass(frozen=True)
class Block:
    """Some rows of a piece.

    Args:
        columns: The rows as list columns of int64, float32 or binary, or of null type where no row has a value. A
            missing value is an empty list or a null.
        examples: The rows as the serialized tf.Examples, or tf.SequenceExamples, to write.
        canonical: The same in protobuf's deterministic form, by whose hash a row has its split.
        notes: What a person is told of the cells, where the rows are written in such.
    """

    columns: pa.RecordBatch
    examples: Sequence[bytes]
    canonical: Sequence[bytes]
    notes: CellNotes = field(default_factory=CellNotes)


@dataclass(frozen=True)
class Place:
    """Where a piece, or a block of it, begins.

    Args:
        name: What a person knows the piece by, for errors.
        file: The file's name below the folder of the data.
        row: How many rows of the file are before it.
        position: How many rows of all the data are before it.
        classes: How many of these have each value of the label, serialized; empty where nothing asks for it.
    """

    name: str
    file: str = ""
    row: int = 0
    position: int = 0
    classes: Mapping[bytes, int] = field(default_factory=dict)


class TypesGrew(Exception):
    """A row does not fit the types of the rows that the source has looked at so far."""


class Source[P: Piece](ABC):
    """Reads one kind of data. Picklable: it travels to the engine's workers, and a piece with it.

    Errors are a DataError for data that cannot be read as it should, with the place (file and line, table, topic), and
    a ConfigError for options that do not fit. Nothing is retried by the caller.

    `typed_by_record` is whether each record says itself what its values are, so that records may differ in it.
    """

    typed_by_record: ClassVar[bool] = False

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Finds what there is to read; of files inputs/spans.py does. Quick: it looks at the world on every run,
        and it reads no rows.
        """
        raise NotImplementedError(f"{cls.__name__} reads files")

    @classmethod
    def may_be_looked_at(cls, asked: Asked) -> bool:
        """Whether its first rows may be read without a bill and without a trace: `penstock validate` then does it."""
        return False

    @classmethod
    @abstractmethod
    def open(cls, request: Request) -> AbstractContextManager["Opened[P]"]:
        """Connects, checks what can be checked without reading every row, and cuts the data into shards.

        Options are checked first, before anything is fetched. What is opened stays readable until the context ends,
        in other processes too.
        """

    @abstractmethod
    def read(self, piece: P) -> Iterator[Block]:
        """Yields the rows of a piece in order: the same ones whenever and wherever it is read, in blocks that fit in
        memory.

        Raises TypesGrew if a row does not fit the types seen so far; only a source with `with_all_types` may.
        """

    def rows(self, piece: P) -> int:
        """Returns how many rows a piece has; sources that know it without reading the rows say so."""
        return sum(block.columns.num_rows for block in self.read(piece))

    def with_all_types(self, shards: Sequence[Shard[P]], engine: Engine) -> Self:
        """Returns a source that has looked at the rows of all shards, and so raises no TypesGrew."""
        raise NotImplementedError(f"{type(self).__name__} knows its types beforehand")


@dataclass(frozen=True)
class Opened[P: Piece]:
    """An open source.

    Args:
        source: What reads the pieces.
        shards: The shards, at least one, as `pieces.shards` cuts them: those of one input split after those of
            another, in the order of the data. They depend on the data alone, never on the engine.
        extent: What was opened, for the log, such as {"files": 3}.
        root: The folder that files are below, whose place says nothing of the data; "" where there are no files.
        origin: Where the rows are from, for the lineage: a query, offsets, a snapshot, a commit. No credentials.
        done: Called once the Examples are in their place: what the source does when its rows are safe.
    """

    source: Source[P]
    shards: list[Shard[P]]
    extent: Mapping[str, int]
    root: str = ""
    origin: Mapping[str, str] = field(default_factory=dict)
    done: Callable[[], None] | None = None
