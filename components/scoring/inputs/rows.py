"""What every kind of file offers: its columns, pieces of it, and their rows as a model takes them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa

from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.scoring.features import Feature

Format = Literal["csv", "jsonl", "parquet"]


@dataclass(frozen=True)
class Problem:
    """A row that cannot be read: the number of its line (or row, or record) within these rows, from 0, and why."""

    line: int
    reason: str
    row: str


@dataclass(frozen=True)
class Rows:
    """Some rows of a piece.

    Args:
        shown: The columns that are written beside the predictions.
        examples: The rows as the model takes them.
        problems: Those that cannot be read, which are in neither.
        lines: How many lines (or rows, or records) all of these are.
    """

    shown: pa.RecordBatch
    examples: Sequence[bytes]
    problems: Sequence[Problem]
    lines: int


@dataclass(frozen=True)
class Reading:
    """The features that are read, the columns that are written (None: all there are), and as what."""

    features: tuple[Feature, ...]
    columns: tuple[str, ...] | None
    format: Format

    def written(self, names: Sequence[str]) -> Sequence[str]:
        """Returns the columns that are written of these."""
        return names if self.columns is None else self.columns


@dataclass(frozen=True)
class Style:
    """How CSV is written: as the data was, if that is CSV."""

    delimiter: str = ","
    quote_char: str = '"'
    decimal_point: str = "."


@dataclass(frozen=True)
class Input(ABC):
    """Files of one kind. Picklable: it travels to the engine's workers.

    Args:
        names: The columns of every file, or of the first rows where each row has its own.
        pieces: Parts of files that can be read apart, in order.
        first_lines: The number of the first row's line, by the name of the file; 1 where it has none.
        has_more_names: Whether later rows may have other columns too.
        notes: What a person is told of the files.
    """

    unit: ClassVar[str] = "line"
    names: tuple[str, ...]
    pieces: Sequence[FilePiece] = field(repr=False)
    first_lines: Mapping[str, int] = field(default_factory=dict)
    has_more_names: bool = False
    notes: Sequence[str] = ()

    @abstractmethod
    def read(self, piece: FilePiece, reading: Reading) -> Iterator[Rows]:
        """Yields the rows of a piece in order, so many at a time as memory holds whatever the piece's size."""

    def hint(self) -> str:
        """Says what may be wrong with all columns, for the sentence that one is missing."""
        return ""

    @property
    def first_file(self) -> str:
        """What a person knows the first file by; "" where no file has a row."""
        return self.pieces[0].name if self.pieces else ""

    @property
    def style(self) -> Style:
        """How CSV is written of these rows."""
        return Style()


@dataclass(frozen=True)
class File:
    """A file to read, and what a person knows it by."""

    path: Path
    name: str
